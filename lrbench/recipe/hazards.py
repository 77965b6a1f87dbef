"""Hazards of `fidelity` that an arm cannot have, as far as its recipe alone says.

A hazard that is named by itself and would change nothing is refused: who prices it would read a difference of
nought as its price. Of all of them together, `reference`, those without effect are remarked on by `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrbench.methods.fidelity import FIELD, HAZARDS, ROWS_PER_BATCH
from lrbench.methods.readings import PAIR
from lrbench.recipe.arms import Arm
from lrbench.recipe.messages import Path
from lrbench.recipe.schema import ArmDeclaration, Recipe

Finding = tuple[Path, str]
# The engine of this process.
HERE = "hf"


def hazard_problems(recipe: Recipe, arms: Sequence[Arm], sections: Mapping[str, Any]) -> Iterator[Finding]:
    """What the fidelity of `arms` asks for that cannot be, or that would change nothing."""
    places = written_at(recipe.arms)
    trained = [arm for arm in arms if arm.ingredients is not None]
    told: set[Finding] = set()
    for arm in trained:
        for message in _impossible(arm, sections):
            finding = (places[arm.name], message)
            if finding not in told:
                told.add(finding)
                yield finding
    for path in dict.fromkeys(places[arm.name] for arm in trained):
        having = [arm for arm in trained if places[arm.name] == path]
        if having[0].fidelity.is_reference:
            continue
        inert = [without_effect(arm) for arm in having]
        for name in having[0].fidelity.hazards:
            if all(name in reasons for reasons in inert):
                yield path, f"`{name}` would change nothing: {inert[0][name]}; leave it out"
    if recipe.fidelity.hazards and not trained and len(arms) == len(recipe.arms):
        yield (FIELD,), "would change nothing: no arm is trained; leave it out"


def written_at(declarations: Sequence[ArmDeclaration]) -> dict[str, Path]:
    """By arm, the field that says its fidelity: its own, or the recipe's."""
    return {
        arm.name: (FIELD,) if arm.fidelity is None else ("arms", place, FIELD)
        for place, arm in enumerate(declarations)
    }


def without_effect(arm: Arm) -> dict[str, str]:
    """The hazards of a trained arm that change nothing, whatever its models are, and why."""
    ingredients, found = arm.ingredients, {}
    if ingredients is None:
        return {}
    for name in arm.fidelity.hazards:
        stage = HAZARDS[name].stage
        if stage == "rollouts" and ingredients.source.stage != stage:
            found[name] = f"the arm `{arm.name}` writes no greedy rollouts"
        elif stage == "scores" and PAIR not in ingredients.readings:
            found[name] = f"the arm `{arm.name}` compares nothing with the amateur"
    if arm.fidelity.beta_included and ingredients.completed(arm.divergence).selector.threshold is None:
        found["beta_included"] = f"the selector of the arm `{arm.name}` goes by no beta"
    steps = arm.training.steps_per_update
    if arm.fidelity.accumulation_summed and steps is not None and steps <= ROWS_PER_BATCH:
        found["accumulation_summed"] = (
            f"an update of {steps} steps is one batch of at most {ROWS_PER_BATCH} rows, so nothing is summed"
        )
    return found


def _impossible(arm: Arm, sections: Mapping[str, Any]) -> Iterator[str]:
    assert arm.ingredients is not None
    if arm.fidelity.rows_shuffled and arm.training.steps_per_update is None:
        yield (
            "`rows_shuffled` takes steps by themselves, so it needs `training.steps_per_update` (the "
            f"scripts: 16) in place of `rollouts_per_update` for the arm `{arm.name}`; or give that arm "
            "another fidelity"
        )
    pair = sections.get("pair")
    deriving = pair is not None and pair.amateur is not None and pair.amateur.derive is not None
    written = [name for name in arm.fidelity.at("rollouts").hazards if name not in without_effect(arm)]
    if deriving and written:
        yield (
            f"{', '.join(f'`{name}`' for name in written)} cannot be with `pair.amateur.derive`, which has "
            "rollouts of its own; take an amateur that is there, or leave them out"
        )
    scored = arm.fidelity.at("scores").hazards
    if pair is not None and pair.align == "tokens" and scored and PAIR in arm.ingredients.readings:
        yield (
            f"{', '.join(f'`{name}`' for name in scored)} cannot be with `pair.align: tokens`, since the "
            "public scripts compare id by id; take another pair, or leave them out"
        )
    for name, section in (("stops_of_checkpoint", "sampling"), ("merged_in_bfloat16", "evaluation")):
        engine = sections[section].engine.name if section in sections else HERE
        if getattr(arm.fidelity, name) and engine != HERE and name not in without_effect(arm):
            yield (
                f"`{name}` cannot be with the engine `{engine}`, which ends answers and reads adapters by "
                f"itself; set {section}.engine.name to {HERE}, or leave it out"
            )
