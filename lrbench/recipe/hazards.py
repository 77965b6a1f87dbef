"""Hazards of `fidelity` that an arm cannot have, as far as its recipe alone says.

One that is named by itself and would change nothing is refused; of all of them together, `reference`, those
without effect are remarked on by `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrbench.methods.fidelity import FIELD
from lrbench.methods.inert import impossible, without_effect
from lrbench.recipe.arms import Arm
from lrbench.recipe.messages import Path
from lrbench.recipe.schema import ArmDeclaration, Recipe

Finding = tuple[Path, str]


def hazard_problems(recipe: Recipe, arms: Sequence[Arm], sections: Mapping[str, Any]) -> Iterator[Finding]:
    """What the fidelity of `arms` asks for that cannot be, or that would change nothing."""
    places = written_at(recipe.arms)
    trained = [arm for arm in arms if arm.ingredients is not None]
    told: dict[Finding, None] = {}
    for arm in trained:
        told |= {(places[arm.name], message): None for message in _impossible(arm, sections)}
    yield from told
    for path in dict.fromkeys(places[arm.name] for arm in trained):
        having = [arm for arm in trained if places[arm.name] == path]
        if having[0].fidelity.is_reference:
            continue
        inert = [inert_by_recipe(arm) for arm in having]
        for name in having[0].fidelity.hazards:
            if all(name in reasons for reasons in inert):
                yield path, refusal(name, inert[0][name])
    if recipe.fidelity.hazards and not trained and len(arms) == len(recipe.arms):
        yield (FIELD,), "would change nothing: no arm is trained; leave it out"


def written_at(declarations: Sequence[ArmDeclaration]) -> dict[str, Path]:
    """By arm, the field that says its fidelity: its own, or the recipe's."""
    return {
        arm.name: (FIELD,) if arm.fidelity is None else ("arms", place, FIELD)
        for place, arm in enumerate(declarations)
    }


def refusal(hazard: str, reason: str) -> str:
    """What is said of a hazard that is named by itself and changes nothing."""
    return f"`{hazard}` would change nothing: {reason}; leave it out"


def inert_by_recipe(arm: Arm) -> dict[str, str]:
    """The hazards of an arm that change nothing, whatever its models are, and why."""
    if arm.ingredients is None:
        return {}
    completed = arm.ingredients.completed(arm.divergence)
    return without_effect(arm.name, arm.fidelity, completed, arm.training.steps_per_update)


def _impossible(arm: Arm, sections: Mapping[str, Any]) -> Iterator[str]:
    assert arm.ingredients is not None
    pair = sections.get("pair")
    amateur = None if pair is None else pair.amateur
    engines = {name: sections[name].engine.name for name in ("sampling", "evaluation") if name in sections}
    return impossible(
        arm.name,
        arm.fidelity,
        arm.ingredients,
        steps_per_update=arm.training.steps_per_update,
        aligned=pair is not None and pair.align == "tokens",
        derived=amateur is not None and amateur.derive is not None,
        engines=engines,
    )
