"""An answer of the arm's own model, whose memory of the question is moved towards another way of asking."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from lrbench.methods.answer import Answer
from lrbench.methods.section import Section

QUESTION = "{question}"
Text = Annotated[str, Field(min_length=1)]


class Shifting(Section):
    """By how much one entry of every question's cache is moved: by what one way of asking makes of it.

    Each of the `questions` is asked as the template `towards` has it, such as after worked examples, and as
    `away` has it. The mean difference of the keys and values of the last entry but one, times `keys` and
    `values`, is added to those of whatever is asked.
    """

    towards: Text
    questions: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    away: Text = QUESTION
    keys: float = 0.0
    values: float = 1.0

    @model_validator(mode="after")
    def _take_the_question(self) -> Shifting:
        for name in ("towards", "away"):
            if getattr(self, name).count(QUESTION) != 1:
                raise ValueError(f"`{name}` says how a question is asked, and has to hold {QUESTION} once")
        return self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every question in both ways of asking it."""
        return [
            (self.towards.replace(QUESTION, question), self.away.replace(QUESTION, question))
            for question in self.questions
        ]


class CacheShift(Answer):
    """The arm's own model, after one entry of its cache was moved once."""

    word: ClassVar[str] = "cache_shift"
    drawn: ClassVar[bool] = True

    cache_shift: Shifting

    @property
    def label(self) -> str:
        """For people: `cache moved once, keys by 0 and values by 1 times 16 questions' mean`."""
        shifting = self.cache_shift
        count = len(shifting.questions)
        mean = f"{count} questions' mean" if count > 1 else "what one question's is"
        return f"cache moved once, keys by {shifting.keys:g} and values by {shifting.values:g} times {mean}"
