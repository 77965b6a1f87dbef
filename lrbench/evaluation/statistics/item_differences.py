"""Two models on the same items, where items have several draws or come in groups.

What is paired is an item's mean over its draws, and what is independent a group's sum of such differences:
draws of one item answer together, and McNemar's test over draws calls equal models different up to 17 times
in 100. Whether two models differ at all, sign flips of the groups say; how far they may be apart, Student's t
over the groups. With one draw of each item and no groups both are the tests and intervals that there are for
flips: `compare_benchmark`, `compare_averages`, `BenchmarkDifference`, `AverageDifference`.

Letters of shapes: N items, M draws of each, K benchmarks, G independent units: groups, or items without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lcm

import numpy as np

from lrbench.evaluation.statistics.effective_size import (
    FEW,
    Groups,
    group_places,
    influence_variance,
    unit_sums,
    units,
)
from lrbench.evaluation.statistics.margins import AverageDifference, BenchmarkDifference, DifferenceTest
from lrbench.evaluation.statistics.paired import compare_averages, compare_benchmark
from lrbench.evaluation.statistics.sign_flips import sign_flip_p
from lrbench.evaluation.statistics.values import (
    EQUIVALENCE_MARGIN,
    LEVEL,
    POINTS,
    Comparison,
    Flips,
    Interval,
    check_benchmarks,
    check_share,
    two_sided_quantile,
)


@dataclass(frozen=True, eq=False)
class PairedDraws:
    """Two models' draws of the same items of one benchmark: whether each is right, [N, M].

    The numbers of draws need not be equal. `groups` names the group of every item. Raises `ValueError` for no
    item, other items, or another number of groups.
    """

    first: np.ndarray
    second: np.ndarray
    groups: Groups = None

    def __post_init__(self) -> None:
        if self.first.ndim != 2 or self.second.ndim != 2 or 0 in self.first.shape + self.second.shape:
            raise ValueError("draws are a table of items and draws, with at least one of each")
        if len(self.first) != len(self.second):
            raise ValueError(f"draws of {len(self.first)} and {len(self.second)} items cannot be paired")
        if self.groups is not None:
            group_places(self.groups, len(self.first))

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.first)

    @property
    def flips(self) -> Flips | None:
        """How the outcomes meet, where there is one draw of each item and no two are of one group."""
        one_draw = self.first.shape[1] == self.second.shape[1] == 1
        if not one_draw or units(self.items, self.groups) < self.items:
            return None
        first, second = self.first[:, 0].astype(bool), self.second[:, 0].astype(bool)
        won, lost, both = (int(np.sum(cell)) for cell in (first & ~second, ~first & second, first & second))
        return Flips(won=won, lost=lost, both=both, neither=self.items - won - lost - both)

    @cached_property
    def counts(self) -> tuple[np.ndarray, int]:
        """The units' sums of differences as whole numbers, [G], and how many make an item's share of 1."""
        draws = self.first.shape[1], self.second.shape[1]
        whole = lcm(*draws)
        differences_N = self.first.sum(axis=1) * (whole // draws[0]) - self.second.sum(axis=1) * (
            whole // draws[1]
        )
        return np.rint(unit_sums(differences_N, self.groups)).astype(np.int64), whole

    @cached_property
    def difference(self) -> float:
        """The difference of the two averages over the items, a share."""
        sums_G, whole = self.counts
        return float(sums_G.sum()) / whole / self.items

    @cached_property
    def variance(self) -> float:
        """Estimates the variance of `difference` over other units like these, a share squared.

        Where fewer than five units differ at all they do not tell what others may differ by, and it is at
        least what makes an interval as wide as the score interval of no event among so many items.
        """
        each_N = self.first.mean(axis=1) - self.second.mean(axis=1)
        spread = influence_variance((each_N - each_N.mean()) / self.items, self.groups)
        if np.count_nonzero(self.counts[0]) >= FEW:
            return spread
        return max(spread, (two_sided_quantile(LEVEL) / self.items) ** 2)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the variance: the units but one; 1 where there is a single unit."""
        return max(1, units(self.items, self.groups) - 1)


