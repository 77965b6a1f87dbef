"""What of a run could not be done: each reason told once, with every arm that goes without it.

A stage that fails takes the stages that need it with it, and no others: a sweep of a hundred points goes on
without the one that cannot be. What is no fault of a point, such as a full disk, ends a run at once.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lrbench.errors import (
    IncompleteRunError,
    InterruptedRunError,
    LedgerError,
    LrbenchError,
    OutputError,
    PromptsChangedError,
    StoreError,
)
from lrbench.pipeline.stages.base import Stage
from lrbench.store.files import WRITING_FAILED
from lrbench.store.limits import limit_reached

ENDS_ALL = (StoreError, LedgerError, InterruptedRunError, PromptsChangedError, OutputError)


@dataclass(frozen=True)
class Cause:
    """Why a stage could not be made. `stage` is its name, or `plan` where it did not come to that.

    `details` is where in the code, for what was not foreseen; empty for an `LrbenchError`.
    """

    stage: str
    reason: str
    details: str = ""

    @classmethod
    def of(cls, stage: str, error: Exception) -> Cause:
        """What `error` says. The error itself is not kept: the frames that it passed hold whole models."""
        if isinstance(error, LrbenchError):
            return cls(stage, str(error))
        return cls(stage, f"unexpected: {error!r}", "".join(traceback.format_exception(error)))


@dataclass(frozen=True)
class Failure:
    """A reason why some of a recipe was not done: the `arms` (with point and seed) that it concerns.

    `stages` are those that failed of themselves; what needs them was not tried. `details` as in `Cause`.
    """

    arms: tuple[str, ...]
    stages: tuple[str, ...]
    reason: str
    details: str = ""

    def of_recipe(self, name: str) -> Failure:
        """The same, its arms told apart from those of other recipes."""
        return replace(self, arms=tuple(f"{name}: {arm}" for arm in self.arms))

    def __str__(self) -> str:
        return f"{', '.join(self.arms)} ({', '.join(self.stages)}): {self.reason}"


def ends_run(error: Exception) -> bool:
    """Whether nothing else can be done either: the disk, the store, the ledger or a library is not usable.

    Or a limit of this process is reached.
    """
    if isinstance(error, OSError):
        return error.errno in WRITING_FAILED or bool(limit_reached(error))
    return isinstance(error, ENDS_ALL)


def gathered(causes: Iterable[tuple[str, Cause]]) -> tuple[Failure, ...]:
    """Pairs of an arm's title and a cause, as one failure for every reason."""
    found: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for arm, cause in causes:
        arms, stages = found.setdefault((cause.reason, cause.details), ({}, {}))
        arms[arm] = None
        stages[cause.stage] = None
    return tuple(
        Failure(tuple(arms), tuple(stages), reason, details)
        for (reason, details), (arms, stages) in found.items()
    )


def incomplete(failures: Sequence[Failure], again: str) -> IncompleteRunError:
    """The error that lists every failure; `again` is the command that tries them once more."""
    arms = len({arm for failure in failures for arm in failure.arms})
    count = "1 arm is" if arms == 1 else f"{arms} arms are"
    lines = [
        f"{count} not made or not wholly measured; all else is done. Once mended, this tries them again and "
        f"repeats nothing: {again}",
        *(f"  {failure}" for failure in failures),
    ]
    return IncompleteRunError("\n".join(lines))


def words_of(stage: Stage) -> str:
    """What failed, for people: the stage's name, and of an evaluation the benchmark."""
    benchmark = getattr(stage, "benchmark", None)
    return stage.name if benchmark is None else f"{stage.name} on {benchmark}"
