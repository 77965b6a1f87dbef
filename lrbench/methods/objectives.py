"""Objectives: how far the model is from its targets, which is what training makes small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from lrbench.methods.component import Component
from lrbench.methods.families import Family
from lrbench.methods.rewards import GroupPolicy


class Objective(Component):
    """Base of all objectives."""

    @property
    def policy(self) -> GroupPolicy | None:
        """How the model in training is rewarded for what it writes; None where it learns from targets."""
        return None

    @property
    def writes(self) -> bool:
        """Whether the model in training writes what it learns from."""
        return self.policy is not None


class Forward(Objective):
    """The mean over kept steps of KL(target || model); with one token as target, the cross-entropy of SFT."""

    word: ClassVar[str] = "forward"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: adapters had this objective before they could have another."""
        return {}


class Grpo(Objective):
    """Rewards for right answers, each set against those of its group (GRPO, arXiv 2402.03300).

    `grpo` says how much is written for an update, and what is rewarded.
    """

    word: ClassVar[str] = "grpo"

    grpo: GroupPolicy

    @property
    def label(self) -> str:
        """How many answers are set against each other."""
        return f"GRPO in groups of {self.grpo.group}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that is said of it."""
        return {"objective": {self.word: self.grpo.model_dump(mode="json")}}

    @property
    def policy(self) -> GroupPolicy:
        """As it is written."""
        return self.grpo


OBJECTIVES: tuple[type[Objective], ...] = (Forward, Grpo)

OBJECTIVE = Family(
    OBJECTIVES, base=Objective, closed="the loss and its gradient are computed by lrbench's own training loop"
)
AnyObjective = Annotated[Objective, OBJECTIVE]
