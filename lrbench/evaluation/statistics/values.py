"""The words of statistics: intervals, estimates, flips, comparisons, and the counts they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

LEVEL = 0.95
SIGNIFICANCE = 0.05
POWER = 0.8
RESAMPLES = 10_000
SEED = 0
POINTS = 100.0
# ndtri(0.975): what boards need of scipy, which takes a quarter of a second to import.
_Z = 1.959963984540054
# Two results this close, in points, are as good as equal where nothing else is said.
EQUIVALENCE_MARGIN = 2.0

Verdict = Literal["separated", "equivalent", "inconclusive"]


@dataclass(frozen=True)
class Interval:
    """A range that holds the estimated quantity with the stated confidence (95% unless said otherwise)."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Estimate:
    """A value and its interval, in the same unit."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Flips:
    """How two models' outcomes on the same items meet: the four cells of a paired 2 x 2 table."""

    won: int
    lost: int
    both: int
    neither: int

    @property
    def n(self) -> int:
        """Number of items."""
        return self.won + self.lost + self.both + self.neither

    @property
    def discordance(self) -> float:
        """Share of items that flipped, one way or the other."""
        return (self.won + self.lost) / self.n


@dataclass(frozen=True)
class Comparison:
    """One model set against another, first minus second.

    `difference` and `interval` are in percentage points. `p` is two-sided; `p_adjusted` is `p` after
    Holm over the benchmarks compared together, and decides `separated`. The interval is not adjusted,
    so it can leave out zero where the two are not separated. `p_equivalent` is that of two one-sided tests
    of lying within `EQUIVALENCE_MARGIN`, adjusted alike.

    Where `runs` is None this is about the runs measured: would other items say the same of them? Otherwise it
    is about training like this, with other seeds and other items; `runs` is the answer for the runs measured,
    and `pooled` says from how many arms it is known how far seeds lie apart.
    """

    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    p_equivalent: float = 1.0
    runs: Comparison | None = None
    pooled: int = 0

    @property
    def separated(self) -> bool:
        """Whether the difference is resolved at 5%; what is not separated need not be equal."""
        return self.p_adjusted < SIGNIFICANCE

    @property
    def verdict(self) -> Verdict:
        """What may be said: that they differ, that they are as good as equal, or neither."""
        if self.separated:
            return "separated"
        return "equivalent" if self.p_equivalent <= SIGNIFICANCE else "inconclusive"


def count_flips(first: str, second: str) -> Flips:
    """Counts how two models' outcomes meet; both hold one `0` or `1` per item, in the same order.

    Raises `ValueError` when the lengths differ.
    """
    if len(first) != len(second):
        raise ValueError(f"outcomes of {len(first)} and {len(second)} items cannot be paired")
    if not first:
        return Flips(0, 0, 0, 0)
    first_bits, second_bits = _bits(first), _bits(second)
    won = (first_bits & ~second_bits).bit_count()
    lost = (second_bits & ~first_bits).bit_count()
    both = (first_bits & second_bits).bit_count()
    return Flips(won=won, lost=lost, both=both, neither=len(first) - won - lost - both)


# Every row of a board is set against the same few baselines.
@lru_cache(maxsize=16384)
def _bits(outcomes: str) -> int:
    return int(outcomes, 2)


@lru_cache
def two_sided_quantile(level: float) -> float:
    """How many standard errors a normal interval of this level reaches to either side."""
    if level == LEVEL:
        return _Z
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def check_counts(correct: int, n: int) -> None:
    """Raises `ValueError` unless 0 <= correct <= n and n >= 1."""
    if n < 1 or not 0 <= correct <= n:
        raise ValueError(f"{correct} of {n} items is not a count of outcomes; at least one item is needed")


def check_flips(flips: Flips) -> None:
    """Raises `ValueError` for a table without items or with a negative cell."""
    check_counts(flips.won + flips.lost, flips.n)
    if min(flips.won, flips.lost, flips.both, flips.neither) < 0:
        raise ValueError(f"{flips} holds a negative count")


def check_benchmarks(benchmarks: Sequence[object]) -> None:
    """Raises `ValueError` for no benchmark."""
    if not benchmarks:
        raise ValueError("an average needs at least one benchmark")


def check_share(name: str, value: float) -> None:
    """Raises `ValueError` unless 0 < value < 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} {value} is not between 0 and 1")
