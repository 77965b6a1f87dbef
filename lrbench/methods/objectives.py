"""Objectives: how far the model is from its targets, which is what training makes small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from lrbench.methods.component import Component
from lrbench.methods.families import Family


class Objective(Component):
    """Base of all objectives."""


class Forward(Objective):
    """The mean over kept steps of KL(target || model); with one token as target, the cross-entropy of SFT."""

    word: ClassVar[str] = "forward"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: adapters had this objective before they could have another."""
        return {}


OBJECTIVES: tuple[type[Objective], ...] = (Forward,)

OBJECTIVE = Family(
    OBJECTIVES, base=Objective, closed="the loss and its gradient are computed by lrbench's own training loop"
)
AnyObjective = Annotated[Objective, OBJECTIVE]
