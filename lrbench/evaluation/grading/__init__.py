"""Whether an answer is right: `grade` and the `Verdict` it gives."""

from __future__ import annotations

from lrbench.evaluation.grading.judging import grade, grade_many
from lrbench.evaluation.grading.verdict import Reason, Verdict

__all__ = ["Reason", "Verdict", "grade", "grade_many"]
