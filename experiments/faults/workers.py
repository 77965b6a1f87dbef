"""Processes that share a recipe, of which one is lost at a random moment: the others, or the next, go on."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from experiments.faults.campaign import Kind, Outcome
from experiments.faults.kills import made_again
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Ended, Started, command, start
from experiments.faults.subject import (
    NAME,
    Contents,
    committed_files,
    contents_of,
    undisturbed,
    write_subject,
)

# What a user types, and what of it is lost: the process itself, or one that it has started.
MODES = {
    "run with workers, itself lost": (("run", NAME, "runtime.workers=3"), ""),
    "run with workers, a worker lost": (("run", NAME, "runtime.workers=3"), "lrbench.pipeline.workers"),
    "two workers, one lost": (("worker", NAME), ""),
}
LONGEST_SECONDS = 12.0
WORKERS = re.compile(r"\\n *workers: \d+")


@dataclass(frozen=True)
class Loss:
    """Which of the `MODES`, and after how many seconds one of the processes is lost."""

    mode: str
    seconds: float


class Losing(Kind):
    """Some of what makes a recipe is lost: what is left, and a run after it, leave what one process does."""

    def __init__(self) -> None:
        self.contents = Contents({}, ())

    def in_turn(
        self, losses: Iterable[str], longest_seconds: float, tries: int | None, seed: int
    ) -> Iterator[tuple[str, float]]:
        """What is lost, one after the other, and after how many seconds, at random."""
        chance, known = Random(f"{self.name}-{seed}"), list(losses)
        for number in range(tries or 0):
            yield known[number % len(known)], chance.uniform(0, longest_seconds)

    def prepare(self, place: Path) -> None:
        """An undisturbed run of one process."""
        self.contents = in_any_order(undisturbed(place))

    def finding(self, folder: Path, before: dict[str, tuple[int, int]], ended: Iterable[Ended]) -> str:
        """What is not as it has to be after these commands, of which all had to succeed; else empty.

        `before` are the files that were committed when something was lost.
        """
        found = next((said for each in ended if (said := misbehaved(each, codes=(0,)))), "")
        found = found or in_any_order(contents_of(folder / "runs")).difference(self.contents)
        return found or made_again(before, committed_files(folder / "runs"))


class Workers(Losing):
    """Every way in which several processes share a recipe, and the loss of one of them."""

    name = "workers"
    full = 60

    def cases(self, tries: int | None, seed: int) -> Sequence[Loss]:
        """The modes in turn, at random moments."""
        return [Loss(*each) for each in self.in_turn(MODES, LONGEST_SECONDS, tries, seed)]

    def attempt(self, case: Loss, folder: Path) -> Outcome:
        """Start, have one lost, let the others end, and run the recipe once more to its end."""
        write_subject(folder)
        arguments, lost = MODES[case.mode]
        others = [start(arguments, folder)] if arguments[0] == "worker" else []
        first = start(arguments, folder)
        was_lost = _lose(first, lost, case.seconds)
        before = committed_files(folder / "runs")
        ends = [first.end(), *(other.end() for other in others)]
        last = command(["run", NAME], folder)
        detail = f"{case}\n" + "\n".join(ended.said for ended in (*ends, last))
        expected = ends[1:] if was_lost and not lost else ends
        finding = self.finding(folder, before, (*expected, last))
        return Outcome(case.mode, finding, counted=was_lost, detail=detail)


def in_any_order(contents: Contents) -> Contents:
    """The same, whichever arm was recorded first, and however many workers the recipe was declared with."""
    return replace(contents, records=tuple(sorted({WORKERS.sub("", record) for record in contents.records})))


def _lose(started: Started, lost: str, seconds: float) -> bool:
    """After so many seconds kill the process, or one of its own that has `lost` in its command line."""
    if started.wait(seconds):
        return False
    victims = [started.pid]
    if lost:
        # It may not have started any yet.
        last = time.monotonic() + LONGEST_SECONDS
        while not (victims := list(_children(started.pid, lost))):
            if started.wait(0.05) or time.monotonic() > last:
                return False
    with suppress(ProcessLookupError):
        os.kill(victims[0], signal.SIGKILL)
    return True


def _children(pid: int, named: str) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with suppress(OSError):
                    if named in Path(f"/proc/{child}/cmdline").read_text():
                        yield int(child)
