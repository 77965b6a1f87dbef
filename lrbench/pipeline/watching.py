"""A run that can be watched: what it reports goes on to the user, and to a file that others read."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

from lrbench.pipeline.progress import Progress, Reporter
from lrbench.pipeline.remaining import Ahead, Remaining
from lrbench.results.run_status import (
    FOLDER,
    SECONDS_BETWEEN_SIGNS,
    STATUS,
    RunStatus,
    StageNow,
    State,
    now,
    statuses,
)
from lrbench.results.status_words import stage_text, standing

SECONDS_BETWEEN_WRITES = 1.0
# At most so many points of a curve are kept: every second one goes where there would be more.
MOST_POINTS = 200


@dataclass
class Watched:
    """The stage that is worked on now, as far as it is."""

    label: str
    units: int
    began: float
    expected: float | None
    stage: str = ""
    key: str = ""
    done: int = 0
    note: str = ""
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    every: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1))

    def add(self, units: int, note: str, measured: Mapping[str, float]) -> None:
        """So much more is done, with what was measured."""
        self.done, self.note = self.done + units, note
        for name, value in measured.items():
            # JSON has no other numbers, and whoever reads the file would leave it out.
            if not isfinite(value):
                continue
            points = self.curves[name]
            if self.done % self.every[name] == 0 or self.done >= self.units:
                points.append((self.done, value))
            # Each by itself: what is measured some twenty times loses none of it.
            if len(points) > MOST_POINTS:
                self.every[name] *= 2
                points[:] = points[1::2]

    def remaining(self, factor: float) -> float | None:
        """Seconds that are left of it, where times so far were `factor` of those expected."""
        passed = time.monotonic() - self.began
        share = min(1.0, self.done / self.units) if self.units else 0.0
        if share >= 0.1:
            return passed * (1 - share) / share
        return None if self.expected is None else max(self.expected * factor - passed, 0.0)


class Watcher(Reporter):
    """Passes on what a process reports, and writes down where it stands."""

    def __init__(
        self,
        reporter: Reporter,
        place: Path,
        recipe: str,
        ahead: Ahead,
        stages: int,
        *,
        workers: int = 1,
        phase: int = 1,
        phases: int = 1,
        is_worker: bool = False,
    ) -> None:
        """Of all `stages`, those of every one of the `phases`, what is `ahead` is to be made.

        It begins in the phase with the number `phase`.
        """
        self._reporter = reporter
        self._place = place
        self._workers = workers
        self._left = Remaining(ahead, workers)
        self._now: Watched | None = None
        self._lock = threading.Lock()
        self._written = 0.0
        began = now()
        self._status = RunStatus(
            recipe,
            platform.node(),
            os.getpid(),
            is_worker,
            "running",
            began_at=began,
            seen_at=began,
            stages=stages,
            finished=stages - ahead.count,
            phase=phase,
            phases=phases,
        )

    def go_on(self, ahead: Ahead, stages: int, finished: int) -> None:
        """The next phase begins, which knows better what is `ahead`; the clock and what failed remain."""
        with self._lock:
            self._left = Remaining(ahead, self._workers)
            self._status = replace(
                self._status, phase=self._status.phase + 1, stages=stages, finished=finished
            )
        self.write()

    def begin(self, label: str, units: int) -> Progress:
        """A stage starts to work."""
        with self._lock:
            stage = self._left.stage(label)
            name, key = ("", "") if stage is None else (stage.name, stage.key)
            expected = self._left.expected(key)
            self._now = Watched(label, units, time.monotonic(), expected, name, key)
        self.write()
        return _Watched(self, self._reporter.begin(label, units), self._now)

    def end(self, label: str, seconds: float, note: str = "") -> None:
        """The stage's artifact is finished."""
        with self._lock:
            if self._left.end(label, seconds):
                self._status = replace(self._status, finished=self._status.finished + 1)
            if self._now is not None and self._now.label == label:
                self._now = None
        self._reporter.end(label, seconds, note)
        self.write()

    def say(self, message: str) -> None:
        """One line for the user."""
        self._reporter.say(message)

    def fail(self, failure: str) -> None:
        """Something could not be done, and the rest goes on."""
        with self._lock:
            self._status = replace(self._status, failures=(*self._status.failures, failure))
        self._reporter.fail(failure)
        self.write()

    def stand(self, text: str) -> None:
        """Where the run stands."""
        self._reporter.stand(text)

    def close(self, state: State) -> None:
        """Write down how it ended."""
        with self._lock:
            self._now = None
            self._status = replace(self._status, state=state)
        self.write()

    def write(self, soon: bool = True) -> None:
        """Write down where the run stands; not `soon`: unless that was done a moment ago."""
        if not soon and time.monotonic() - self._written < SECONDS_BETWEEN_WRITES:
            return
        with self._lock:
            self._written = time.monotonic()
            content = STATUS.dump_json(self.status())
            # A sign of life is no result: it is not forced to the disk, and none stops a run.
            with suppress(OSError):
                self._place.parent.mkdir(parents=True, exist_ok=True)
                beside = self._place.with_suffix(".tmp")
                beside.write_bytes(content)
                beside.replace(self._place)

    def sign(self) -> None:
        """Say that the process is alive, and to the user where it stands."""
        self.write()
        with self._lock:
            status = self.status()
        if status.now is not None:
            self.stand(f"{standing(status)}; {stage_text(status.now)}")

    def status(self) -> RunStatus:
        """Where the run stands now."""
        factor = self._left.factor
        stage = None
        if self._now is not None:
            stage = StageNow(
                self._now.label,
                self._now.units,
                self._now.done,
                time.monotonic() - self._now.began,
                self._now.remaining(factor),
                self._now.note,
                {name: tuple(points) for name, points in self._now.curves.items()},
                self._now.stage,
                self._now.key,
            )
        return replace(self._status, seen_at=now(), now=stage, remaining_seconds=self._left.seconds(stage))


class _Watched:
    """What a stage reports, for the user and for the file."""

    def __init__(self, watcher: Watcher, progress: Progress, watched: Watched) -> None:
        self._watcher, self._progress, self._watched = watcher, progress, watched

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        """`units` more are done."""
        self._watched.add(units, note, measured)
        self._progress.advance(units, note, **measured)
        self._watcher.write(soon=False)


@contextmanager
def watched(watcher: Watcher, runs: Path, seconds: float = SECONDS_BETWEEN_SIGNS) -> Iterator[Watcher]:
    """While the block runs there is a sign of life every few seconds; how it ended is written down."""
    forget(runs, watcher.status().recipe)
    over = threading.Event()

    def signs() -> None:
        while not over.wait(seconds):
            watcher.sign()

    thread = threading.Thread(target=signs, daemon=True)
    thread.start()
    watcher.write()
    try:
        yield watcher
    except BaseException:
        watcher.close("stopped")
        raise
    else:
        watcher.close("failed" if watcher.status().failures else "finished")
    finally:
        over.set()
        thread.join()


def place_of(runs: Path, recipe: str, process: int | None = None, machine: str | None = None) -> Path:
    """The file of a process, of this one on this machine where none is named."""
    return runs / FOLDER / f"{recipe}.{machine or platform.node()}-{process or os.getpid()}.json"


def forget(runs: Path, recipe: str) -> None:
    """Remove what processes that are gone have left of a recipe."""
    at = now()
    for status in statuses(runs):
        if status.recipe == recipe and (status.state != "running" or status.is_silent(at)):
            with suppress(OSError):
                place_of(runs, recipe, status.process, status.machine).unlink(missing_ok=True)
