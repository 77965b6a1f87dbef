"""How much memory scoring needs beyond weights and activations, and one update of training beyond weights.

On a CPU each is measured in a process of its own, where nothing was before:
`python -m experiments.bench.memory scoring|training PAIR`, with a `RandomPair` as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from experiments.bench.comparisons import STEPS_PER_UPDATE, score
from experiments.bench.measuring import Figure, forget_largest
from experiments.bench.subjects import RandomPair, Shape, Subject, random_pair
from lrbench.methods.presets import BY_NAME
from lrbench.models.forward import TOKENS_PER_FORWARD, hidden_states, length_batches, pad_right
from lrbench.pipeline.estimating.resident import most_resident
from lrbench.recipe.schema import Runtime, Training
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import build_samples
from lrbench.training.loop import train

ROLLOUTS = 32
WANTED = {"cpu": "under 0.5", "cuda": "under 1"}


def memory(declared: RandomPair, subject: Subject, runs: int) -> list[Figure]:
    """GB (1e9 bytes) of scoring and of training; `subject` is measured itself on a GPU alone."""
    rows = f"V {declared.expert.output_rows:,}"
    return [
        Figure(
            f"scoring {ROLLOUTS} x {declared.new_tokens} steps, {rows}: GB beyond weights and activations",
            [_measured("scoring", declared, subject) for _ in range(runs)],
            WANTED[declared.device],
        ),
        Figure(
            f"an update of {STEPS_PER_UPDATE} kept steps, {rows}: GB beyond weights",
            [_measured("training", declared, subject) for _ in range(runs)],
        ),
    ]


def _measured(work: str, declared: RandomPair, subject: Subject) -> float:
    if declared.device == "cuda":
        return WORKS[work](subject) / 1e9
    found = subprocess.run(
        [sys.executable, "-m", "experiments.bench.memory", work, json.dumps(asdict(declared))],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    return int(found.stdout) / 1e9


def of_scoring(subject: Subject) -> int:
    """Bytes that scoring needs beyond the forwards of both models alone."""
    rollouts = made_up(subject)
    least = peak(subject, lambda: forwards(subject, rollouts))
    return peak(subject, lambda: score(subject, rollouts)) - least


def of_training(subject: Subject) -> int:
    """Bytes that one update needs beyond what is there before it, which is weights above all."""
    ingredients = BY_NAME["neither"].ingredients
    assert ingredients is not None
    samples = build_samples(made_up(subject), {}, ingredients)
    settings = Training(updates=1, steps_per_update=STEPS_PER_UPDATE, lora=subject.lora)
    pair = subject.pair
    before = peak(subject, lambda: None)

    def update() -> None:
        train(
            pair.expert, pair.vocabulary, samples, settings, seed=0, runtime=Runtime(), save=lambda _: None
        ).adapted.unload()

    return peak(subject, update) - before


WORKS: dict[str, Callable[[Subject], int]] = {"scoring": of_scoring, "training": of_training}


def made_up(subject: Subject) -> list[Rollout]:
    """Rollouts whose completions nobody wrote, so that nothing was in memory before."""
    prompts = [subject.prompts[index % len(subject.prompts)] for index in range(ROLLOUTS)]
    return [
        Rollout(str(index), 0, prompt, tuple(range(index, index + subject.new_tokens)))
        for index, prompt in enumerate(prompts)
    ]


@torch.no_grad()
def forwards(subject: Subject, rollouts: Sequence[Rollout]) -> None:
    """The hidden states that scoring looks at, one batch after the other."""
    pair = subject.pair
    rows = [rollout.token_ids for rollout in rollouts]
    tokens = TOKENS_PER_FORWARD[pair.expert.device.type]
    for batch in length_batches([len(row) for row in rows], len(rows), tokens):
        ids_BT = pad_right([rows[index] for index in batch], pair.expert.device)
        # Scoring holds both models' states at once.
        _states = hidden_states(pair.expert, ids_BT), hidden_states(pair.amateur, ids_BT)


def peak(subject: Subject, work: Callable[[], object]) -> int:
    """The largest memory in use, in bytes, while `work` is done; resident memory on a CPU (Linux only)."""
    if subject.pair.expert.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated()
    forget_largest()
    work()
    return most_resident()


if __name__ == "__main__":
    fields = json.loads(sys.argv[2])
    shapes = {name: Shape(**fields.pop(name)) for name in ("expert", "amateur")}
    print(WORKS[sys.argv[1]](random_pair(RandomPair(**shapes, **fields))))
