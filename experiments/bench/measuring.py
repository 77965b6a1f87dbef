"""Timing two ways of doing the same in turn, so that a drifting machine slows both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Seconds of ours and of the other way, and their ratio other / ours, run by run."""

    name: str
    ours: list[float]
    other: list[float]
    wanted: str

    @property
    def ratios(self) -> list[float]:
        """How many times longer the other way took, pair by pair."""
        return [other / ours for ours, other in zip(self.ours, self.other, strict=True)]

    def line(self) -> str:
        """One row of the table."""
        return " | ".join(
            [f"{self.name:52}", spread(self.ours), spread(self.other), spread(self.ratios), self.wanted]
        )


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


def spread(values: list[float]) -> str:
    """Minimum, median and maximum."""
    return f"{min(values):7.3f} {statistics.median(values):7.3f} {max(values):7.3f}"
