"""Stages release what they used: after each of them the expert alone is in memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lrbench.pipeline.holding.pair import Pair
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.runner import Runner
from lrbench.pipeline.stages.base import Stage
from lrbench.recipe.schema import Recipe
from lrbench.store.artifact import Artifact

# Such as libraries keep for themselves.
A_FEW_NUMBERS = 1024


def tensors() -> dict[int, int]:
    """Address and bytes of what every tensor that Python knows lies in."""
    gc.collect()
    # A compilation of an earlier test leaves tensors of kinds that lie nowhere.
    found = (each for each in gc.get_objects() if type(each) in (torch.Tensor, torch.nn.Parameter))
    storages = (tensor.untyped_storage() for tensor in found)
    return {storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()}


@pytest.fixture
def recipe(make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    return make_recipe(
        pair={
            "expert": {"model": "embedded/expert"},
            "amateur": {"derive": {"from": "expert", "layers": 2, "distill_updates": 2}},
        },
        data={"train": "embedded/multi_step", "problems": 6, "held_out": 2},
        sampling={"max_new_tokens": 12},
        training={"updates": 3, "rollouts_per_update": 2},
        divergence={"beta": 0.0},
        arms=["base", "lightr", "ground_truth"],
        evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
    )


@pytest.fixture
def left_after(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, int]]:
    """Runs the recipe; for each stage, the bytes it left in tensors that are not the expert's."""

    def run_all() -> dict[str, int]:
        before, left = tensors(), {}
        make = Runner._make

        def watched(self: Runner, stage: Stage, arm: ArmPlan, is_ahead: bool) -> Artifact:
            artifact = make(self, stage, arm, is_ahead)
            expert = self.workspaces.of(arm).expert.weights
            assert not any("lora" in name for name, _ in expert.named_modules())
            own = {
                tensor.untyped_storage().data_ptr() for tensor in (*expert.parameters(), *expert.buffers())
            }
            left[f"{stage.name} ({stage.label})"] = sum(
                size for place, size in tensors().items() if place not in own | before.keys()
            )
            return artifact

        monkeypatch.setattr(Runner, "_make", watched)
        # What is there already is not looked through again after every stage.
        gc.freeze()
        try:
            run_recipe(recipe, tmp_path)
        finally:
            gc.unfreeze()
        assert {label.split()[0] for label in left} == {
            "rollouts", "derive", "scores", "samples", "reference", "train", "evaluate",
        }  # fmt: skip
        return left

    return run_all


def test_after_every_stage_the_expert_alone_is_in_memory(left_after: Callable[[], dict[str, int]]) -> None:
    left = left_after()
    assert {stage: size for stage, size in left.items() if size > A_FEW_NUMBERS} == {}


@pytest.mark.slow
def test_an_amateur_that_is_not_released_would_be_seen(
    left_after: Callable[[], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pair, "release_amateur", lambda _self: None)
    sizes = [size for stage, size in left_after().items() if stage.startswith("scores")]
    assert min(sizes) > 1_000_000
