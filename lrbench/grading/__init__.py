"""Whether an answer is right: `grade` and the `Verdict` it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrbench.grading.verdict import Reason, Verdict

if TYPE_CHECKING:
    from lrbench.grading.judging import grade, grade_many

__all__ = ["Reason", "Verdict", "grade", "grade_many"]


def __getattr__(name: str) -> Any:
    """Recipes name graders, and most commands judge nothing: what judges is imported when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lrbench.grading import judging

    return getattr(judging, name)
