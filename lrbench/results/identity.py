"""What a recipe makes of a record, without looking at models or files: an arm's id and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrbench.methods.fidelity import FIELD
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.plugins import identity_of, plugins_of
from lrbench.recipe.arms import Arm, matched, resolve_arms
from lrbench.recipe.identity import output_fields
from lrbench.recipe.schema import Recipe, Training
from lrbench.recipe.writing import labelled_by, sampling_of
from lrbench.store.keys import stable_hash

# The setting that says as which arm's adapter an arm's own begins.
START = "start"
# The field by which a target says which it is.
USE = "use"


def arm_id(recipe: str, arm: str, point: Mapping[str, Any], model: str) -> str:
    """The arm's name on the board: its model under its recipe's name, and where in a sweep it stands.

    `model` is as `model_of` gives it.
    """
    return stable_hash([recipe, arm, point, model])[:16]


def model_of(own: str, answering: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Identity of what answers: `own` for the arm's own model alone, else with all else that is read.

    `own` is the key of an adapter's stage, or for the untrained expert the hash of its identity; `answering`
    is the answer with the models that it reads, and `inputs` are the keys of the stages they come from.
    """
    return stable_hash([own, answering, inputs]) if answering else own


def arm_settings(recipe: Recipe, arm: Arm, texts: str) -> dict[str, Any]:
    """Everything that decided what an `arm` learnt and what answers, nothing for the untrained expert.

    `texts` identifies the problems that it was asked.
    """
    answering = _answering(recipe, arm)
    if arm.ingredients is None:
        changed = {} if arm.edit is None else {"change": arm.edit.model_dump(mode="json")}
        return answering | changed | _labelling(recipe, arm, texts) | plugins_of(arm.answer)
    ingredients = matched(arm, resolve_arms(recipe))
    sampling = output_fields(sampling_of(arm.ingredients.source, recipe.sampling))
    if not arm.ingredients.source.draws:
        del sampling["solutions"]
    return {
        "data": output_fields(recipe.data) | {"texts": texts},
        "sampling": sampling,
        **_settings_of(ingredients),
        "divergence": arm.divergence.model_dump(mode="json"),
        "training": arm.training.model_dump(mode="json"),
        **_fidelity(arm),
        **({} if arm.start is None else {START: arm.start}),
        **answering,
        **plugins_of(ingredients.selector, ingredients.target, arm.answer),
    }


def _labelling(recipe: Recipe, arm: Arm, texts: str) -> dict[str, Any]:
    """Of what a learnt route has its labels; an arm that is trained says the same of what it learns from."""
    if arm.answer.learnt is None:
        return {}
    to, _ = arm.answer.learnt
    sampling = output_fields(sampling_of(labelled_by(to), recipe.sampling))
    del sampling["solutions"]
    return {"data": output_fields(recipe.data) | {"texts": texts}, "sampling": sampling}


def _fidelity(arm: Arm) -> dict[str, Any]:
    """Which habits of the public scripts the arm has, where it has any."""
    return {FIELD: arm.fidelity.written} if arm.fidelity.hazards else {}


def _answering(recipe: Recipe, arm: Arm) -> dict[str, Any]:
    """What answers, where it is not the arm's own model alone, and the recipe's models that it reads."""
    if not identity_of(arm.answer):
        return {}
    others = {name: model for name, model in (recipe.models or {}).items() if name in arm.models}
    models = {"models": {name: output_fields(model) for name, model in others.items()}} if others else {}
    return {"answer": arm.answer.model_dump(mode="json")} | models


def _settings_of(ingredients: Ingredients) -> dict[str, Any]:
    """The components as a recipe writes them, without defaults that every arm had before it could choose."""
    written: dict[str, Any] = ingredients.model_dump(mode="json", exclude_defaults=True)
    if isinstance(written["target"], dict):
        # It is a default as well, but which target it is has to be said.
        written["target"] = {USE: ingredients.target.word} | written["target"]
    return written


def as_recorded(settings: Mapping[str, Any], recorded: Mapping[str, Any]) -> Mapping[str, Any]:
    """`settings` as the version that has `recorded` wrote them: earlier ones left out a target's `use`."""
    ours, theirs = settings.get("target"), recorded.get("target")
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or USE in theirs:
        return settings
    return {**settings, "target": {name: value for name, value in ours.items() if name != USE}}


def training_identity(training: Training) -> dict[str, Any]:
    """What of the training settings decides an adapter: not which arm is matched, nor the modules' order."""
    identity = training.model_dump(mode="json", exclude={"budget": {"match"}})
    identity["lora"]["target_modules"] = sorted(set(training.lora.target_modules))
    return identity
