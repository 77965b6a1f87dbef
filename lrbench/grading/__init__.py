"""Whether an answer is right: `grade` and the `Verdict` it gives."""

from __future__ import annotations

from lrbench.grading.judging import grade, grade_many
from lrbench.grading.verdict import Reason, Verdict

__all__ = ["Reason", "Verdict", "grade", "grade_many"]
