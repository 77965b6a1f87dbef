"""What a set of outcomes says: intervals, paired tests, averages over benchmarks. Pure functions, no I/O.

Every function says first what it estimates. Accuracies are shares in [0, 1]; differences are in
percentage points. An item is one problem of a benchmark, and the only thing that is random: models
and benchmarks are taken as they are. Random draws come from a fixed seed, so equal counts give
equal numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt

import numpy as np

LEVEL = 0.95
SIGNIFICANCE = 0.05
RESAMPLES = 10_000
SEED = 0
POINTS = 100.0


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


@dataclass(frozen=True)
class Comparison:
    """One model set against another on the same items.

    `difference` and `interval` are in percentage points, first minus second. `p` is two-sided;
    `p_adjusted` is `p` after Holm over the benchmarks compared together, and decides `separated`.
    The interval is not adjusted, so it can leave out zero where the two are not separated.
    """

    difference: float
    interval: Interval
    p: float
    p_adjusted: float

    @property
    def separated(self) -> bool:
        """Whether the difference is resolved at 5%; otherwise the two are a tie."""
        return self.p_adjusted < SIGNIFICANCE


def wilson_interval(correct: int, n: int, level: float = LEVEL) -> Interval:
    """Estimates the accuracy on all problems of which the `n` items are a sample (Wilson, 1927).

    Raises `ValueError` unless 0 <= correct <= n and n >= 1.
    """
    _check_counts(correct, n)
    z = _normal_quantile(level)
    share = correct / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # The exact bounds are 0 and 1 where all items agree; rounding must not pass or miss them.
    low = 0.0 if correct == 0 else max(0.0, centre - reach)
    high = 1.0 if correct == n else min(1.0, centre + reach)
    return Interval(low, high)


def count_flips(first: str, second: str) -> Flips:
    """Counts how two models' outcomes meet; both hold one `0` or `1` per item, in the same order.

    Raises `ValueError` when the lengths differ.
    """
    if len(first) != len(second):
        raise ValueError(f"outcomes of {len(first)} and {len(second)} items cannot be paired")
    if not first:
        return Flips(0, 0, 0, 0)
    first_bits, second_bits = int(first, 2), int(second, 2)
    won = (first_bits & ~second_bits).bit_count()
    lost = (second_bits & ~first_bits).bit_count()
    both = (first_bits & second_bits).bit_count()
    return Flips(won=won, lost=lost, both=both, neither=len(first) - won - lost - both)


@lru_cache(maxsize=65536)
def mcnemar_p(won: int, lost: int) -> float:
    """The chance, if both models were equally good, of flips at least as one-sided as these.

    Exact McNemar test: given won + lost flips, `won` is Binomial(won + lost, 1/2). Two-sided.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(won, lost), won + lost, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values so that the chance of any false separation among them stays below the level.

    Holm (1979), step-down; in the order given. Eight lines of our own, because importing
    statsmodels takes longer than everything else the leaderboard does.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@lru_cache(maxsize=65536)
def macro_average(
    counts: tuple[tuple[int, int], ...], resamples: int = RESAMPLES, seed: int = SEED
) -> Estimate:
    """Estimates the mean over these benchmarks of the accuracy on all problems like each one's items.

    `counts` holds (correct, n) per benchmark; every benchmark weighs the same. The interval is the
    percentile bootstrap, stratified: items are drawn anew within each benchmark, never across.
    A benchmark answered all right or all wrong is drawn as if half an item were otherwise, since the
    plain bootstrap would call it certain. Raises `ValueError` for no benchmark or one without items.
    """
    _check_benchmarks(counts)
    for correct, n in counts:
        _check_counts(correct, n)
    correct_K, n_K = np.array(counts).T
    half_item_K = 0.5 / n_K
    rate_K = np.clip(correct_K / n_K, half_item_K, 1 - half_item_K)
    draws_RK = np.random.default_rng(seed).binomial(n_K, rate_K, size=(resamples, len(n_K)))
    value = float(np.mean(correct_K / n_K))
    return Estimate(value, _percentile_interval(value, np.mean(draws_RK / n_K, axis=1)))