@dataclass(frozen=True, eq=False)
class DrawsDifference:
    """Estimates the difference of two models' average accuracies, over draws, on all items like these.

    A `DifferenceTest`: Student's t over the units, with Welch and Satterthwaite's degrees of freedom for
    several benchmarks; at nought the sign-flip test, so that claims and boards cannot disagree. A single unit
    is taken to be worth one item. Raises `ValueError` for no benchmark.
    """

    benchmarks: tuple[PairedDraws, ...]

    def __post_init__(self) -> None:
        check_benchmarks(self.benchmarks)

    @property
    def difference(self) -> float:
        """The difference measured, in points."""
        return POINTS * sum(pair.difference for pair in self.benchmarks) / len(self.benchmarks)

    @property
    def error(self) -> float:
        """The standard error of the difference, in points."""
        return POINTS * float(np.sqrt(sum(pair.variance for pair in self.benchmarks))) / len(self.benchmarks)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error."""
        variance_K = np.array([pair.variance for pair in self.benchmarks])
        freedom_K = np.array([pair.freedom for pair in self.benchmarks])
        return float(variance_K.sum() ** 2 / np.sum(variance_K**2 / freedom_K))

    @cached_property
    def p(self) -> float:
        """Two-sided p of "no difference", by sign flips: counted for one benchmark, drawn for several."""
        if len(self.benchmarks) == 1:
            return sign_flip_p(self.benchmarks[0].counts[0])
        return sign_flip_p(
            np.concatenate([pair.counts[0] / (pair.counts[1] * pair.items) for pair in self.benchmarks])
        )

    def p_above(self, margin: float) -> float:
        """One-sided p of "the difference is at most `margin` points"."""
        return 1 - self.p_below(margin)

    def p_below(self, margin: float) -> float:
        """One-sided p of "the difference is at least `margin` points"."""
        from scipy.special import stdtr

        if margin == 0:
            return self.p / 2 if self.difference < 0 else 1 - self.p / 2
        return float(stdtr(self.freedom, (self.difference - margin) / self.error))

    def interval(self, level: float = LEVEL) -> Interval:
        """The margins that neither t test rejects at (1 - level) / 2, cut at +-100 points."""
        from scipy.special import stdtrit

        check_share("level", level)
        reach = float(stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return Interval(max(-POINTS, self.difference - reach), min(POINTS, self.difference + reach))


def difference_of_draws(benchmarks: Sequence[PairedDraws]) -> DifferenceTest:
    """What sets the difference of two models against margins, on one benchmark or the average of several."""
    flips = _flips(benchmarks)
    if flips is None:
        return DrawsDifference(tuple(benchmarks))
    return BenchmarkDifference(flips[0]) if len(flips) == 1 else AverageDifference(flips)


def compare_draws(benchmarks: Sequence[PairedDraws]) -> Comparison:
    """Estimates the difference of two models' accuracies on one benchmark, or of their average over several.

    p: sign flips of the units. Interval: Student's t over the units. Nothing is adjusted; `adjust` is for
    several comparisons. Raises `ValueError` for no benchmark.
    """
    flips = _flips(benchmarks)
    if flips is not None:
        return compare_benchmark(flips[0]) if len(flips) == 1 else compare_averages(flips)
    test = DrawsDifference(tuple(benchmarks))
    return Comparison(
        difference=test.difference,
        interval=test.interval(),
        p=test.p,
        p_adjusted=test.p,
        p_equivalent=max(test.p_above(-EQUIVALENCE_MARGIN), test.p_below(EQUIVALENCE_MARGIN)),
    )


def _flips(benchmarks: Sequence[PairedDraws]) -> tuple[Flips, ...] | None:
    check_benchmarks(benchmarks)
    flips = [pair.flips for pair in benchmarks]
    return None if None in flips else tuple(table for table in flips if table is not None)
