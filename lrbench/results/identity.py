"""What a recipe makes of a record, without looking at models or files: an arm's id and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrbench.recipe.arms import Arm
from lrbench.recipe.identity import output_fields
from lrbench.recipe.schema import Recipe, Training
from lrbench.store.keys import stable_hash


def arm_id(recipe: str, arm: str, point: Mapping[str, Any], model: str) -> str:
    """The arm's name on the board: its model under its recipe's name, and where in a sweep it stands.

    `model` is the key of its adapter's stage, or for the untrained expert the hash of its identity.
    """
    return stable_hash([recipe, arm, point, model])[:16]


def arm_settings(recipe: Recipe, arm: Arm, texts: str) -> dict[str, Any]:
    """Everything that decided what a trained `arm` learnt; `texts` identifies the problems it was asked."""
    if arm.ingredients is None:
        return {}
    sampling = output_fields(recipe.sampling)
    if arm.ingredients.source != "solutions":
        del sampling["solutions"]
    return {
        "data": output_fields(recipe.data) | {"texts": texts},
        "sampling": sampling,
        "source": arm.ingredients.source,
        "selector": arm.ingredients.selector,
        "target": arm.ingredients.target,
        "divergence": arm.divergence.model_dump(mode="json"),
        "training": arm.training.model_dump(mode="json"),
    }


def training_identity(training: Training) -> dict[str, Any]:
    """What of the training settings decides an adapter: not which arm is matched, nor the modules' order."""
    identity = training.model_dump(mode="json", exclude={"budget": {"match"}})
    identity["lora"]["target_modules"] = sorted(set(training.lora.target_modules))
    return identity
