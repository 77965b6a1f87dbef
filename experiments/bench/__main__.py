"""`make bench`: every speed and memory figure the project states, measured here and now."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from experiments.bench.evaluation import grading, overhead
from experiments.bench.measuring import Comparison, in_turn, seconds, spread
from experiments.bench.reference import loss_per_token, score_per_prefix
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.arms import KNOWN_ARMS
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.problems import load_problems
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from lrbench.store.keys import FileHashes
from lrbench.training.adapters import attach_adapter
from lrbench.training.loss import batch_losses

ROOT = Path(__file__).parent.parent.parent
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
PROBLEMS = 64
ROLLOUTS_PER_UPDATE = 16


def main() -> None:
    """Print one table of paired timings, then figures of whole commands."""
    recipe = load_recipe(QUICKSTART, [f"data.problems={PROBLEMS}"])
    hashes = FileHashes()
    assert recipe.pair.amateur is not None
    workspace = Workspace(
        locate(recipe.pair.expert, hashes), locate(recipe.pair.amateur, hashes), recipe.runtime
    )
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads; seconds and ratios as minimum, median, maximum\n")
    print(f"{'what':48} | {'ours':23} | {'the other way':23} | {'other / ours':23} | wanted")
    for name, rollouts in {
        "short": write_rollouts(workspace, recipe),
        "128 tokens": write_rollouts(workspace, recipe, to_the_end=True)[:ROLLOUTS_PER_UPDATE],
    }.items():
        scores = score(workspace.pair, rollouts, recipe)
        print(scoring(name, workspace, rollouts, recipe).line(), flush=True)
        for arm in ("lightr", "no_selection"):
            print(training(name, workspace, rollouts, scores, recipe, arm).line(), flush=True)
        print(sampling(name, workspace, rollouts, recipe).line(), flush=True)
    print(overhead(workspace).line(), flush=True)
    print()
    print(grading(), flush=True)
    commands()


def complete(
    workspace: Workspace, recipe: Recipe, prompts: Sequence[Sequence[int]], to_the_end: bool
) -> list[tuple[int, ...]]:
    """Greedy completions; `to_the_end` goes on after stop tokens, so that all have the full length."""
    rules = replace(workspace.token_rules, stop_ids=()) if to_the_end else workspace.token_rules
    engine = TransformersEngine(workspace.expert, rules, recipe.runtime.batch_size)
    return engine.complete(prompts, recipe.sampling.max_new_tokens)


def write_rollouts(workspace: Workspace, recipe: Recipe, to_the_end: bool = False) -> list[Rollout]:
    problems = load_problems(recipe.data)
    prompts = [tuple(render_prompt(workspace.tokenizer, text, None)) for text in problems.texts]
    completions = complete(workspace, recipe, prompts, to_the_end)
    return [
        Rollout(identifier, 0, prompt, completion)
        for identifier, prompt, completion in zip(problems.ids, prompts, completions, strict=True)
    ]


def score(pair: LoadedPair, rollouts: list[Rollout], recipe: Recipe) -> Scores:
    return score_rollouts(pair, rollouts, alpha_min=recipe.divergence.alpha_min)


def scoring(name: str, workspace: Workspace, rollouts: list[Rollout], recipe: Recipe) -> Comparison:
    return in_turn(
        f"scoring, {name}: one pass, against per prefix",
        lambda: score(workspace.pair, rollouts, recipe),
        lambda: score_per_prefix(workspace.pair, rollouts),
        "at least 10",
    )


def training(
    name: str, workspace: Workspace, rollouts: list[Rollout], scores: Scores, recipe: Recipe, arm: str
) -> Comparison:
    ingredients = KNOWN_ARMS[arm]
    assert ingredients is not None
    samples: Samples = build_samples(rollouts, scores, ingredients, recipe.divergence)
    batch = [index for index in range(len(samples)) if samples.rollout[index] < ROLLOUTS_PER_UPDATE]
    rows = sum(samples.targets.offsets[index + 1] - samples.targets.offsets[index] for index in batch)
    adapted = attach_adapter(workspace.expert, recipe.training.lora, seed=0)
    model = adapted.get_base_model()

    def packed() -> None:
        for part in batch_losses(model, workspace.shared_vocabulary, samples, batch):
            part.backward()

    found = in_turn(
        f"{arm}, {name}: {len(batch)} steps, against {rows} rows",
        packed,
        lambda: loss_per_token(model, workspace.shared_vocabulary, samples, batch),
        "at least 8",
    )
    workspace.detach(adapted)
    return found


def sampling(name: str, workspace: Workspace, rollouts: list[Rollout], recipe: Recipe) -> Comparison:
    prompts = [rollout.prompt_ids for rollout in rollouts]
    to_the_end = all(rollout.steps == recipe.sampling.max_new_tokens for rollout in rollouts)

    def bare() -> None:
        complete(workspace, recipe, prompts, to_the_end)

    def whole() -> None:
        bare()
        score(workspace.pair, rollouts, recipe)

    return in_turn(f"sampling, {name}: bare, against with scores", bare, whole, "at most 1.4")


def commands() -> None:
    """Whole commands, from start to exit, in processes of their own."""
    lrbench = [sys.executable, "-c", "from lrbench.cli import main; main()"]
    helps = [seconds(lambda: _run([*lrbench, "--help"])) for _ in range(5)]
    print(f"lrbench --help: {spread(helps)} s (wanted: under 0.5)")
    checks = [seconds(lambda: _run([*lrbench, "check", *[str(QUICKSTART)] * 50])) for _ in range(5)]
    print(f"lrbench check of 50 recipes: {spread(checks)} s (wanted: under 2)")
    with tempfile.TemporaryDirectory() as runs:
        command = [*lrbench, "run", str(QUICKSTART), "--runs", runs]
        first = seconds(lambda: _run(command))
        print(f"quickstart: {first:.1f} s (wanted: under 180), peak {_peak_of_children():.2f} GiB (under 3)")
        again = [seconds(lambda: _run(command)) for _ in range(3)]
        print(f"quickstart, run again: {spread(again)} s (wanted: under 5)")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def _peak_of_children() -> float:
    """Largest resident size of any finished child, in GiB (Linux counts in KiB)."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
