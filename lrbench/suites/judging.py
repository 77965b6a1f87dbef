"""The grader of judges: what they say of answers that were graded before, held against that verdict."""

from __future__ import annotations

from typing import ClassVar, Literal

from lrbench.grading.verdict import Verdict
from lrbench.suites.grader import Answered, Grader


class Judgement(Grader):
    """What a judge says `of` an answer, `right` or `wrong`, or of a pair, of which `A` or `B` is right.

    The last thing that the completion says counts, and what is in its last box before that.
    """

    word: ClassVar[str] = "judgement"

    use: Literal["judgement"] = "judgement"
    of: Literal["answer", "pair"] = "answer"

    def grade(self, answered: Answered) -> Verdict:
        """Wrong where it says neither."""
        found = self.read(answered.completion)
        verdict = Verdict.single(found, found == answered.gold)
        return verdict.cut_short if answered.truncated else verdict

    def read(self, completion: str) -> str | None:
        """`right` or `wrong`; of a pair `A` or `B`."""
        from lrbench.grading.judgements import judgement_of_one, judgement_of_two

        return judgement_of_one(completion) if self.of == "answer" else judgement_of_two(completion)

    def unreadable(self, gold: str, problem: str) -> str | None:
        """Anything but one of the two."""
        from lrbench.grading.judgements import FIRST, RIGHT, SECOND, WRONG

        known = (RIGHT, WRONG) if self.of == "answer" else (FIRST, SECOND)
        return None if gold in known else f"is neither `{known[0]}` nor `{known[1]}`"
