"""What a recipe requires of this machine and of its expert, checked before anything is fetched or made."""

from __future__ import annotations

from pathlib import Path

from lrbench.pipeline.cuda import missing_devices
from lrbench.pipeline.hazards import inert_hazard
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.schema import Recipe
from lrbench.store.store import Store


def checked_plan(recipe: Recipe, runs: Path, store: Store, elsewhere: bool = False) -> Plan:
    """The work of `recipe`, with everything looked at that can be before anything is fetched or made.

    Raises `UserError` as `plan_recipe` and `check_requirements` do.
    """
    plan = plan_recipe(recipe, runs, fetch=False)
    for phase in plan.phases:
        check_requirements(phase, store, elsewhere)
    return plan


def fetched_plan(
    recipe: Recipe, runs: Path, store: Store, elsewhere: bool = False, settled: bool = False
) -> Plan:
    """The work of `recipe` with its models and data here; what can be said before they are fetched, is.

    `settled` is as of `plan_recipe`. Raises `UserError` as `checked_plan` and `plan_recipe` do.
    """
    checked_plan(recipe, runs, store, elsewhere)
    plan = plan_recipe(recipe, runs, settled=settled)
    inert = inert_hazard(plan.phases[0].arms)
    if inert is not None:
        raise inert
    return plan


def check_requirements(plan: Plan, store: Store, elsewhere: bool = False) -> None:
    """Raise `FieldError` when what is not finished of `plan` cannot be made here.

    Reads configs and tokenizers of models and no weights. `elsewhere` leaves out what another machine may
    well have.
    """
    waiting = [stage for stage in plan.stages if not store.exists(stage.name, stage.key)]
    for stage in waiting:
        stage.check_files()
    inert = inert_hazard(plan.arms)
    if inert is not None:
        raise inert
    missing = missing_devices(plan.recipe.runtime) if waiting and not elsewhere else None
    if missing is not None:
        raise missing
