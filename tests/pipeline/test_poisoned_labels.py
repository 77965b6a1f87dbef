"""Garbage for every label: what is said to use none stays the same to the byte, and all else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.embedded import assets
from lrbench.methods.presets import BY_NAME, uses_labels
from lrbench.pipeline.plan import ArmPlan, Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.base import Stage
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.results.uses import ArmsInUse
from lrbench.store.store import Store

GARBAGE = "garbage"
MADE = [name for name, preset in BY_NAME.items() if preset.ingredients or preset.edit]
# What presets say of longer answers is said of such as the embedded expert gives.
FITTED = {
    "thinkedit": {"change": {"project_heads": {"short": 22, "long": 22, "heads": 1}}},
    "sert": {"source": {"writer": "expert", "temperature": 1.3, "shape": {"longer_than": 4}}},
}


UNLABELLED = [name for name in MADE if not uses_labels(name)]


def made_of(arm: ArmPlan) -> Stage:
    """The last stage of what an arm is."""
    made = arm.adapter or arm.answered_by.edited
    assert made is not None
    return made


@pytest.fixture(scope="module")
def recipes(
    make_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Callable[[list[str]], Recipe], Callable[[list[str]], Recipe]]:
    """What makes a recipe of some presets, with the labels as they are and with garbage for all of them."""
    folder = tmp_path_factory.mktemp("labels")

    def with_labels(label: str | None) -> Callable[[list[str]], Recipe]:
        file = folder / f"{label or 'true'}.jsonl"
        with file.open("w") as stream:
            for row in assets.problems("one_step", "train")[:6]:
                labels = {name: label or row[name] for name in ("answer", "solution")}
                stream.write(json.dumps({"id": row["id"], "problem": row["problem"], **labels}) + "\n")
        return lambda names: make_recipe(
            arms=["base", *({"name": name, "like": name} | FITTED.get(name, {}) for name in names)],
            data={"train": str(file), "problems": 6},
            pair={"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
            models={"teacher": {"model": "embedded/careful"}, "mentor": {"model": "embedded/peer"}},
            sampling={"max_new_tokens": 48, "solutions": {"max_new_tokens": 48}},
            training={"updates": 1, "rollouts_per_update": 4, "learning_rate": 1e-3},
            evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 1},
        )

    return with_labels(None), with_labels(GARBAGE)


def by_name(plan: Plan) -> dict[str, ArmPlan]:
    return {arm.arm.name: arm for arm in plan.arms if arm.arm.name != "base"}


def test_labels_are_part_of_what_an_arm_is_where_it_uses_them_and_nowhere_else(
    recipes: tuple[Callable[[list[str]], Recipe], ...], tmp_path: Path
) -> None:
    true, garbage = (by_name(plan_recipe(recipe(MADE), tmp_path)) for recipe in recipes)
    same = [name for name in MADE if made_of(true[name]).key == made_of(garbage[name]).key]
    assert same == UNLABELLED


def test_garbage_labels_change_no_byte_of_what_is_said_to_use_none(
    recipes: tuple[Callable[[list[str]], Recipe], ...],
    tmp_path: Path,
) -> None:
    contents = []
    for world, recipe_of in enumerate(recipes):
        runs = tmp_path / str(world)
        recipe = recipe_of(UNLABELLED)
        report = run_recipe(recipe, runs)
        assert not report.failures, report.failures
        store, arms = Store(runs / "store"), by_name(plan_recipe(recipe, runs))
        found = {
            name: store.find(made.name, made.key) for name, arm in arms.items() for made in [made_of(arm)]
        }
        contents.append({name: artifact.content_hash for name, artifact in found.items() if artifact})
        records = Ledger(runs / "ledger").read().arms
        used = ArmsInUse(records)
        assert {record.arm: used.of(record, []).labels for record in records} == dict.fromkeys(
            ["base", *UNLABELLED], False
        )
    assert sorted(contents[0]) == sorted(UNLABELLED)
    assert contents[0] == contents[1]
