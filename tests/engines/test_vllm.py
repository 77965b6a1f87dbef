"""vLLM, in this process and as a server, does what `hf` does: the same ids, stops, adapters and samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.errors import ModelError, RunError
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice, Recipe
from lrbench.sampling.engines.base import GREEDY, Decoding
from lrbench.sampling.engines.queue import QueuedEngine
from lrbench.sampling.engines.server import ServedModel
from lrbench.sampling.engines.vllm import VllmModel

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

LENGTH = 128
HF = EngineChoice(name="hf")
# Two float32 implementations differ by about 1e-5 in a log-probability; only a tie as close as this may
# be broken the other way.
TIE = 1e-3


@torch.no_grad()
def margin(workspace: Workspace, adapter: Path | None, ids: list[int]) -> float:
    """How far the likeliest next token is ahead of the second, in nats."""
    with workspace.expert.with_adapter(adapter) as model:
        first, second = model(input_ids=torch.tensor([ids])).logits[0, -1].topk(2).values.tolist()
    return float(first - second)


def test_a_queue_goes_on_while_its_answers_are_looked_at(
    workspace: Workspace, prompts: list[list[int]], choice: EngineChoice
) -> None:
    with workspace.engines.open(choice) as engine:
        expected = engine.complete(prompts[:12], LENGTH)
        upcoming = (request for prompt in prompts if (request := engine.request(prompt, LENGTH)) is not None)
        queued = QueuedEngine(engine, GREEDY, upcoming)
        found = []
        for start in (0, 4, 8):
            portion = prompts[start : start + 4]
            found += queued.complete(portion, LENGTH)
            read = queued.log_probabilities_of(portion, found[-4:])
            assert [len(one) for one in read] == [len(one) for one in found[-4:]]
        # The rest is called off, and nothing of it is left.
        del queued
        again = engine.complete(prompts[:12], LENGTH)
    assert found == expected == again


@pytest.mark.parametrize("with_adapter", [False, True], ids=["base", "adapter"])
def test_greedy_outputs_are_those_of_hf(
    workspace: Workspace,
    prompts: list[list[int]],
    adapter: Path,
    choice: EngineChoice,
    with_adapter: bool,
) -> None:
    folder = adapter if with_adapter else None
    with workspace.engines.open(HF, folder) as engine:
        expected = engine.complete(prompts, LENGTH)
    with workspace.engines.open(choice, folder) as engine:
        found = engine.complete(prompts, LENGTH)
    margins = {}
    for index, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one != other:
            place = next(at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
            margins[index] = margin(workspace, folder, [*prompts[index], *one[:place]])
    print(
        f"{choice.name}, {'adapter' if folder else 'base'}: {len(margins)} of {len(prompts)} differ {margins}"
    )
    assert all(found_margin < TIE for found_margin in margins.values()), margins
    assert len(margins) <= 2
    assert sum(completion[-1] in engine.rules.stop_ids for completion in found) > len(found) / 2


def test_the_adapter_changes_what_is_written(
    workspace: Workspace, prompts: list[list[int]], adapter: Path, choice: EngineChoice
) -> None:
    with workspace.engines.open(choice) as engine:
        base = engine.complete(prompts, LENGTH)
    with workspace.engines.open(choice, adapter) as engine:
        adapted = engine.complete(prompts, LENGTH)
    with workspace.engines.open(choice) as engine:
        assert engine.complete(prompts, LENGTH) == base
    assert sum(one != other for one, other in zip(base, adapted, strict=True)) > len(prompts) / 10


def test_an_adapter_that_is_dropped_stops_the_run(
    workspace: Workspace, adapter: Path, choice: EngineChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def dropped(self: ServedModel, rules: Any, _: Path) -> Iterator[Any]:
        yield self.engine(rules)

    monkeypatch.setattr(VllmModel, "_request", lambda *_: None)
    monkeypatch.setattr(ServedModel, "adapted", dropped)
    with pytest.raises(RunError, match="runs the model as if it had no adapter"):
        workspace.engines.open(choice, adapter).__enter__()


def test_ids_that_stand_for_no_token_are_never_written(
    workspace: Workspace, prompts: list[list[int]], choice: EngineChoice
) -> None:
    with workspace.engines.open(HF) as engine:
        favourites = {token for row in engine.complete(prompts[:5], 3) for token in row}
        engine.rules = replace(engine.rules, no_tokens=tuple(favourites))
        expected = engine.complete(prompts[:5], 20)
    with workspace.engines.open(choice) as engine:
        engine.rules = replace(engine.rules, no_tokens=tuple(favourites))
        assert engine.complete(prompts[:5], 20) == expected
    assert favourites.isdisjoint(token for row in expected for token in row)


def test_prompt_and_completion_end_where_the_context_is_full(
    workspace: Workspace, prompts: list[list[int]], choice: EngineChoice
) -> None:
    context = workspace.expert.token_rules.context
    long = [(prompts[0] * context)[: context - room] for room in (5, 1, 0)]
    with workspace.engines.open(choice) as engine:
        engine.rules = replace(engine.rules, stop_ids=())
        assert [len(row) for row in engine.complete(long, LENGTH)] == [5, 1, 0]


def test_a_sample_depends_on_its_seed_alone(
    workspace: Workspace, prompts: list[list[int]], choice: EngineChoice
) -> None:
    # Long enough that they do not fit into one step of vLLM together.
    long = [(prompt * 10)[-300:] for prompt in prompts]
    seeds = range(2**55, 2**55 + len(long))
    with workspace.engines.open(choice) as engine:
        together = engine.complete(long, 40, Decoding(1.0), seeds=seeds)
        alone = engine.complete(long[3:4], 40, Decoding(1.0), seeds=seeds[3:4])
        others = engine.complete(long, 40, Decoding(1.0), seeds=range(1000, 1000 + len(long)))
    assert alone == together[3:4]
    assert sum(one != other for one, other in zip(others, together, strict=True)) > len(long) / 2


def test_samples_follow_the_models_distribution(
    workspace: Workspace, prompts: list[list[int]], choice: EngineChoice
) -> None:
    count, temperature = 400, 1.5
    with torch.no_grad():
        logits = workspace.expert.weights(input_ids=torch.tensor([prompts[0]])).logits[0, -1]
    expected = (logits / temperature).softmax(-1)
    with workspace.engines.open(choice) as engine:
        rows = engine.complete([prompts[0]] * count, 1, Decoding(temperature), seeds=range(count))
    seen = Counter(row[0] for row in rows)
    for token in (expected > 0.02).nonzero().flatten().tolist():
        p = float(expected[token])
        assert abs(seen[token] / count - p) < 4 * (p * (1 - p) / count) ** 0.5


def test_another_model_behind_the_address_is_found_out(workspace: Workspace, server_url: str) -> None:
    with torch.no_grad():
        weights = next(workspace.expert.weights.parameters())
        weights.mul_(1.01)
        try:
            with pytest.raises(ModelError, match="does not run the recipe's expert"):
                workspace.engines.open(EngineChoice(name="server", url=server_url)).__enter__()
        finally:
            weights.div_(1.01)


def test_a_recipe_is_sampled_trained_and_measured_through_a_server(server_url: str, tmp_path: Path) -> None:
    engine = {"name": "server", "url": server_url}
    recipe = Recipe.model_validate(
        {
            "name": "served",
            "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
            "data": {"train": "embedded/multi_step", "problems": 8},
            "sampling": {
                "max_new_tokens": 64,
                "solutions": {"samples_per_problem": 2, "max_new_tokens": 64},
                "engine": engine,
            },
            "training": {"updates": 3, "rollouts_per_update": 4, "learning_rate": 2e-3},
            "arms": ["base", "sft", "lightr"],
            "evaluation": {"suite": "embedded7", "benchmarks": ["one_step"], "limit": 4, "engine": engine},
        }
    )
    report = run_recipe(recipe, tmp_path)
    # What the recipe means, three arms, three scores.
    assert (report.cached, report.new_records) == (0, 7)
    ledger = (tmp_path / "ledger" / "scores.jsonl").read_text()
    assert ledger.count('"engine":"server"') == 3
    assert "key-of-the-tests" not in "".join(
        path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()
    )
