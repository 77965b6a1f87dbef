"""Changes: what of the expert moves while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from lrbench.methods.component import Component
from lrbench.methods.families import Family


class Change(Component):
    """Base of all changes."""


class LowRank(Change):
    """A LoRA adapter, as `training.lora` has it."""

    word: ClassVar[str] = "lora"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: adapters were LoRA before they could be anything else."""
        return {}


CHANGES: tuple[type[Change], ...] = (LowRank,)

CHANGE = Family(
    CHANGES, base=Change, closed="what moves is attached, saved, loaded and exported by lrbench's own stages"
)
AnyChange = Annotated[Change, CHANGE]
