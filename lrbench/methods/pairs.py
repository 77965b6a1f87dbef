"""Sources of pairs: two answers to the same problem, one of which shall be preferred to the other."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_serializer, model_validator

from lrbench.methods.checks import Anything
from lrbench.methods.source import PAIRS_STAGE, Source
from lrbench.methods.writers import Count, TopP, Words, Written, without_top_p

Most = Annotated[int, Field(ge=1, le=10**6)]


class Paired(Source):
    """Base of both: a chosen and a rejected answer to a problem."""

    @property
    def sides(self) -> tuple[Written, Written]:
        """Where chosen answers come from, and rejected ones; the same where it is judged which is which."""
        raise NotImplementedError

    @property
    def at_most(self) -> int:
        """How many pairs of one problem are learnt from."""
        raise NotImplementedError

    @property
    def judged(self) -> bool:
        """Whether right answers are chosen and wrong ones rejected."""
        return False

    @property
    def parts(self) -> tuple[Source, ...]:
        """What is written for it."""
        return self.sides[:1] if self.sides[0] == self.sides[1] else self.sides

    @property
    def stage(self) -> str:
        """That of pairs."""
        return PAIRS_STAGE

    @property
    def label_field(self) -> str | None:
        """The answer, where what is written is compared with it, or else what a side cannot do without."""
        if self.judged:
            return "answer"
        return next((field for side in self.sides if (field := side.label_field)), None)

    @property
    def draws(self) -> bool:
        """Where one of them is sampled."""
        return any(side.draws for side in self.sides)

    @property
    def first_problems(self) -> int | None:
        """As many as the chosen answers have."""
        return self.sides[0].first_problems

    @property
    def models(self) -> frozenset[str]:
        """Both writers, and the expert."""
        return self.sides[0].models | self.sides[1].models

    def unservable(self, engine: str) -> str | None:
        """What keeps one of them from being written."""
        return next((told for side in self.sides if (told := side.unservable(engine))), None)


class RightWrong(Paired):
    """Several answers of one `writer`: finished right ones against finished wrong ones, at most `most` pairs.

    What else can be said of them is as in a source with a writer, but for its `check`.
    """

    word: ClassVar[str] = "right_wrong"

    pairs: Literal["right_wrong"]
    writer: Words
    samples: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: TopP | None = None
    max_new_tokens: Count | None = None
    system_prompt: Words | None = None
    problems: Count | None = None
    most: Most = 4

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        return without_top_p(handler(self))

    @model_validator(mode="after")
    def _several(self) -> Self:
        if self.samples == 1 or self.temperature == 0:
            raise ValueError(
                "one answer to a problem is right or wrong and no pair; give `samples` above 1 and a "
                "temperature above 0"
            )
        return self

    @property
    def label(self) -> str:
        """For people."""
        return f"right against wrong answers of {self.writer}"

    @property
    def sides(self) -> tuple[Written, Written]:
        """The same answers twice."""
        own: dict[str, Any] = self.model_dump(exclude={"pairs", "most"})
        answers = Written(**own, check=Anything())
        return answers, answers

    @property
    def at_most(self) -> int:
        """As it says."""
        return self.most

    @property
    def judged(self) -> bool:
        """They are."""
        return True


class Chosen(Paired):
    """Answers of a `chosen` writer against those of a `rejected` one, at most `most` pairs of a problem.

    Both are sources with a writer, for the same problems and learnt under the same system prompt.
    """

    word: ClassVar[str] = "chosen_rejected"

    chosen: Written
    rejected: Written
    most: Most = 4

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if _learnt_under(self.chosen) != _learnt_under(self.rejected):
            raise ValueError("`chosen` and `rejected` are to be learnt under the same system prompt")
        if self.chosen.problems != self.rejected.problems:
            raise ValueError("`chosen` and `rejected` are to answer the same `problems`")
        if self.chosen == self.rejected:
            raise ValueError("`chosen` and `rejected` are the same, so that nothing would be preferred")
        return self

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.chosen.label} against {self.rejected.label}"

    @property
    def sides(self) -> tuple[Written, Written]:
        """As it says."""
        return self.chosen, self.rejected

    @property
    def at_most(self) -> int:
        """As it says."""
        return self.most


def _learnt_under(side: Written) -> str | None:
    return None if side.forget_prompt else side.system_prompt
