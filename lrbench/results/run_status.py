"""How runs are going, as each process at work writes it down: `runs/progress`, one file a process.

Nothing is decided by these files: they may be deleted at any time, and what is torn or strange in one is left
out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
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

    def is_at_work(self, at: datetime) -> bool:
        """Whether it works, and was heard of lately."""
        return self.state == "running" and not self.is_silent(at)


@dataclass(frozen=True)
class RunView:
    """All processes at work on one recipe as one: the run itself, and the `workers` that make its stages.

    Where several work and the run itself is not among them, as on a cluster, the one that has seen the most
    made stands for it. A process that has ended is a view of its own.
    """

    run: RunStatus
    workers: tuple[RunStatus, ...] = ()


STATUS = TypeAdapter(RunStatus)


def statuses(runs: Path) -> list[RunStatus]:
    """Of every process that has left one, those heard of last first."""
    return sorted(_read(runs / FOLDER), key=lambda status: status.seen_at, reverse=True)


def views(found: Iterable[RunStatus], at: datetime) -> list[RunView]:
    """The processes by the runs that they work for, in the order of `found`."""
    shown: list[RunView] = []
    at_work: dict[str, list[RunStatus]] = defaultdict(list)
    found = list(found)
    for status in found:
        if status.is_at_work(at):
            at_work[status.recipe].append(status)
    for status in found:
        if not status.is_at_work(at):
            shown.append(RunView(status))
            continue
        together = at_work.pop(status.recipe, [])
        runs = [each for each in together if not each.worker]
        if not runs and together:
            runs = [max(together, key=lambda each: (each.phase, each.finished))]
        # Two runs of one recipe share all work, and so their workers; those are told of with one of them.
        rest = tuple(each for each in together if each not in runs)
        shown += [RunView(each, () if place else rest) for place, each in enumerate(runs)]
    return shown


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def _read(folder: Path) -> Iterator[RunStatus]:
    for place in sorted(folder.glob("*.json")):
        try:
            yield STATUS.validate_json(read_regular(place))
        except (OSError, ValidationError):
            continue
