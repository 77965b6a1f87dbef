"""`controls: lightr`: the arms that a claim for an arm has to be held against, added to those declared."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lrbench.methods.controls import BEYOND, CONTROLS, SEVERAL, Control, at_odds, entries
from lrbench.methods.objectives import OBJECTIVE
from lrbench.methods.presets import BY_NAME, UNTRAINED
from lrbench.recipe.measuring import is_sampled

if TYPE_CHECKING:
    from lrbench.recipe.schema import Recipe


def with_controls(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """The recipe as written with the controls that it asks for among its arms; those it has stay as they are.

    What is no valid recipe comes back as it is, for the schema to say why.
    """
    controls, arms = written.get("controls"), written.get("arms")
    declared = {"of": controls} if isinstance(controls, str) else controls
    if not isinstance(declared, Mapping) or not isinstance(arms, list | tuple):
        return written
    subject = next((entry for entry in map(entry_of, arms) if entry.get("name") == declared.get("of")), None)
    if subject is None or (subject.get("like") or subject["name"]) not in BY_NAME:
        return written
    names = {entry.get("name") for entry in map(entry_of, arms)}
    found = entries(subject, _given(declared))
    engine, drawn = _engine(written.get("evaluation")), is_sampled(written.get("measure"))
    odd = _at_odds(subject)
    added = [
        entry
        for name, entry in found.items()
        if name not in names and name not in odd and not _unfit(name, engine, drawn)
    ]
    return {**written, "arms": [*arms, *added]}


def missing_controls(recipe: Recipe) -> list[str]:
    """Every control that claims of the recipe are not held against, and why or what it asks."""
    if recipe.controls is None and not recipe.claims:
        return []
    missing = []
    subject = None if recipe.controls is None else recipe.controls.of
    odd = _at_odds(next((entry_of(arm) for arm in recipe.arms if arm.name == subject), {}))
    for control in absent_controls(recipe):
        engine, drawn = recipe.evaluation.engine.name, is_sampled(recipe.measure)
        reason = odd.get(control.name) or _unfit(control.name, engine, drawn) or control.asks
        if control.given is not None and recipe.controls is not None:
            reason = f"`controls: {{of: ARM, {control.given}}}` says which"
        missing.append(f"{control.name} ({reason})")
    several = recipe.seeds is not None and len(recipe.seeds) > 1
    beyond = {name: reason for name, reason in BEYOND.items() if name != SEVERAL or not several}
    return [*missing, *(f"{name} ({reason})" for name, reason in beyond.items())]


def absent_controls(recipe: Recipe) -> list[Control]:
    """The controls of which the recipe has no arm by that name."""
    names = {arm.name for arm in recipe.arms}
    return [control for control in CONTROLS if control.name not in names]


def _at_odds(subject: Mapping[str, Any]) -> dict[str, str]:
    """The controls that the objective of the subject, an entry, does not go with, and why."""
    preset, objective = BY_NAME.get(subject.get("like") or subject.get("name") or ""), None
    if subject.get("objective") is not None:
        # What is no objective is for the schema to say.
        with suppress(ValueError):
            objective = OBJECTIVE.read(subject["objective"])
    elif preset is not None and preset.ingredients is not None:
        objective = preset.ingredients.objective
    if objective is None:
        return {}
    reasons = {control.name: at_odds(control, objective) for control in CONTROLS}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _given(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The answers that `controls`, as written, gives some of them."""
    word, forced = declared.get("prefill"), declared.get("forced")
    given: dict[str, Any] = {}
    if isinstance(word, str):
        given["prefill"] = {"prefill": word}
    if forced is not None:
        given["forced"] = forced
    return given


def entry_of(arm: Any) -> Mapping[str, Any]:
    """An arm as a mapping, however it is written; empty for what is no arm."""
    if isinstance(arm, str):
        return {"name": arm}
    if isinstance(arm, Mapping):
        return arm
    dumped = getattr(arm, "model_dump", None)
    return {} if dumped is None else dumped(mode="json", exclude_unset=True)


def _engine(evaluation: Any) -> str | None:
    """The name of the engine that `evaluation`, as written, asks for; None where it says none."""
    engine = evaluation.get("engine") if isinstance(evaluation, Mapping) else None
    chosen = engine.get("name") if isinstance(engine, Mapping) else None
    return chosen if isinstance(chosen, str) else None


def _unfit(name: str, engine: str | None, drawn: bool) -> str | None:
    """Why the answers of a control cannot be measured: by the engine, or `drawn` several times; else None."""
    preset = BY_NAME.get(name)
    if preset is None:
        return None
    if drawn and not preset.answer.drawn:
        return f"sampled answers have it beside them: maj@k of {UNTRAINED.name}"
    return None if engine is None else preset.answer.unservable(engine)
