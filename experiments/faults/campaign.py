"""A campaign: cases of one kind of fault, tried by several processes, counted, each finding told once."""

from __future__ import annotations

import multiprocessing
import re
import resource
import shutil
import subprocess
import tempfile
import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from experiments.faults.process import adopt_orphans

# Names and numbers that differ from try to try: without them, equal findings are equal texts.
VARYING = re.compile(r"(/[\w.+-]+){2,}|\b[0-9a-f]{8,}\b|\d+(\.\d+)?")


@dataclass(frozen=True)
class Outcome:
    """What came of one try.

    Attributes:
        group: what it counts to, such as the command that was killed.
        finding: what is not as it has to be; empty where all is.
        counted: False where the fault did not happen, such as a signal that came after the end.
        detail: what helps to see why; printed when one case is tried alone.
    """

    group: str
    finding: str = ""
    counted: bool = True
    detail: str = ""


class Kind(ABC):
    """One kind of fault. A case is plain data: it travels between processes and is made again by its seed.

    Attributes:
        name: what it is called on the command line.
        full: how many cases a full campaign tries; None where the cases are a list.
        batch: how many cases are tried in one folder, where they are so short that starting would cost most.
    """

    name: str
    full: int | None = None
    batch = 1

    @abstractmethod
    def cases(self, tries: int | None, seed: int) -> Sequence[Any]:
        """The cases, the same for equal arguments; spread over all groups, however few."""

    def narrow(self, cases: Sequence[Any]) -> None:
        """Only these of the cases will be tried; what others start from need not be made."""
        return

    def prepare(self, place: Path) -> None:
        """Make, once, what the tries start from; nothing where they start from nothing."""
        return

    def finish(self) -> None:
        """End what `prepare` began; nothing where that ended by itself."""
        return

    @abstractmethod
    def attempt(self, case: Any, folder: Path) -> Outcome:
        """Try one case in `folder`, which is new and empty."""

    def attempt_all(self, cases: Sequence[Any], folder: Path) -> list[Outcome]:
        """Try a batch of cases in one folder."""
        return [self.attempt(case, folder) for case in cases]


def spread(cases: Sequence[Any], tries: int | None, seed: int) -> list[Any]:
    """`tries` of a list of cases, evenly from all of it and in an order drawn by `seed`; or all of them."""
    chosen = list(cases)
    if tries is not None and tries < len(chosen):
        chosen = [chosen[index * len(chosen) // tries] for index in range(tries)]
    Random(seed).shuffle(chosen)
    return chosen


@dataclass
class Finding:
    """Something that is not as it has to be: how often, and the first case that shows it."""

    text: str
    first: int
    times: int = 1


@dataclass
class Tally:
    """The counts of one kind."""

    kind: str
    seed: int
    tries: int = 0
    as_expected: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    groups: Counter[str] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, number: int, outcome: Outcome) -> None:
        """Count one outcome."""
        if not outcome.counted and not outcome.finding:
            return
        self.tries += 1
        self.groups[outcome.group] += 1
        if not outcome.finding:
            self.as_expected += 1
            return
        sort = f"{outcome.group}: {VARYING.sub('..', outcome.finding)}"
        if sort in self.findings:
            self.findings[sort].times += 1
            self.findings[sort].first = min(number, self.findings[sort].first)
        else:
            self.findings[sort] = Finding(f"{outcome.group}: {outcome.finding}", number)

    def as_json(self) -> dict[str, Any]:
        """Everything, with a command for each finding that shows it again."""
        again = f"python -m experiments.faults {self.kind} --seed {self.seed}"
        return {
            "tries": self.tries,
            "as_expected": self.as_expected,
            "seconds": round(self.seconds, 1),
            "cpu_seconds": round(self.cpu_seconds, 1),
            "seed": self.seed,
            "groups": dict(sorted(self.groups.items())),
            "findings": [
                {"finding": found.text, "times": found.times, "again": f"{again} --only {found.first}"}
                for found in self.findings.values()
            ],
        }


# The kind that is tried, in the processes that try it.
_tried: Kind | None = None


def campaign(kind: Kind, tries: int | None, seed: int, workers: int) -> Tally:
    """Try the cases of one kind, `workers` at once."""
    tally = Tally(kind.name if tries is None else f"{kind.name}={tries}", seed)
    began = time.monotonic()
    cases = kind.cases(kind.full if tries is None else tries, seed)
    # Forked, so that what was imported and prepared is there; none of these processes runs lrbench itself.
    forking = multiprocessing.get_context("fork")
    with _prepared(kind) as place, forking.Pool(workers, _begin, (kind,)) as pool:
        jobs = [
            (first, cases[first : first + kind.batch], str(place))
            for first in range(0, len(cases), kind.batch)
        ]
        for first, outcomes, used in pool.imap_unordered(_attempt, jobs):
            tally.cpu_seconds += used
            for number, outcome in enumerate(outcomes, start=first):
                tally.add(number, outcome)
        pool.close()
        pool.join()
    tally.seconds = time.monotonic() - began
    return tally


def attempt_one(kind: Kind, tries: int | None, seed: int, number: int) -> Outcome:
    """Try one case alone, as the campaign with these arguments does."""
    cases = kind.cases(kind.full if tries is None else tries, seed)
    kind.narrow([cases[number]])
    with _prepared(kind) as place:
        _begin(kind)
        print(cases[number])
        return _attempt((number, [cases[number]], str(place)))[1][0]


@contextmanager
def _prepared(kind: Kind) -> Iterator[Path]:
    adopt_orphans()
    place = Path(tempfile.mkdtemp(prefix=f"lrbench-faults-{kind.name}-"))
    try:
        (place / "prepared").mkdir()
        kind.prepare(place / "prepared")
        yield place
    finally:
        kind.finish()
        _remove(place)


def _begin(kind: Kind) -> None:
    global _tried
    _tried = kind
    adopt_orphans()


def _attempt(job: tuple[int, Sequence[Any], str]) -> tuple[int, list[Outcome], float]:
    """The number of the first case, what came of each, and the seconds of a processor that they took."""
    first, cases, place = job
    assert _tried is not None
    folder = Path(place) / f"try-{first}"
    folder.mkdir()
    before = _cpu_seconds()
    try:
        outcomes = _tried.attempt_all(cases, folder)
    except Exception as error:
        # What the campaign itself did not foresee is told, and does not end it.
        told = f"{type(error).__name__}: {error}"
        outcomes = [Outcome("campaign", told, detail=traceback.format_exc())]
    finally:
        _remove(folder)
    return first, outcomes, _cpu_seconds() - before


def _cpu_seconds() -> float:
    """What this process and those that it has waited for have used of a processor."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def _remove(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "u+rwX", folder], stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)
