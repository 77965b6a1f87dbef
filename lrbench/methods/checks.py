"""Checks: which of the written answers are learnt from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from lrbench.methods.component import Component
from lrbench.methods.families import Family

# Why an answer that has an end is not right (`lrbench.sampling.rejections`).
FINISHED = ("unread", "wrong")


class Check(Component):
    """Base of all checks."""

    @property
    def needs_answers(self) -> bool:
        """Whether it compares what is written with the answers of the training problems."""
        return False

    @property
    def models(self) -> frozenset[str]:
        """Every model besides the writer that has a say in it."""
        return frozenset()

    def keeps(self, rejection: str | None) -> bool:
        """Whether an answer is kept that is not right for the reason `rejection`, or is right for None."""
        return True


class Anything(Check):
    """Everything that is written, finished or not. Reads no answer of a problem."""

    word: ClassVar[str] = "any"

    @property
    def label(self) -> str:
        """For people."""
        return "answers"


class Right(Check):
    """What is finished and has the right answer: rejection sampling."""

    word: ClassVar[str] = "right"

    @property
    def label(self) -> str:
        """For people."""
        return "right answers"

    @property
    def needs_answers(self) -> bool:
        """The right one."""
        return True

    def keeps(self, rejection: str | None) -> bool:
        """What is right."""
        return rejection is None


class Wrong(Check):
    """What is finished and has another answer than the right one, or none that can be read."""

    word: ClassVar[str] = "wrong"

    @property
    def label(self) -> str:
        """For people."""
        return "wrong answers"

    @property
    def needs_answers(self) -> bool:
        """The right one."""
        return True

    def keeps(self, rejection: str | None) -> bool:
        """What is finished and not right."""
        return rejection in FINISHED


class Agreement(Check):
    """What the model `agree_with` comes to as well: it goes on greedily after the share `cut` of the tokens.

    Its answer has to be that of the whole. Reads no answer of a problem.
    """

    word: ClassVar[str] = "agreement"

    agree_with: Annotated[str, Field(min_length=1)]
    cut: Annotated[float, Field(ge=0, le=1)] = 0.5

    @property
    def label(self) -> str:
        """For people."""
        return f"answers that {self.agree_with} agrees with"

    @property
    def models(self) -> frozenset[str]:
        """The one that has to agree."""
        return frozenset({self.agree_with})


CHECKS: tuple[type[Check], ...] = (Anything, Right, Wrong, Agreement)

CHECK = Family(CHECKS)
AnyCheck = Annotated[Check, CHECK]
