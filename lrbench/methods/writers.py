"""Sources whose rollouts any model may write: the expert, another, or the expert with an arm's adapter."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from lrbench.methods.checks import AnyCheck, Anything, Right
from lrbench.methods.component import ARM, EXPERT
from lrbench.methods.source import CHECKED_STAGE, GREEDY_STAGE, WRITTEN_STAGE, Source

# The engine that computes in this process, and so can write with any model.
HERE = "hf"

Count = Annotated[int, Field(ge=1, le=10**15)]
Words = Annotated[str, Field(min_length=1)]


class Written(Source):
    """Rollouts of a `writer`: `expert`, `amateur`, a name under the recipe's `models`, or `arm:NAME`.

    It writes `samples` to each problem at `temperature`, 0 for the likeliest tokens, of at most
    `max_new_tokens` each; what is null is as `sampling.solutions` has it, and of greedy ones as `sampling`.
    `check` says which are kept. They are written under a `system_prompt` (null: that of `sampling`), which
    they are learnt without where `forget_prompt` says so. `problems` are the first ones that are asked.
    """

    word: ClassVar[str] = "writer"

    writer: Words
    samples: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    max_new_tokens: Count | None = None
    check: AnyCheck = Anything()
    system_prompt: Words | None = None
    forget_prompt: bool | None = None
    problems: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_forgotten(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("forget_prompt") is False:
            return {**value, "forget_prompt": None}
        return value

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.is_greedy and (self.samples or 1) > 1:
            raise ValueError(
                f"{self.samples} samples at temperature 0 would all be the same; give a temperature above 0"
            )
        if self.forget_prompt and self.system_prompt is None:
            raise ValueError("`forget_prompt` is given without the `system_prompt` that is to be forgotten")
        return self

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest tokens are written."""
        return self.temperature == 0

    @property
    def by_expert(self) -> bool:
        """Whether the untouched expert writes, under the prompt that is learnt under."""
        return self.writer == EXPERT and not self.forget_prompt

    @property
    def stage(self) -> str:
        """Those of the sources `greedy` and `solutions`, where it is one of these in other words."""
        if self.by_expert and self.is_greedy and type(self.check) is Anything:
            return GREEDY_STAGE
        if self.by_expert and not self.is_greedy and type(self.check) is Right:
            return CHECKED_STAGE
        return WRITTEN_STAGE

    @property
    def label(self) -> str:
        """For people: `right answers of teacher`."""
        return f"{self.check.label} of {self.writer}"

    @property
    def label_field(self) -> str | None:
        """The answer, where what is written is compared with it."""
        return "answer" if self.check.needs_answers else None

    @property
    def draws(self) -> bool:
        """Unless it is greedy."""
        return not self.is_greedy

    @property
    def first_problems(self) -> int | None:
        """As many as it says."""
        return self.problems

    @property
    def models(self) -> frozenset[str]:
        """The writer, and the expert, in whose tokens it is learnt from."""
        return frozenset({EXPERT, self.writer})

    def unservable(self, engine: str) -> str | None:
        """An engine that serves the expert can have adapters of it on, and is no other model."""
        if engine == HERE or self.writer == EXPERT or self.writer.startswith(ARM):
            return None
        return (
            f"the engine {engine} writes with the expert, and `{self.writer}` is another model; set "
            f"sampling.engine.name to `{HERE}`, or write with the expert or an `{ARM}NAME`"
        )
