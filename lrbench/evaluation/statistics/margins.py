"""A paired difference set against a margin: is it above, below, or within?

Three measurements, one face: a `DifferenceTest` gives its difference in points, a p-value on either
side of any margin, and the interval that those p-values invert to. `BenchmarkDifference` is exact,
`AverageDifference` combines the score intervals of its benchmarks; the third, over seeds, is in `seeds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from lrbench.evaluation.statistics.mcnemar import mcnemar_p
from lrbench.evaluation.statistics.score_intervals import average_limits, score_statistic
from lrbench.evaluation.statistics.values import (
    LEVEL,
    POINTS,
    SIGNIFICANCE,
    Flips,
    Interval,
    check_benchmarks,
    check_flips,
    check_share,
    two_sided_quantile,
)

# What Berger and Boos' method adds to a p-value for leaving out discordance rates that the data contradict:
# little, since no p-value can be smaller and many claims share one error. And how many rates are tried;
# with 1001 a p-value grows by at most 0.2% of itself.
_SPENT = 1e-6
_RATES = 41
_LARGEST_Z = 8.0
# How many standard deviations, and twice as many more, the counts of wins reach that are looked at.
_REACH = 7.5


class DifferenceTest(Protocol):
    """A difference, first minus second, that can be set against margins; all in points."""

    @property
    def difference(self) -> float:
        """The difference measured."""
        ...

    def p_above(self, margin: float) -> float:
        """One-sided p of "the difference is at most `margin`": small when it is above."""
        ...

    def p_below(self, margin: float) -> float:
        """One-sided p of "the difference is at least `margin`": small when it is below."""
        ...

    def interval(self, level: float = LEVEL) -> Interval:
        """The margins that neither p-value rejects at (1 - level) / 2."""
        ...


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests that a difference lies within +-`margin` points (TOST; Schuirmann, 1987).

    `p_above` is against "at or under -margin", `p_below` against "at or over margin"; `p` is the larger.
    `interval` has the level 1 - 2 x 5%: it lies within the margin where the tests show equivalence.
    """

    margin: float
    difference: float
    interval: Interval
    p_above: float
    p_below: float

    @property
    def p(self) -> float:
        """The p-value of both tests together: the larger one, unadjusted."""
        return max(self.p_above, self.p_below)

    @property
    def equivalent(self) -> bool:
        """Whether equivalence is shown at 5%."""
        return self.p <= SIGNIFICANCE


def equivalence(test: DifferenceTest, margin: float) -> Equivalence:
    """Estimates whether two models' accuracies differ by less than `margin` points.

    Type-I error at either end of the margin: 5%, guaranteed for a benchmark, in simulation at most 5.5%
    for averages and seeds. Raises `ValueError` for a margin that is not above 0.
    """
    if margin <= 0:
        raise ValueError(f"a margin of {margin} points shows no equivalence; it has to be above 0")
    return Equivalence(
        margin=margin,
        difference=test.difference,
        interval=test.interval(1 - 2 * SIGNIFICANCE),
        p_above=test.p_above(-margin),
        p_below=test.p_below(margin),
    )


@dataclass(frozen=True)
class BenchmarkDifference:
    """Estimates the difference of two accuracies on all problems like this benchmark's items.

    Exact and unconditional: the p-value is the largest chance of data this far from the margin, by the
    score statistic of Tango (1998), over every discordance rate but those that the data contradict at one in
    a million, which is added (Berger and Boos, 1994; Hsueh, Liu and Chen, 2001). The type-I error is at most
    the level at every n and discordance, which Wald and score tests do not keep when flips are few. At nought
    alone it is half of McNemar's mid-p, by which boards are read, so that claims and boards cannot disagree.
    Raises `ValueError` for no items.
    """

    flips: Flips

    def __post_init__(self) -> None:
        check_flips(self.flips)

    @property
    def difference(self) -> float:
        """The difference measured, in points."""
        return POINTS * (self.flips.won - self.flips.lost) / self.flips.n

    def p_above(self, margin: float) -> float:
        """One-sided p of "the difference is at most `margin` points"."""
        if margin == 0:
            return _mid_p(self.flips.won, self.flips.lost)
        return _exact_p(self.flips.lost, self.flips.won, self.flips.n, -margin / POINTS)

    def p_below(self, margin: float) -> float:
        """One-sided p of "the difference is at least `margin` points"."""
        if margin == 0:
            return _mid_p(self.flips.lost, self.flips.won)
        return _exact_p(self.flips.won, self.flips.lost, self.flips.n, margin / POINTS)

    def interval(self, level: float = LEVEL) -> Interval:
        """The margins, to 0.001 points, that neither p-value rejects at (1 - level) / 2."""
        check_share("level", level)
        return _exact_interval(self.flips.won, self.flips.lost, self.flips.n, level)


@dataclass(frozen=True)
class AverageDifference:
    """Estimates the difference of two macro-averages over the same benchmarks, on the same items.

    Score intervals of the benchmarks (Tango, 1998) combined (`average_limits`; after MOVER, Zou and Donner,
    2008): no resampling, asymmetric where the flips are. Raises
    `ValueError` for no benchmark or one without items.
    """

    flips: tuple[Flips, ...]

    def __post_init__(self) -> None:
        check_benchmarks(self.flips)
        for table in self.flips:
            check_flips(table)

    @property
    def difference(self) -> float:
        """The difference of the averages measured, in points."""
        return POINTS * sum((table.won - table.lost) / table.n for table in self.flips) / len(self.flips)

    def p_above(self, margin: float) -> float:
        """One-sided p of "the difference is at most `margin` points"."""
        return 1 - self.p_below(margin)

    def p_below(self, margin: float) -> float:
        """One-sided p of "the difference is at least `margin` points"."""
        return _p_of_limits(self.flips, margin)

    def interval(self, level: float = LEVEL) -> Interval:
        """The margins that neither p-value rejects at (1 - level) / 2."""
        check_share("level", level)
        return _limits(self.flips, two_sided_quantile(level))


