"""Timing two ways of doing the same in turn, so that a drifting machine slows both alike; the table."""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

NAME_WIDTH = 70
SPREAD_WIDTH = 29
HEADINGS = ("measured", "the other way", "other / measured")


@dataclass(frozen=True)
class Comparison:
    """Seconds of ours and of the other way, and their ratio other / ours, run by run."""

    name: str
    ours: Sequence[float]
    other: Sequence[float]
    wanted: str

    @property
    def ratios(self) -> list[float]:
        """How many times longer the other way took, pair by pair."""
        return [other / ours for ours, other in zip(self.ours, self.other, strict=True)]

    def line(self) -> str:
        """One row of the table."""
        return _row(self.name, [spread(self.ours), spread(self.other), spread(self.ratios)], self.wanted)


@dataclass(frozen=True)
class Figure:
    """What is measured by itself, in the unit that its name says; without values it was not measured."""

    name: str
    values: Sequence[float]
    wanted: str = ""

    def line(self) -> str:
        """One row of the table."""
        return _row(self.name, [spread(self.values) if self.values else "not measured", "", ""], self.wanted)


Line = Comparison | Figure


def print_table(lines: Iterable[Line]) -> None:
    """Print a table in Markdown, each line as soon as it is measured."""
    print(_row("what", HEADINGS, "wanted"))
    print(_row("-" * NAME_WIDTH, ["-" * SPREAD_WIDTH] * len(HEADINGS), "---"))
    for line in lines:
        print(line.line(), flush=True)


def _row(name: str, spreads: Sequence[str], wanted: str) -> str:
    cells = [f"{name:{NAME_WIDTH}}", *(f"{cell:{SPREAD_WIDTH}}" for cell in spreads), wanted]
    return f"| {' | '.join(cells)} |"


def in_turn(
    name: str, ours: Callable[[], object], other: Callable[[], object], wanted: str, runs: int = 5
) -> Comparison:
    """Time both `runs` times, one after the other, after an uncounted round of ours."""
    ours()
    pairs = [(seconds(ours), seconds(other)) for _ in range(runs)]
    return Comparison(name, [pair[0] for pair in pairs], [pair[1] for pair in pairs], wanted)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def spread(values: Sequence[float]) -> str:
    """Minimum, median and maximum."""
    return " / ".join(f"{value:7.3f}" for value in (min(values), statistics.median(values), max(values)))


def forget_largest() -> None:
    """Have `most_resident` begin anew, at what is in use now (Linux with glibc)."""
    # What was freed may or may not have been given back; what follows would fill it unseen.
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
