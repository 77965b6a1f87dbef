"""Stages whose prompts are one queue: the same artifacts, committed shard by shard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.pipeline.plan import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages import evaluation, rollouts
from lrbench.pipeline.stages.solutions import CheckedSolutions
from lrbench.recipe.schema import Recipe
from lrbench.sampling.engines.queue import QueuedEngine
from lrbench.store.store import Store


def with_queue(recipe: Recipe, queue: bool) -> Recipe:
    runtime = recipe.runtime.model_copy(update={"queue": queue, "batch_size": 3})
    return recipe.model_copy(update={"runtime": runtime})


def files(recipe: Recipe, runs: Path) -> dict[tuple[str, str], str]:
    """The hash of every file that a model wrote for."""
    store = Store(runs / "store")
    written = [stage for stage in plan_recipe(recipe, runs).stages if stage.engine_choice is not None]
    found = [(stage, store.find(stage.name, stage.key)) for stage in written]
    return {
        (stage.label, record.name): record.sha256
        for stage, made in found
        if made is not None
        for record in made.files
    }


def test_shards_of_a_queue_are_those_of_batches_and_outlive_an_interruption(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    monkeypatch.setattr(evaluation, "ITEMS_PER_SHARD", 2)
    monkeypatch.setattr(rollouts, "PROBLEMS_PER_SHARD", 2)
    # Random models solve nothing; let every third sampled solution count as right.
    monkeypatch.setattr(CheckedSolutions, "_is_right", lambda _self, index, *_: index % 3 == 0)
    recipe = make_recipe()
    run_recipe(with_queue(recipe, False), tmp_path / "batches")
    portions: list[int] = []
    answer = QueuedEngine.answer_requests

    def interrupted(self: QueuedEngine, requests: Any, decoding: Any) -> Any:
        portions.append(len(requests))
        if len(portions) in (2, 9):
            raise KeyboardInterrupt
        return answer(self, requests, decoding)

    with monkeypatch.context() as patch:
        patch.setattr(QueuedEngine, "answer_requests", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run_recipe(with_queue(recipe, True), tmp_path / "queue")
        # Nothing is asked that was not announced.
        patch.setattr("lrbench.sampling.engines.transformers.TransformersEngine.answer_requests", None)
        run_recipe(with_queue(recipe, True), tmp_path / "queue")
    assert len(portions) > 20
    expected = files(recipe, tmp_path / "batches")
    assert len(expected) > 20
    assert files(recipe, tmp_path / "queue") == expected
