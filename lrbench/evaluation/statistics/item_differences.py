"""Two models on the same items, where items have several draws or come in groups.

What is paired is an item's mean over its draws, and what is independent a group's sum of such differences:
draws of one item answer together, and McNemar's test over draws calls equal models different up to 17 times
in 100. Whether two models differ at all, sign flips of the groups say; how far they may be apart, Student's t
over the groups. One draw of each item and no groups are `Flips`, and `pairs` takes them to their own tests.

Letters of shapes: N items, M draws of each, K benchmarks, G independent units: groups, or items without any.
"""

from __future__ import annotations

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
from lrbench.evaluation.statistics.sign_flips import sign_flip_p
from lrbench.evaluation.statistics.values import (
    LEVEL,
    POINTS,
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
    def n(self) -> int:
        """Number of items."""
        return len(self.first)

    @property
    def table(self) -> Flips | None:
        """How the outcomes meet, where there is one draw of each item."""
        if not self.first.shape[1] == self.second.shape[1] == 1:
            return None
        first, second = self.first[:, 0].astype(bool), self.second[:, 0].astype(bool)
        won, lost, both = (int(np.sum(cell)) for cell in (first & ~second, ~first & second, first & second))
        return Flips(won=won, lost=lost, both=both, neither=self.n - won - lost - both)

    @property
    def flips(self) -> Flips | None:
        """The table, where no two items are of one group: then it is all there is to know."""
        return self.table if units(self.n, self.groups) == self.n else None

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
        return float(sums_G.sum()) / whole / self.n

    @cached_property
    def variance(self) -> float:
        """Estimates the variance of `difference` over other units like these, a share squared.

        Where fewer than five units differ at all they do not tell what others may differ by, and it is at
        least what makes an interval as wide as the score interval of no event among so many items.
        """
        each_N = self.first.mean(axis=1) - self.second.mean(axis=1)
        spread = influence_variance((each_N - each_N.mean()) / self.n, self.groups)
        if np.count_nonzero(self.counts[0]) >= FEW:
            return spread
        return max(spread, (two_sided_quantile(LEVEL) / self.n) ** 2)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the variance: the units but one; 1 where there is a single unit."""
        return max(1, units(self.n, self.groups) - 1)


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
            np.concatenate([pair.counts[0] / (pair.counts[1] * pair.n) for pair in self.benchmarks])
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
