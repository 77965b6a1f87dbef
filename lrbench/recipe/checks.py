"""Fields that have to fit each other, and settings that have no effect.

Each check takes the sections it needs, so that one section's mistake does not hide another's. What
comes out is a path and a message; `lrbench.recipe.loading` knows the positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrbench.recipe.arms import KNOWN_ARMS, Arm, resolve_arm, resolve_arms
from lrbench.recipe.messages import Path, excerpt
from lrbench.recipe.references import Origin, origin_of_model
from lrbench.recipe.schema import ArmDeclaration, Divergence, EngineChoice, Evaluation, Recipe, Training

Finding = tuple[Path, str]

BATCH_UNITS = ("rollouts_per_update", "steps_per_update")


def misfits(sections: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything in the valid `sections` of a recipe (by field name) that does not fit together."""
    if "divergence" in sections:
        yield from _threshold(sections["divergence"])
    if "training" in sections:
        yield from _batch_unit(sections["training"])
    if "evaluation" in sections:
        yield from _choice_of_items(sections["evaluation"])
    for section in ("sampling", "evaluation"):
        if section in sections:
            yield from _missing_address(sections[section].engine, section)
    if "arms" in sections:
        yield from _repeated_names(sections["arms"])
    if {"arms", "divergence", "training"} <= sections.keys():
        # Only these three are read while arms are resolved.
        recipe = Recipe.model_construct(**sections)
        arms: list[Arm] = []
        for place, declaration in enumerate(recipe.arms):
            if (declaration.like or declaration.name) in KNOWN_ARMS:
                try:
                    arms.append(resolve_arm(recipe, declaration))
                except ValueError as error:
                    yield ("arms", place), str(error)
                    continue
                yield from _own_settings(declaration, arms[-1], recipe, ("arms", place))
        if "pair" in sections and sections["pair"].amateur is None:
            yield from _missing_amateur(arms)


def _threshold(divergence: Divergence) -> Iterator[Finding]:
    if divergence.alpha < divergence.alpha_min:
        given = "alpha" if "alpha" in divergence.model_fields_set else "alpha_min"
        yield ("divergence", given), _below(divergence)


def _below(divergence: Divergence) -> str:
    return (
        f"alpha is {divergence.alpha:g} and divergence.alpha_min is {divergence.alpha_min:g}, allowed is an "
        "alpha of at least alpha_min, since scores are stored only down to there"
    )


def _batch_unit(training: Training) -> Iterator[Finding]:
    given = [unit for unit in BATCH_UNITS if getattr(training, unit) is not None]
    if not given:
        yield ("training",), "needs one of `rollouts_per_update` and `steps_per_update`"
    elif len(given) == 2:
        message = (
            "given beside `rollouts_per_update`, allowed is one of the two (null switches the other off)"
        )
        yield ("training", "steps_per_update"), message


def _choice_of_items(evaluation: Evaluation) -> Iterator[Finding]:
    if evaluation.limit is not None and evaluation.items is not None:
        message = "given beside `limit`, allowed is one of the two (null switches the other off)"
        yield ("evaluation", "items"), message
    for field in ("benchmarks", "items"):
        names: tuple[str, ...] = getattr(evaluation, field) or ()
        for place, name in enumerate(names):
            if name in names[:place]:
                yield ("evaluation", field, place), f"`{excerpt(name)}` stands twice in the list"


def _missing_address(engine: EngineChoice, section: str) -> Iterator[Finding]:
    if engine.name == "server" and engine.url is None:
        message = "missing; the engine `server` needs its address, such as http://127.0.0.1:8000"
        yield (section, "engine", "url"), message


def _repeated_names(arms: tuple[ArmDeclaration, ...]) -> Iterator[Finding]:
    places: dict[str, int] = {}
    for place, arm in enumerate(arms):
        first = places.setdefault(arm.name, place)
        if first != place:
            message = f"the name `{arm.name}` is also that of arms.{first}; give each arm a `name` of its own"
            yield ("arms", place, "name"), message


def _own_settings(declaration: ArmDeclaration, arm: Arm, recipe: Recipe, path: Path) -> Iterator[Finding]:
    own = declaration.divergence.alpha
    if own is not None and own < recipe.divergence.alpha_min:
        yield (*path, "divergence", "alpha"), _below(arm.divergence)
    if all(getattr(declaration.training, unit) is not None for unit in BATCH_UNITS):
        message = "given beside `rollouts_per_update`, allowed is one of the two"
        yield (*path, "training", "steps_per_update"), message


def _missing_amateur(arms: list[Arm]) -> Iterator[Finding]:
    scoring = [arm.name for arm in arms if arm.ingredients and arm.ingredients.needs_scores]
    if scoring:
        message = f"missing; the arm `{scoring[0]}` compares the expert with an amateur"
        yield ("pair", "amateur"), message


def ignored_settings(recipe: Recipe) -> Iterator[Finding]:
    """Settings of a valid recipe that are written down but change nothing."""
    arms = resolve_arms(recipe)
    yield from _ignored_revisions(recipe)
    if "seed" in recipe.data.model_fields_set and recipe.data.selection == "first":
        yield ("data", "seed"), "ignored, because `selection` is `first`"
    if recipe.pair.amateur is not None and not any(_needs_scores(arm) for arm in arms):
        yield ("pair", "amateur"), "ignored, because no arm compares the expert with an amateur"
    for name in sorted(recipe.divergence.model_fields_set):
        if not any(_uses(arm, name) for arm in arms):
            yield ("divergence", name), f"ignored, because no arm {DIVERGENCE_USES[name]}"
    samples = any(arm.ingredients and arm.ingredients.source == "solutions" for arm in arms)
    if "solutions" in recipe.sampling.model_fields_set and not samples:
        yield ("sampling", "solutions"), "ignored, because no arm learns from sampled solutions"
    for section, engine in (("sampling", recipe.sampling.engine), ("evaluation", recipe.evaluation.engine)):
        for name in sorted(engine.model_fields_set - {"name"}):
            if engine.name != "server" and getattr(engine, name) is not None:
                yield (section, "engine", name), f"ignored, because the engine is `{engine.name}`"
    for place, (declaration, arm) in enumerate(zip(recipe.arms, arms, strict=True)):
        for name in ("alpha", "beta"):
            if getattr(declaration.divergence, name) is not None and not _uses(arm, name):
                message = f"ignored, because this arm does not use it: {DIVERGENCE_NEEDS[name]}"
                yield ("arms", place, "divergence", name), message


DIVERGENCE_USES = {
    "alpha": "has the target `contrast`",
    "beta": "has the selector `kl`",
    "alpha_min": "needs scores",
}
DIVERGENCE_NEEDS = {
    "alpha": "its target is not `contrast`",
    "beta": "its selector is not `kl`",
}


def _needs_scores(arm: Arm) -> bool:
    return arm.ingredients is not None and arm.ingredients.needs_scores


def _uses(arm: Arm, name: str) -> bool:
    """Whether a field of `divergence` has any effect on `arm`."""
    if arm.ingredients is None:
        return False
    match name:
        case "alpha":
            return arm.ingredients.target == "contrast"
        case "beta":
            return arm.ingredients.selector == "kl"
        case _:
            return arm.ingredients.needs_scores


def _ignored_revisions(recipe: Recipe) -> Iterator[Finding]:
    for role in ("expert", "amateur"):
        model = getattr(recipe.pair, role)
        if (
            model is not None
            and model.revision is not None
            and origin_of_model(model.model) is not Origin.HUB
        ):
            yield ("pair", role, "revision"), "ignored, because only models from the hub have revisions"
