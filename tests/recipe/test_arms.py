from __future__ import annotations

from typing import Any

import pytest

from lrbench.methods.presets import BY_NAME
from lrbench.recipe.arms import UNITS, Ingredients, resolve_arm, resolve_arms
from lrbench.recipe.schema import Budget, Recipe


def recipe_with(*arms: Any, **sections: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "r",
            "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
            "data": {"train": "embedded/multi_step", "problems": 8},
            "training": {"updates": 10, "rollouts_per_update": 4, "lora": {"r": 2, "alpha": 4.0}},
            "arms": list(arms),
            "evaluation": {"suite": "embedded7"},
        }
        | sections
    )


def test_every_known_arm_resolves_by_its_name_alone() -> None:
    recipe = recipe_with(*BY_NAME)
    for arm, (name, preset) in zip(resolve_arms(recipe), BY_NAME.items(), strict=True):
        assert (arm.name, arm.ingredients, arm.answer) == (name, preset.ingredients, preset.answer)
        assert arm.divergence == recipe.divergence
        rewarded = arm.ingredients is not None and arm.ingredients.objective.policy is not None
        # What is rewarded says itself how much an update takes.
        units = dict.fromkeys(UNITS) if rewarded else {}
        assert arm.training == recipe.training.model_copy(update=units)


def test_an_arm_varies_the_one_it_is_like() -> None:
    (arm,) = resolve_arms(recipe_with({"name": "mine", "like": "lightr", "selector": "all"}))
    assert arm.ingredients == Ingredients.model_validate(
        {"source": "greedy", "selector": "all", "target": "contrast"}
    )


def test_an_arm_takes_what_it_leaves_out_or_sets_to_null_from_the_recipe() -> None:
    training = {"updates": None, "learning_rate": 1e-3, "lora": {"r": 16, "alpha": None}}
    (arm,) = resolve_arms(
        recipe_with({"name": "lightr", "divergence": {"alpha": None, "beta": 0.1}, "training": training})
    )
    assert (arm.divergence.alpha, arm.divergence.beta) == (0.2, 0.1)
    assert (arm.training.updates, arm.training.learning_rate) == (10, 1e-3)
    assert (arm.training.lora.r, arm.training.lora.alpha) == (16, 4.0)


def test_an_arm_that_names_one_batch_unit_is_rid_of_the_other() -> None:
    (arm,) = resolve_arms(recipe_with({"name": "lightr", "training": {"steps_per_update": 32}}))
    assert (arm.training.rollouts_per_update, arm.training.steps_per_update) == (None, 32)


def test_an_arms_own_budget_replaces_the_recipes() -> None:
    training = {"updates": 10, "rollouts_per_update": 4, "budget": {"seconds": 60.0, "problems": 5}}
    same, own = resolve_arms(
        recipe_with(
            {"name": "sft", "training": {"budget": {"seconds": None}}},
            {"name": "lightr", "training": {"budget": {"match": "sft", "on": "problems"}}},
            training=training,
        )
    )
    assert same.training.budget == Budget(seconds=60.0, problems=5)
    assert own.training.budget == Budget(match="sft", on="problems")


def test_the_arm_that_all_are_matched_to_is_not_matched_itself() -> None:
    budget = {"match": "sft", "on": "tuned_tokens", "seconds": 9.0}
    training = {"updates": 10, "rollouts_per_update": 4, "budget": budget}
    sft, lightr = resolve_arms(recipe_with("sft", "lightr", training=training))
    assert sft.training.budget == Budget(seconds=9.0)
    assert lightr.training.budget == Budget(**budget)


@pytest.mark.parametrize(
    "settings",
    [{"target": "own_token"}, {"divergence": {"beta": 0.1}}, {"training": {"lora": {"r": 4}}}],
)
def test_the_base_takes_no_settings(settings: dict[str, Any]) -> None:
    recipe = recipe_with({"name": "base"} | settings)
    with pytest.raises(
        ValueError,
        match="the arm `base` is the expert, which is not trained; it takes no settings",
    ):
        resolve_arm(recipe, recipe.arms[0])


def test_an_unknown_arm_cannot_be_resolved() -> None:
    recipe = recipe_with("mine")
    with pytest.raises(ValueError, match="'mine' is not a known arm; known are: base, sft, lightr"):
        resolve_arm(recipe, recipe.arms[0])