def compare_benchmark(flips: Flips) -> Comparison:
    """Estimates the difference of two accuracies on all problems like this benchmark's items.

    p: exact McNemar. Interval: the paired Wald interval with half an item added to each of the four
    cells (Agresti and Min, 2005), cut at +-100 points.
    """
    _check_counts(flips.won + flips.lost, flips.n)
    z = _normal_quantile(LEVEL)
    n = flips.n + 2
    won, lost = (flips.won + 0.5) / n, (flips.lost + 0.5) / n
    centre, reach = won - lost, z * sqrt((won + lost - (won - lost) ** 2) / n)
    p = mcnemar_p(flips.won, flips.lost)
    return Comparison(
        difference=POINTS * (flips.won - flips.lost) / flips.n,
        interval=Interval(POINTS * max(-1.0, centre - reach), POINTS * min(1.0, centre + reach)),
        p=p,
        p_adjusted=p,
    )


def compare_benchmarks(flips: Mapping[str, Flips]) -> dict[str, Comparison]:
    """Each benchmark's difference as `compare_benchmark` gives it, with Holm over all of them."""
    alone = {benchmark: compare_benchmark(table) for benchmark, table in flips.items()}
    adjusted = holm([comparison.p for comparison in alone.values()])
    return {
        benchmark: replace(comparison, p_adjusted=p_adjusted)
        for (benchmark, comparison), p_adjusted in zip(alone.items(), adjusted, strict=True)
    }


@lru_cache(maxsize=65536)
def compare_averages(flips: tuple[Flips, ...], resamples: int = RESAMPLES, seed: int = SEED) -> Comparison:
    """Estimates the difference of two macro-averages over the same benchmarks, on the same items.

    Interval: paired stratified percentile bootstrap; a flip never seen in a benchmark is drawn as if
    half an item had flipped that way. p: sign-flip permutation; if both models were equally good,
    each flipped item could as well have flipped the other way. The smallest p is 1 / (resamples + 1).
    One question, so nothing is adjusted. Raises `ValueError` for no benchmark or one without items.
    """
    _check_benchmarks(flips)
    for table in flips:
        _check_counts(table.won + table.lost, table.n)
    won_K = np.array([table.won for table in flips])
    lost_K = np.array([table.lost for table in flips])
    n_K = np.array([table.n for table in flips])
    value = float(np.mean((won_K - lost_K) / n_K))
    generator = np.random.default_rng(seed)

    cells_K2 = np.maximum(np.stack([won_K, lost_K], axis=1), 0.5)
    rest_K = np.maximum(n_K - cells_K2.sum(axis=1), 0.0)
    rates_K3 = np.concatenate([cells_K2, rest_K[:, None]], axis=1)
    rates_K3 /= rates_K3.sum(axis=1, keepdims=True)
    draws_RK3 = generator.multinomial(n_K, rates_K3, size=(resamples, len(n_K)))
    interval = _percentile_interval(value, np.mean((draws_RK3[..., 0] - draws_RK3[..., 1]) / n_K, axis=1))

    flipped_K = won_K + lost_K
    heads_RK = generator.binomial(flipped_K, 0.5, size=(resamples, len(n_K)))
    null_R = np.mean((2 * heads_RK - flipped_K) / n_K, axis=1)
    # Equal sums of shares differ in their last bits; such a draw counts as equally extreme.
    as_extreme = int(np.count_nonzero(np.abs(null_R) >= abs(value) - 1e-12))
    p = (1 + as_extreme) / (1 + resamples)
    return Comparison(
        difference=POINTS * value,
        interval=Interval(POINTS * interval.low, POINTS * interval.high),
        p=p,
        p_adjusted=p,
    )


def _percentile_interval(value: float, draws: np.ndarray) -> Interval:
    """The middle `LEVEL` of `draws`, widened to hold `value` itself at the edge of what is possible."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(min(float(low), value), max(float(high), value))


@lru_cache
def _normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def _check_benchmarks(benchmarks: Sequence[object]) -> None:
    if not benchmarks:
        raise ValueError("an average needs at least one benchmark")


def _check_counts(correct: int, n: int) -> None:
    if n < 1 or not 0 <= correct <= n:
        raise ValueError(f"{correct} of {n} items is not a count of outcomes; at least one item is needed")
