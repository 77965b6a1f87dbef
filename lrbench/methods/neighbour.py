"""A related system as data: the arm that it is here, and its card."""

from __future__ import annotations

from dataclasses import dataclass

from lrbench.methods.answer import OWN
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.learner import MOVING
from lrbench.methods.preset import Preset

# What a recipe with a preset that has a stronger model calls it, under `models`.
TEACHER = "teacher"


@dataclass(frozen=True)
class Neighbour:
    """The `preset` of a related system and its card.

    `source` is where it was published, `implemented` what of it there is here, and `deviations` what is not
    as it was published.
    """

    preset: Preset
    title: str
    source: str
    implemented: str
    deviations: str

    @property
    def uses_another_model(self) -> bool:
        """Whether it reads a model besides the pair, such as a stronger one."""
        ingredients = self.preset.ingredients
        models = self.preset.answer.models | (ingredients.models if ingredients else frozenset())
        known = {EXPERT, AMATEUR, OWN, *MOVING}
        return any(name not in known and not name.startswith(ARM) for name in models)
