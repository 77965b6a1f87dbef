"""Whether the answer to a training problem is right, as its benchmark checks answers."""

from __future__ import annotations

from lrbench.sampling.problems import Problems
from lrbench.sampling.rejections import Rejection
from lrbench.suites.grader import Answered
from lrbench.suites.graders import checker_of


def why_rejected(problems: Problems, index: int, text: str | None) -> Rejection | None:
    """Why an answer to a problem is not right, None where it is; `text` is None for one without an end."""
    gold = problems.answers[index]
    if gold is None:
        return Rejection.NO_ANSWER
    if text is None:
        return Rejection.UNFINISHED
    verdict = checker_of(problems.benchmarks[index]).grade(Answered(text, gold, problems.texts[index]))
    if verdict.correct:
        return None
    return Rejection.UNREAD if verdict.prediction is None else Rejection.WRONG
