"""What all graders have in common: they say whether an answer is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lrbench.grading.verdict import Verdict
from lrbench.methods.component import Component


@dataclass(frozen=True, slots=True)
class Answered:
    """A completion with what it is judged by: the gold answer, and the problem as it was asked.

    `truncated` says that it was cut at its token limit.
    """

    completion: str
    gold: str
    problem: str
    truncated: bool = False


class Grader(Component):
    """Base of all graders. `version` rises whenever a verdict could come out differently.

    A grader that knows one kind of right gives it as both verdicts (`Verdict.single`).
    """

    version: ClassVar[int] = 1

    def __hash__(self) -> int:
        return hash((type(self), self.model_dump_json()))

    @property
    def identity(self) -> Mapping[str, Any]:
        """The grader with its settings; a protocol names its version besides."""
        return {"grader": self.model_dump(mode="json")}

    def grade(self, answered: Answered) -> Verdict:
        """The verdict on one completion. It depends on what is given alone; any thread may ask."""
        raise NotImplementedError

    def grade_many(self, answered: Iterable[Answered]) -> Iterator[Verdict]:
        """The verdicts on several, in their order."""
        return map(self.grade, answered)

    def read(self, completion: str) -> str | None:
        """The answer as it can be read without the gold one, None for none: what samples vote by."""
        raise NotImplementedError

    def unreadable(self, gold: str, problem: str) -> str | None:
        """Why nothing can be held against this gold answer, to follow "which"; None where it can."""
        return None if gold.strip() else "is empty"
