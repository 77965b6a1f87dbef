"""How runs are going, as each process at work writes it down: `runs/progress`, one file a process.

Nothing is decided by these files: they may be deleted at any time, and what is torn or strange in one is left
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from lrbench.store.files import read_regular

FOLDER = "progress"
# A process at work is heard of at least so often; one that is not heard of for longer has ended somehow.
SECONDS_BETWEEN_SIGNS = 10.0
SECONDS_OF_SILENCE = 60.0

State = Literal["running", "finished", "failed", "stopped"]


@dataclass(frozen=True)
class StageNow:
    """The stage that a process works on: `done` of `units`, for `seconds` so far.

    `curves` holds what it measures while it works, such as the loss of each update: (unit, value). `stage`
    and `key` are the name and key that the store has for it.
    """

    label: str
    units: int
    done: int
    seconds: float
    remaining_seconds: float | None = None
    note: str = ""
    curves: dict[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    stage: str = ""
    key: str = ""


@dataclass(frozen=True)
class RunStatus:
    """How one process is getting on with a recipe.

    `worker` makes stages for a run that records them. Of `stages` in all, `finished` are; a run of several
    `phases` counts those of all, and is at number `phase`. What remains is worked out from the plan's times
    and what has passed; None where nothing is known. Moments are in UTC.
    """

    recipe: str
    machine: str
    process: int
    worker: bool
    state: State
    began_at: datetime
    seen_at: datetime
    stages: int
    finished: int
    remaining_seconds: float | None = None
    now: StageNow | None = None
    failures: tuple[str, ...] = ()
    phase: int = 1
    phases: int = 1

    def is_silent(self, at: datetime) -> bool:
        """Whether it says that it works and has not been heard of for too long: killed, or cut off."""
        return self.state == "running" and (at - self.seen_at).total_seconds() > SECONDS_OF_SILENCE


STATUS = TypeAdapter(RunStatus)


def statuses(runs: Path) -> list[RunStatus]:
    """Of every process that has left one, those heard of last first."""
    return sorted(_read(runs / FOLDER), key=lambda status: status.seen_at, reverse=True)


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def _read(folder: Path) -> Iterator[RunStatus]:
    for place in sorted(folder.glob("*.json")):
        try:
            yield STATUS.validate_json(read_regular(place))
        except (OSError, ValidationError):
            continue
