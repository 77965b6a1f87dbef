"""An amateur made from the expert: planned before it is there, made once, and picked up after a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.errors import RecipeError
from lrbench.models.loading import load_model
from lrbench.models.source import locate
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.samples import PairScores
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import ModelReference, Recipe
from lrbench.results.ledger import Ledger
from lrbench.store.artifact import Artifact
from lrbench.store.keys import FileHashes
from lrbench.store.store import Store

DERIVE = {"from": "expert", "layers": 2, "distill_updates": 3}


@pytest.fixture
def derived(make_recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    """Recipes in the embedded world whose amateur is derived."""

    def build(amateur: Any = None, arms: Any = ("base", "lightr"), **derive: Any) -> Recipe:
        return make_recipe(
            arms=list(arms),
            pair={
                "expert": {"model": "embedded/expert"},
                "amateur": amateur or {"derive": DERIVE | derive},
            },
            data={"train": "embedded/multi_step", "problems": 6},
            sampling={"max_new_tokens": 12},
            evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
            training={"updates": 2, "rollouts_per_update": 2},
            divergence={"beta": 0.0},
        )

    return build


def keys(plan: Plan) -> dict[str, str]:
    return {stage.name: stage.key for arm in plan.arms for stage in arm.stages()}


def artifact_of(runs: Path, plan: Plan, stage: str) -> Artifact:
    found = Store(runs / "store").find(stage, keys(plan)[stage])
    assert found is not None
    return found


@pytest.mark.parametrize(
    "change", [{"layers": 3}, {"distill_updates": 4}, {"learning_rate": 1e-4}, {"seed": 1}], ids=str
)
def test_every_setting_makes_another_amateur_of_the_same_rollouts(
    derived: Callable[..., Recipe], tmp_path: Path, change: dict[str, Any]
) -> None:
    one, other = (keys(plan_recipe(recipe, tmp_path)) for recipe in (derived(), derived(**change)))
    assert {name for name in one if one[name] != other[name]} == {
        "derive", "scores", "samples", "train", "evaluate",
    }  # fmt: skip


def test_an_amateur_that_no_arm_needs_is_not_made(derived: Callable[..., Recipe], tmp_path: Path) -> None:
    plan = plan_recipe(derived(arms=["base", "neither"]), tmp_path)
    assert "derive" not in keys(plan)


def test_the_dtype_it_is_loaded_in_decides_scores_and_not_how_it_is_made(
    derived: Callable[..., Recipe], tmp_path: Path
) -> None:
    one, other = (
        keys(plan_recipe(derived({"derive": DERIVE, "dtype": dtype}), tmp_path))
        for dtype in ("float32", "bfloat16")
    )
    assert one["derive"] == other["derive"]
    assert one["scores"] != other["scores"]


def test_seeds_of_a_recipe_share_one_amateur(derived: Callable[..., Recipe], tmp_path: Path) -> None:
    fields = derived().model_dump(mode="json", exclude_unset=True) | {"seeds": [0, 1, 2]}
    plan = plan_recipe(Recipe.model_validate(fields), tmp_path)
    assert [stage.name for stage in plan.stages].count("derive") == 1
    assert [stage.name for stage in plan.stages].count("train") == 3


@pytest.mark.slow
def test_a_recipe_with_a_derived_amateur_runs_to_the_end(
    derived: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = derived()
    assert run_recipe(recipe, tmp_path).worked == 7
    assert run_recipe(recipe, tmp_path).worked == 0
    plan = plan_recipe(recipe, tmp_path)
    arm = next(arm for arm in Ledger(tmp_path / "ledger").read().arms if arm.arm == "lightr")
    assert arm.amateur == "embedded/expert, first 2 layers"
    assert (
        {"rollouts", "derive", "scores", "samples", "train"} == arm.stages.keys() == arm.costs.seconds.keys()
    )
    made = artifact_of(tmp_path, plan, "derive")
    assert made.statistics["derived_divergence_last"] < made.statistics["derived_divergence_first"]
    assert artifact_of(tmp_path, plan, "samples").statistics["divergence"]["mean_kl"] > 0
    # It is a model folder like any other.
    model = locate(ModelReference(model=str(made.directory)), FileHashes())
    assert load_model(model, torch.device("cpu")).config.num_hidden_layers == 2


@pytest.mark.slow
def test_a_kill_changes_no_byte_of_the_amateur(
    derived: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = derived(distill_updates=5, arms=["lightr"])

    class EnoughError(BaseException):
        pass

    class KilledError(BaseException):
        pass

    def not_needed(*_: Any) -> None:
        raise EnoughError

    monkeypatch.setattr(PairScores, "work", not_needed)
    with pytest.raises(EnoughError):
        run_recipe(recipe, tmp_path / "whole")

    from lrbench.training import distilling

    step, calls = distilling._backward, []

    def killed(*arguments: Any) -> float:
        calls.append(1)
        if len(calls) == 4:
            raise KilledError
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(distilling, "_backward", killed)
        with pytest.raises(KilledError):
            run_recipe(recipe, tmp_path / "killed")
    with monkeypatch.context() as patched:
        calls.clear()
        patched.setattr(distilling, "_backward", lambda *arguments: calls.append(1) or step(*arguments))
        with pytest.raises(EnoughError):
            run_recipe(recipe, tmp_path / "killed")
    # Saved after every second update, so that the third alone is done again.
    assert len(calls) == 3
    plan = plan_recipe(recipe, tmp_path)
    whole, resumed = (artifact_of(tmp_path / name, plan, "derive") for name in ("whole", "killed"))
    assert whole.content_hash == resumed.content_hash


RECIPE = """\
name: written
pair:
  expert: {model: embedded/expert}
  amateur: AMATEUR
data: {train: embedded/multi_step, problems: 4}
training: {updates: 2, rollouts_per_update: 2}
arms: [base, lightr]
evaluation: {suite: embedded7, limit: 2}
"""


@pytest.mark.parametrize(
    ("amateur", "message"),
    [
        (
            "{model: embedded/amateur, derive: {from: expert, layers: 2, distill_updates: 3}}",
            r":4:38: pair\.amateur\.derive: given beside `model`, allowed is one of the two",
        ),
        ("{dtype: bfloat16}", r":4:3: pair\.amateur: needs one of `model` and `derive`"),
        ("{derive: {from: expert, layers: 2}}", r"pair\.amateur\.derive\.distill_updates: missing"),
        ("{derive: {layers: 2, distill_updates: 3}}", r"pair\.amateur\.derive\.from: missing"),
        (
            "{derive: {from: amateur, layers: 2, distill_updates: 3}}",
            r"pair\.amateur\.derive\.from: found the text .amateur., allowed is `expert`",
        ),
        (
            "{derive: {from: expert, layers: 0, distill_updates: 3}}",
            r"pair\.amateur\.derive\.layers: found 0, allowed is a whole number of at least 1",
        ),
        (
            "{derive: {from: expert, layer: 2, distill_updates: 3}}",
            r"pair\.amateur\.derive\.layer: .*`layers`",
        ),
    ],
)
def test_mistakes_are_told_where_they_are(tmp_path: Path, amateur: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("AMATEUR", amateur))
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_a_derivation_is_written_out_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("AMATEUR", "{derive: {from: expert, layers: 2, distill_updates: 3}}"))
    recipe = load_recipe(path, ["pair.amateur.derive.layers=3"])
    again = tmp_path / "again.yaml"
    again.write_text(resolved_yaml(recipe))
    assert load_recipe(again) == recipe
    assert recipe.pair.amateur_name == "embedded/expert, first 3 layers"
