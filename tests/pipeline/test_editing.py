"""An arm whose model is the expert with other weights: measured as any other, recorded with what made it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import UserError
from lrbench.pipeline.exporting.publishing import export_result
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger


def scaled(**settings: Any) -> dict[str, Any]:
    return {"scale_weights": {"share": 0.2, **settings}}


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(
        arms=[
            "base",
            {"name": "nothing", "like": "base", "change": scaled(by=1.0)},
            {"name": "other", "like": "base", "change": scaled(by=5.0)},
        ],
        data={"train": "embedded/multi_step", "problems": 6},
    )


def completions(runs: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for score in Ledger(runs / "ledger").read().scores:
        found.setdefault(score.arm, []).extend(item["completion"] for item in Inspector(runs).items(score))
    return found


def test_what_changes_nothing_answers_as_the_expert_and_what_changes_much_otherwise(runs: Path) -> None:
    written = completions(runs)
    assert written["nothing"] == written["base"]
    assert written["other"] != written["base"]


def test_its_costs_and_stages_are_recorded_and_it_is_another_model(runs: Path) -> None:
    arms = {arm.arm: arm for arm in Ledger(runs / "ledger").read().arms}
    assert len({arm.arm_id for arm in arms.values()}) == 3
    other = arms["other"]
    assert list(other.stages) == ["rollouts", "edit"]
    assert (other.costs.sampled_problems, other.costs.tuned_tokens, other.seed) == (6, 0, None)
    assert other.costs.sampled_tokens > 0
    assert other.settings["change"]["scale_weights"]["by"] == 5.0
    assert arms["base"].stages == {}
    # They stand on one board.
    weights = {score.expert_weights for score in Ledger(runs / "ledger").read().scores}
    assert len(weights) == 1


def test_a_second_run_has_nothing_to_do(recipe: Recipe, runs: Path, arms: dict[str, ArmPlan]) -> None:
    assert run_recipe(recipe, runs).worked == 0
    assert arms["other"].model != arms["base"].model


def test_where_no_rollout_is_short_or_long_it_is_said(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    heads = {"project_heads": {"short": 2, "long": 900, "heads": 1}}
    found = run_recipe(
        make_recipe(
            arms=[{"name": "heads", "like": "base", "change": heads}],
            data={"train": "embedded/multi_step", "problems": 6},
        ),
        tmp_path,
    )
    assert "have less than 2 tokens and 0 more than 900, and both are needed" in str(found.failures)


def test_an_export_says_where_the_model_is(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is the expert with other weights, a whole model that lies in"):
        export_result("tiny/other", runs, tmp_path / "to", merge=False)
