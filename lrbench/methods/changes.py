"""Changes: what of the expert moves while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from lrbench.methods.component import Component
from lrbench.methods.families import Family
from lrbench.methods.section import Section

# The engine that computes in this process, and so can add anything to what layers give.
HERE = "hf"


class Change(Component):
    """Base of all changes.

    `trains` says that it is learnt. `steers` says that only one vector for each layer learns, which is added
    to what the layer gives.
    """

    trains: ClassVar[bool] = True
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


class Edit(Change):
    """A change of some of the expert's own weights, that is made once and without training."""

    trains: ClassVar[bool] = False

    def unservable(self, engine: str) -> str | None:
        """The engine would have to load the changed model in the place of the expert."""
        if engine == HERE:
            return None
        return f"`change: {self.word}` makes a model that the engine {engine} does not have; use `{HERE}`"

    @property
    def unmergeable(self) -> str | None:
        """It is merged."""
        return None

    @property
    def identity(self) -> Mapping[str, Any]:
        """All of it, with what was not written at its default."""
        return {"change": {self.word: self.model_dump(mode="json")[self.word]}}

    @property
    def scaling(self) -> Scaling | None:
        """Which weights are multiplied, where some are."""
        return None

    @property
    def projection(self) -> Projection | None:
        """Which heads lose a direction, where some do."""
        return None


class Scaling(Section):
    """Weights are multiplied by `by` that matter most to one set of texts and not to another.

    Of every matrix of a layer the `share` with the largest |W| x |input| counts. Sets are `train`, the
    expert's own greedy rollouts of the training problems, and `general`, sentences that have nothing to do
    with them. With a seed in `drawn` as many weights of every matrix are chosen by chance: the control.
    """

    by: Annotated[float, Field(ge=0, le=100)]
    for_texts: Annotated[Literal["train", "general"], Field(alias="for")] = "train"
    against: Literal["train", "general"] = "general"
    share: Annotated[float, Field(gt=0, le=1)] = 0.01
    drawn: Annotated[int, Field(ge=0, lt=2**31)] | None = None

    model_config = ConfigDict(serialize_by_alias=True)


class Projection(Section):
    """Of the `heads` that do most to end early, what they write loses the direction from long to short texts.

    Texts are the expert's own greedy rollouts of the training problems with less than `short` tokens, and
    those with more than `long`.
    """

    short: Annotated[int, Field(ge=2, le=10**9)]
    long: Annotated[int, Field(ge=1, le=10**9)]
    heads: Annotated[int, Field(ge=1, le=10**6)]

    @model_validator(mode="after")
    def _apart(self) -> Projection:
        if self.short > self.long + 1:
            raise ValueError(
                f"texts of less than {self.short} tokens would be among those of more than {self.long}"
            )
        return self


class ScaleWeights(Edit):
    """Some weights are multiplied by a factor: those that matter for one kind of text and not for another."""

    word: ClassVar[str] = "scale_weights"

    scale_weights: Scaling

    @property
    def scaling(self) -> Scaling:
        """As it is written."""
        return self.scale_weights

    @property
    def label(self) -> str:
        """For people: `1.1 times the top 1% for train, not general`."""
        own = self.scale_weights
        which = "as many drawn as are" if own.drawn is not None else ""
        rule = f"top {100 * own.share:.4g}% for {own.for_texts}, not {own.against}"
        return " ".join(filter(None, [f"{own.by:g} times", which, f"the {rule}"]))


class ProjectHeads(Edit):
    """A direction is taken out of what some attention heads write."""

    word: ClassVar[str] = "project_heads"

    project_heads: Projection

    @property
    def projection(self) -> Projection:
        """As it is written."""
        return self.project_heads

    @property
    def label(self) -> str:
        """For people: `4 heads, under 12 against over 24 tokens`."""
        own = self.project_heads
        return f"{own.heads} heads, under {own.short} against over {own.long} tokens"


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


CHANGES: tuple[type[Change], ...] = (LowRank, Vectors, ScaleWeights, ProjectHeads)

CHANGE = Family(
    CHANGES, base=Change, closed="what moves is attached, saved, loaded and exported by lrbench's own stages"
)
AnyChange = Annotated[Change, CHANGE]
