"""One model's accuracy: on a benchmark, over benchmarks, and over several samples of each problem."""

from __future__ import annotations

from functools import lru_cache
from math import comb, sqrt

import numpy as np

from lrbench.evaluation.statistics.values import (
    LEVEL,
    RESAMPLES,
    SEED,
    Estimate,
    Interval,
    check_benchmarks,
    check_counts,
    check_share,
    two_sided_quantile,
)


def wilson_interval(correct: int, n: int, level: float = LEVEL) -> Interval:
    """Estimates the accuracy on all problems of which the `n` items are a sample (Wilson, 1927).

    Raises `ValueError` unless 0 <= correct <= n and n >= 1.
    """
    check_counts(correct, n)
    centre, reach = wilson_parts(correct / n, n, two_sided_quantile(level))
    # The exact bounds are 0 and 1 where all items agree; rounding must not pass or miss them.
    low = 0.0 if correct == 0 else max(0.0, centre - reach)
    high = 1.0 if correct == n else min(1.0, centre + reach)
    return Interval(low, high)


def wilson_parts(share: float, size: float, z: float) -> tuple[float, float]:
    """The middle of Wilson's interval around a `share` of `size` outcomes, and its reach of `z` errors."""
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    reach = z / (1 + z**2 / size) * sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return centre, reach


def bootstrap_interval(correct: int, n: int, level: float = LEVEL) -> Interval:
    """Estimates the accuracy on all problems of which the `n` items are a sample (percentile bootstrap).

    Drawing items anew gives Binomial(n, correct / n) right ones, so the quantiles are exact: what
    resampling approaches with ever more draws. All right or all wrong is drawn as if half an item
    were otherwise, since the plain bootstrap would call it certain. Raises `ValueError` unless
    0 <= correct <= n and n >= 1, or when `level` is not between 0 and 1.
    """
    from scipy.special import bdtr

    check_counts(correct, n)
    check_share("level", level)
    rate = min(max(correct, 0.5), n - 0.5) / n
    cumulative = bdtr(np.arange(n + 1), n, rate)
    low, high = np.searchsorted(cumulative, [(1 - level) / 2, (1 + level) / 2]) / n
    return Interval(min(float(low), correct / n), max(float(high), correct / n))


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
    check_benchmarks(counts)
    for correct, n in counts:
        check_counts(correct, n)
    correct_K, n_K = np.array(counts).T
    half_item_K = 0.5 / n_K
    rate_K = np.clip(correct_K / n_K, half_item_K, 1 - half_item_K)
    draws_RK = np.random.default_rng(seed).binomial(n_K, rate_K, size=(resamples, len(n_K)))
    value = float(np.mean(correct_K / n_K))
    return Estimate(value, percentile_interval(value, np.mean(draws_RK / n_K, axis=1)))


def percentile_interval(value: float, draws: np.ndarray) -> Interval:
    """The middle `LEVEL` of `draws`, widened to hold `value` itself at the edge of what is possible."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(min(float(low), value), max(float(high), value))


def pass_at_k(correct: int, n: int, k: int) -> float:
    """Estimates the chance that at least one of `k` samples of a problem is right, without bias.

    From `n` >= `k` samples of which `correct` are right: one minus the share of k-subsets that hold no
    right one, 1 - C(n - correct, k) / C(n, k) (Chen et al., 2021, equation 1). Raises `ValueError`
    unless 0 <= correct <= n and 1 <= k <= n.
    """
    check_counts(correct, n)
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} cannot be estimated from {n} samples; k is at least 1 and at most n")
    # Integers of any size: exact, where a product of floats loses digits at large n.
    return 1 - comb(n - correct, k) / comb(n, k)
