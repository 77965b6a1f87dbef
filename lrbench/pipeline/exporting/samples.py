"""An arm's kept steps, in the reference implementation's fields."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrbench.errors import UserError
from lrbench.pipeline.plan import plan_recipe
from lrbench.recipe.messages import did_you_mean
from lrbench.recipe.schema import Recipe
from lrbench.store.store import Store


def exported_samples(recipe: Recipe, arm: str, runs: Path) -> Iterator[dict[str, Any]]:
    """The kept steps of an arm of `recipe` that was run, in the reference implementation's fields.

    Raises `UserError` for an arm the recipe does not have, or has several of, that learns nothing, or was
    not run.
    """
    plan = plan_recipe(recipe, runs)
    named = [planned for planned in plan.arms if planned.arm.name == arm]
    if not named:
        arms = list(dict.fromkeys(planned.arm.name for planned in plan.arms))
        hint = did_you_mean(arm, arms)
        raise UserError(f"{recipe.name} has no arm {arm!r}; its arms are {', '.join(arms)}{hint}")
    if len(named) > 1:
        raise UserError(
            f"{recipe.name} has {len(named)} arms {arm!r}, by seeds and points; choose one with overrides "
            "such as seed=0 sweep=null"
        )
    adapter = named[0].adapter
    if adapter is None:
        raise UserError(f"the arm {arm!r} is not trained, so it has no samples")
    artifact = Store(runs / "store").find(adapter.samples.name, adapter.samples.key)
    if artifact is None:
        raise UserError(f"the samples of {arm!r} are not made yet; run the recipe first")
    from lrbench.models.loading import load_tokenizer
    from lrbench.sampling.samples import ROLLOUTS_FILE, STEPS_FILE, export_rows, read_samples

    samples = read_samples(artifact.file(ROLLOUTS_FILE), artifact.file(STEPS_FILE))
    return export_rows(samples, load_tokenizer(named[0].expert))
