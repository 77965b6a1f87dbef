"""Changes: what of the expert moves while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from lrbench.methods.component import Component
from lrbench.methods.families import Family

# The engine that computes in this process, and so can add anything to what layers give.
HERE = "hf"


class Change(Component):
    """Base of all changes.

    `steers` says that only one vector for each layer learns, which is added to what the layer gives.
    """

    steers: ClassVar[bool] = False

    def unservable(self, engine: str) -> str | None:
        """Why the engine called `engine` cannot write with a model so changed; None where it can."""
        if not self.steers or engine == HERE:
            return None
        return (
            f"`change: {self.word}` is no LoRA adapter, and the engine {engine} takes no others; use `{HERE}`"
        )

    @property
    def unmergeable(self) -> str | None:
        """Why it cannot become part of the model's own weights; None where it can."""
        if not self.steers:
            return None
        return f"`change: {self.word}` adds vectors that no weight of the model can hold"


class LowRank(Change):
    """A LoRA adapter, as `training.lora` has it."""

    word: ClassVar[str] = "lora"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: adapters were LoRA before they could be anything else."""
        return {}


class Vectors(Change):
    """Steering vectors: one for each layer, as wide as the model, added to what the layer's MLP gives.

    They begin at zero, as no change at all. `training.lora` is nothing to them.
    """

    word: ClassVar[str] = "vectors"
    steers: ClassVar[bool] = True

    @property
    def identity(self) -> Mapping[str, Any]:
        """Its name."""
        return {"change": self.word}


CHANGES: tuple[type[Change], ...] = (LowRank, Vectors)

CHANGE = Family(
    CHANGES, base=Change, closed="what moves is attached, saved, loaded and exported by lrbench's own stages"
)
AnyChange = Annotated[Change, CHANGE]
