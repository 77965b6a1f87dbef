"""What the grader says about one completion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Reason(StrEnum):
    """Why a verdict is what it is."""

    CORRECT = "correct"
    """Both verdicts accept the answer."""
    CORRECT_IN_PAPER_ONLY = "correct in paper only"
    """The paper's rules accept an answer that is mathematically wrong, such as one off by a factor of 100."""
    CORRECT_IN_EXACT_ONLY = "correct in exact only"
    """The answer is right, but the paper's rules cannot see that."""
    NO_ANSWER = "no answer found"
    """The completion holds nothing that could be read as an answer."""
    TRUNCATED = "truncated"
    """The completion was cut at the token limit and its answer is not right."""
    NOT_EQUIVALENT = "not equivalent"
    """An answer was read and compared, and it is wrong."""
    TIMED_OUT = "timed out"
    """Comparing answer and gold, or running a program, took longer than the limit; counted as wrong."""
    TOO_LONG = "too long"
    """The answer is longer than any formula the grader tries to understand; counted as wrong."""
    OUT_OF_MEMORY = "out of memory"
    """Comparing answer and gold, or running a program, needed more memory than it may; counted as wrong."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both verdicts on one completion.

    `prediction` is the answer as the paper's rules read and normalise it, None where they find none or one
    too long to compare. `correct` is the paper verdict, the one that published numbers rest on; `exact` is
    the mathematical truth as far as it can be computed. `reason` explains the pair.
    """

    prediction: str | None
    correct: bool
    exact: bool
    reason: Reason

    @classmethod
    def single(cls, prediction: str | None, right: bool) -> Verdict:
        """That of a grader which knows one kind of right: both verdicts are the one that it gives."""
        if prediction is None:
            return cls(None, correct=False, exact=False, reason=Reason.NO_ANSWER)
        return cls(prediction, right, right, Reason.CORRECT if right else Reason.NOT_EQUIVALENT)

    @property
    def cut_short(self) -> Verdict:
        """The same on a completion that was cut at its token limit: where it is wrong, that is the reason."""
        if self.correct or self.exact:
            return self
        return replace(self, reason=Reason.TRUNCATED)
