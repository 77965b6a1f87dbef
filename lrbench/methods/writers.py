"""Sources whose rollouts any model may write: the expert, another, or the expert with an arm's adapter."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_serializer, model_validator

from lrbench.methods.checks import Agreement, AnyCheck, Anything, Right
from lrbench.methods.component import ARM, EXPERT
from lrbench.methods.section import Section
from lrbench.methods.shapes import AnyShape
from lrbench.methods.source import (
    AGREED_STAGE,
    CHECKED_STAGE,
    GREEDY_STAGE,
    MIXED_STAGE,
    REFERENCE_STAGE,
    SHAPED_STAGE,
    WRITTEN_STAGE,
    Source,
)

# The engine that computes in this process, and so can write with any model.
HERE = "hf"
# The writer that is no model: the data set, which has solutions of its own.
DATA = "data"
# What says how a model writes.
WRITING_FIELDS = ("samples", "temperature", "top_p", "max_new_tokens", "accept", "forget_prompt")

Count = Annotated[int, Field(ge=1, le=10**15)]
Words = Annotated[str, Field(min_length=1)]
# From the likeliest tokens that hold so much of the chance; 1 is from all, and so is what says nothing.
TopP = Annotated[float, Field(gt=0, le=1)]


def without_top_p(dumped: dict[str, Any]) -> dict[str, Any]:
    """A dumped source as it was before there was a `top_p`, where it has none."""
    return {name: value for name, value in dumped.items() if name != "top_p" or value is not None}


class Acceptance(Section):
    """What the model `by` has to say of every token that a writer draws: reverse speculative decoding.

    A drawn token is taken that has a probability of at least `above` there, at the temperature that is
    written at, and is among its `top` likeliest (null: all). After `tries` draws that are not taken, it draws
    the token itself, from its `top` likeliest.
    """

    by: Words = EXPERT
    above: Annotated[float, Field(ge=0)]
    tries: Count = 5
    top: Count | None = None


class Written(Source):
    """Rollouts of a `writer`: `expert`, `amateur`, a name under the recipe's `models`, or `arm:NAME`.

    It writes `samples` to each problem at `temperature`, 0 for the likeliest tokens, of at most
    `max_new_tokens` each; what is null is as `sampling.solutions` has it, and of greedy ones as `sampling`.
    With `top_p` it draws from the likeliest tokens alone that hold so much of the chance at that temperature.
    `check` says which are kept, and `shape` what is made of them. They are written under a `system_prompt`
    (null: that of `sampling`), which they are learnt without where `forget_prompt` says so. `problems` are
    the first ones that are asked. With `accept` another model has a say in every token. The writer `data` is
    the data set, with its own solutions.
    """

    word: ClassVar[str] = "writer"

    writer: Words
    samples: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: TopP | None = None
    max_new_tokens: Count | None = None
    accept: Acceptance | None = None
    check: AnyCheck = Anything()
    shape: AnyShape | None = None
    system_prompt: Words | None = None
    forget_prompt: bool | None = None
    problems: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_said(cls, value: Any) -> Any:
        """What changes nothing is as if it were not there."""
        if not isinstance(value, dict):
            return value
        nothing = [
            name
            for name, given in value.items()
            if (name == "forget_prompt" and given is False)
            or (name == "top_p" and given == 1 and given is not True)
        ]
        return {**value, **dict.fromkeys(nothing)}

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        return without_top_p(handler(self))

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.is_data:
            asked = [name for name in WRITING_FIELDS if getattr(self, name) is not None]
            if type(self.check) is not Anything:
                asked.append("check")
            if asked:
                raise ValueError(
                    f"`{asked[0]}` says how a model writes, and the writer `{DATA}` is the data set itself"
                )
        if self.is_greedy and (self.samples or 1) > 1:
            raise ValueError(
                f"{self.samples} samples at temperature 0 would all be the same; give a temperature above 0"
            )
        if self.is_greedy and self.top_p is not None:
            raise ValueError("`top_p` says what is drawn from; give a temperature above 0")
        if self.is_greedy and self.accept is not None:
            raise ValueError("`accept` takes or leaves tokens that are drawn; give a temperature above 0")
        if self.forget_prompt and self.system_prompt is None:
            raise ValueError("`forget_prompt` is given without the `system_prompt` that is to be forgotten")
        asked_freely = not self.is_data and type(self.check) is Anything
        if self.shape is not None and self.shape.ends_right and not asked_freely:
            raise ValueError(
                f"`{self.shape.word}` takes right and wrong answers, so it needs a model as writer and the "
                f"check `{Anything.word}`"
            )
        return self

    @property
    def is_data(self) -> bool:
        """Whether the data set's own solutions are meant."""
        return self.writer == DATA

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest tokens are written."""
        return self.temperature == 0

    @property
    def by_expert(self) -> bool:
        """Whether the untouched expert writes by itself, under the prompt that is learnt under."""
        return self.writer == EXPERT and not self.forget_prompt and self.accept is None

    @property
    def by_learner(self) -> bool:
        """Where the expert writes by itself, and what it writes is learnt from as it is."""
        written = (GREEDY_STAGE, CHECKED_STAGE, WRITTEN_STAGE)
        return self.writer == EXPERT and self.accept is None and self.stage in written

    @property
    def written_by(self) -> str:
        """The name of the stage that writes: that of `greedy` or `solutions`, where it is one of these."""
        if self.is_data:
            return REFERENCE_STAGE
        checked = type(self.check)
        if self.by_expert and self.is_greedy and checked in (Anything, Agreement):
            return GREEDY_STAGE
        if self.by_expert and not self.is_greedy and self.top_p is None and checked is Right:
            return CHECKED_STAGE
        return WRITTEN_STAGE

    @property
    def stage(self) -> str:
        """That of the shape, of the model that has to agree, or of the writer, whichever is last."""
        if self.shape is not None:
            return SHAPED_STAGE
        return AGREED_STAGE if isinstance(self.check, Agreement) else self.written_by

    @property
    def label(self) -> str:
        """For people: `right answers of teacher (prune)`."""
        shaped = "" if self.shape is None else f" ({self.shape.label})"
        accepted = "" if self.accept is None else f", accepted by {self.accept.by}"
        return f"{'solutions' if self.is_data else self.check.label} of {self.writer}{accepted}{shaped}"

    @property
    def label_field(self) -> str | None:
        """The answer, where what is written is compared with it, and the solution, where it is that."""
        if self.is_data:
            return "solution"
        shape = self.shape is not None and self.shape.needs_answers
        return "answer" if self.check.needs_answers or shape else None

    @property
    def is_right(self) -> bool:
        """Where that is what is checked, or what a correction ends with."""
        return type(self.check) is Right or (self.shape is not None and self.shape.ends_right)

    @property
    def draws(self) -> bool:
        """Unless it is greedy, or given."""
        return not self.is_greedy and not self.is_data

    @property
    def first_problems(self) -> int | None:
        """As many as it says."""
        return self.problems

    @property
    def models(self) -> frozenset[str]:
        """The writer, who accepts and checks it, and the expert, in whose tokens it is learnt from."""
        accepting = frozenset() if self.accept is None else frozenset({self.accept.by})
        return (frozenset({EXPERT, self.writer}) | accepting | self.check.models) - {DATA}

    def unservable(self, engine: str) -> str | None:
        """An engine that serves the expert can have adapters of it on, and is no other model."""
        others = [name for name in sorted(self.models) if name != EXPERT and not name.startswith(ARM)]
        if engine == HERE:
            return None
        if self.accept is not None:
            return (
                f"with `accept` two models have a say in every token, which the engine {engine} leaves to "
                f"the one model it serves; set sampling.engine.name to `{HERE}`"
            )
        if not others:
            return None
        return (
            f"the engine {engine} writes with the expert, and `{others[0]}` is another model; set "
            f"sampling.engine.name to `{HERE}`, or write with the expert or an `{ARM}NAME`"
        )


class Share(Written):
    """One part of a mixture: a writer, and its `share` of the rollouts in proportion to all shares."""

    share: Annotated[float, Field(ge=0)]


class Mixture(Source):
    """Rollouts of several writers, a problem's of one of them, in proportion to their shares.

    What is left out so that the proportion holds is counted. A part with the share 0 is not written.
    """

    word: ClassVar[str] = "mixture"

    mix: Annotated[tuple[Share, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if not self.parts:
            raise ValueError("every share is 0; give one of the writers a share of the rollouts")
        prompts = {part.system_prompt for part in self.parts if not part.forget_prompt}
        forgotten = {None for part in self.parts if part.forget_prompt}
        if len(prompts | forgotten) > 1:
            raise ValueError(
                "its parts are learnt under different system prompts; set `forget_prompt` where only the "
                "writer is to see one"
            )
        return self

    @property
    def parts(self) -> tuple[Share, ...]:
        """Those with a share."""
        return tuple(part for part in self.mix if part.share > 0)

    @property
    def stage(self) -> str:
        """That of the only part, where there is no other."""
        return MIXED_STAGE if len(self.parts) > 1 else self.parts[0].stage

    @property
    def label(self) -> str:
        """For people: `answers of teacher : answers of expert, 1 : 4`."""
        shares = " : ".join(f"{part.share:g}" for part in self.parts)
        return f"{' : '.join(part.label for part in self.parts)}, {shares}"

    @property
    def label_field(self) -> str | None:
        """Of the first part that has one."""
        return next((field for part in self.parts if (field := part.label_field)), None)

    @property
    def draws(self) -> bool:
        """Whether a part does."""
        return any(part.draws for part in self.parts)

    @property
    def models(self) -> frozenset[str]:
        """Those of all parts."""
        return frozenset().union(*(part.models for part in self.parts))

    def unservable(self, engine: str) -> str | None:
        """Of the first part that cannot be written."""
        return next((told for part in self.parts if (told := part.unservable(engine))), None)