def _limits(flips: tuple[Flips, ...], z: float) -> Interval:
    """The limits, in points, `z` standard errors below and above the average difference."""
    won_K, lost_K, n_K = np.array([(table.won, table.lost, table.n) for table in flips]).T
    low, high = average_limits(won_K, lost_K, n_K, z)
    return Interval(POINTS * float(low), POINTS * float(high))


@lru_cache(maxsize=4096)
def _p_of_limits(flips: tuple[Flips, ...], margin: float) -> float:
    """One-sided p of "at least `margin`": the level at which the limit on its side reaches `margin`."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    above = margin > _limits(flips, 0.0).high

    def beyond(z: float) -> float:
        limits = _limits(flips, z)
        return limits.high - margin if above else margin - limits.low

    z = float(brentq(beyond, 0.0, _LARGEST_Z, xtol=1e-6)) if beyond(_LARGEST_Z) > 0 else _LARGEST_Z
    return float(ndtr(-z if above else z))


def _mid_p(won: int, lost: int) -> float:
    """One-sided p of "no difference": small where more are won."""
    half = mcnemar_p(won, lost) / 2
    return half if won > lost else 1 - half


@lru_cache(maxsize=65536)
def _exact_p(won: int, lost: int, n: int, margin: float) -> float:
    """The largest chance, over discordance rates, of data at most this far up if the difference is `margin`.

    With P(won) = q + margin and P(lost) = q, won is binomial and lost, given won, is binomial among the
    rest. The score falls with every further loss, so for each count of wins the data at most this far up
    are those with at least so many losses, and a tail of the second binomial gives their chance.
    """
    from scipy.special import bdtrc, betaincinv

    if abs(margin) >= 1:
        # All items flip the same way, or the margin cannot be reached at all.
        return float(margin <= -1 or (margin == 1 and won == n))
    flipped = won + lost
    least = 0.0 if flipped == 0 else float(betaincinv(flipped, n - flipped + 1, _SPENT / 2))
    most = 1.0 if flipped == n else float(betaincinv(flipped + 1, n - flipped, 1 - _SPENT / 2))
    if most < abs(margin):
        # No discordance that the data allow holds so large a difference: they lie wholly to one side of it.
        return _SPENT if margin > (won - lost) / n else 1.0
    q_Q = (np.linspace(max(least, abs(margin)), most, _RATES) - margin) / 2
    won_W = _plausible(n, float(q_Q[0] + margin), float(q_Q[-1] + margin))
    fewest_W = _fewest_losses(won_W, n, margin, float(score_statistic(won, lost, n, margin)))
    rate_Q1, among_Q1 = (q_Q + margin)[:, None], (q_Q / np.maximum(1 - q_Q - margin, 1e-300))[:, None]
    tail_QW = np.where(fewest_W == 0, 1.0, bdtrc(fewest_W - 1, n - won_W, np.minimum(among_Q1, 1.0)))
    chance_Q = np.sum(_binomial(won_W, n, rate_Q1) * tail_QW, axis=1)
    return min(1.0, float(np.max(chance_Q)) + _SPENT)


def _plausible(n: int, lowest_rate: float, highest_rate: float) -> np.ndarray:
    """The counts among `n` that are not unlikely (1e-12) at some rate from the lowest to the highest."""
    low = n * lowest_rate - _REACH * np.sqrt(n * lowest_rate) - 1
    high = n * highest_rate + _REACH * np.sqrt(n * highest_rate) + 2 * _REACH
    return np.arange(max(0, int(low)), min(n, int(high)) + 1)


def _binomial(count_W: np.ndarray, n: int, rate_Q1: np.ndarray) -> np.ndarray:
    """The chance of each count, [Q, W]; scipy.stats has it too, but takes seconds to import."""
    from scipy.special import gammaln, xlog1py, xlogy

    ways_W = gammaln(n + 1) - gammaln(count_W + 1) - gammaln(n - count_W + 1)
    return np.asarray(np.exp(ways_W + xlogy(count_W, rate_Q1) + xlog1py(n - count_W, -rate_Q1)))


def _fewest_losses(won_W: np.ndarray, n: int, margin: float, score: float) -> np.ndarray:
    """The fewest losses, for each count of wins, that bring the score down to `score`; above n if none do."""
    too_few_W, enough_W = np.full_like(won_W, -1), n - won_W + 1
    while np.any(enough_W - too_few_W > 1):
        middle_W = (too_few_W + enough_W) // 2
        down_W = score_statistic(won_W, middle_W, n, margin) <= score + 1e-9
        settled_W = enough_W - too_few_W <= 1
        enough_W = np.where(down_W & ~settled_W, middle_W, enough_W)
        too_few_W = np.where(~down_W & ~settled_W, middle_W, too_few_W)
    return enough_W


@lru_cache(maxsize=4096)
def _exact_interval(won: int, lost: int, n: int, level: float) -> Interval:
    return Interval(
        -POINTS * _highest_margin(lost, won, n, (1 - level) / 2),
        POINTS * _highest_margin(won, lost, n, (1 - level) / 2),
    )


def _highest_margin(won: int, lost: int, n: int, error: float) -> float:
    """The margin above the difference at which its one-sided p falls to `error`."""
    from scipy.optimize import brentq

    difference = (won - lost) / n
    if difference == 1:
        return 1.0
    if _exact_p(won, lost, n, difference) <= error:
        return difference
    return float(brentq(lambda margin: _exact_p(won, lost, n, margin) - error, difference, 1.0, xtol=1e-5))
