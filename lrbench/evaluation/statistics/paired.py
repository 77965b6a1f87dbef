"""Two models on the same items: McNemar's mid-p, Holm over benchmarks, differences of averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import sqrt

import numpy as np

from lrbench.evaluation.statistics.accuracies import percentile_interval
from lrbench.evaluation.statistics.margins import AverageDifference, BenchmarkDifference, equivalence
from lrbench.evaluation.statistics.mcnemar import mcnemar_p
from lrbench.evaluation.statistics.values import (
    EQUIVALENCE_MARGIN,
    LEVEL,
    POINTS,
    RESAMPLES,
    SEED,
    Comparison,
    Estimate,
    Flips,
    Interval,
    check_benchmarks,
    check_flips,
    two_sided_quantile,
)

# Standard errors within the margin, without which equivalence is not tested.
_HOPEFUL = 1.28


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


def compare_benchmark(flips: Flips) -> Comparison:
    """Estimates the difference of two accuracies on all problems like this benchmark's items.

    p: McNemar's mid-p. Interval: the paired Wald interval with half an item added to each of the four
    cells (Agresti and Min, 2005), cut at +-100 points.
    """
    check_flips(flips)
    z = two_sided_quantile(LEVEL)
    n = flips.n + 2
    won, lost = (flips.won + 0.5) / n, (flips.lost + 0.5) / n
    centre, reach = won - lost, z * sqrt((won + lost - (won - lost) ** 2) / n)
    p = mcnemar_p(flips.won, flips.lost)
    return Comparison(
        difference=POINTS * (flips.won - flips.lost) / flips.n,
        interval=Interval(POINTS * max(-1.0, centre - reach), POINTS * min(1.0, centre + reach)),
        p=p,
        p_adjusted=p,
        p_equivalent=_equivalence_p((flips,)),
    )


def compare_benchmarks(flips: Mapping[str, Flips]) -> dict[str, Comparison]:
    """Each benchmark's difference as `compare_benchmark` gives it, with Holm over all of them."""
    return adjust({benchmark: compare_benchmark(table) for benchmark, table in flips.items()})


def adjust(alone: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """The comparisons with Holm over all of them: of their p, of the equivalence tests', and of the runs'."""
    names, found = list(alone), list(alone.values())
    separating, equating = holm([one.p for one in found]), holm([one.p_equivalent for one in found])
    runs = (
        adjust({name: one.runs for name, one in alone.items() if one.runs is not None})
        if any(one.runs for one in found)
        else {}
    )
    return {
        name: replace(one, p_adjusted=p, p_equivalent=p_equivalent, runs=runs.get(name))
        for name, one, p, p_equivalent in zip(names, found, separating, equating, strict=True)
    }


@lru_cache(maxsize=65536)
def compare_averages(flips: tuple[Flips, ...], resamples: int = RESAMPLES, seed: int = SEED) -> Comparison:
    """Estimates the difference of two macro-averages over the same benchmarks, on the same items.

    Interval: `bootstrap_difference`. p: sign-flip permutation; if both models were equally good,
    each flipped item could as well have flipped the other way. The smallest p is 1 / (resamples + 1).
    One question, so nothing is adjusted. Raises `ValueError` for no benchmark or one without items.
    """
    generator = np.random.default_rng(seed)
    estimate = _bootstrap(flips, resamples, generator)
    flipped_K = np.array([table.won + table.lost for table in flips])
    n_K = np.array([table.n for table in flips])
    heads_RK = generator.binomial(flipped_K, 0.5, size=(resamples, len(n_K)))
    null_R = np.mean((2 * heads_RK - flipped_K) / n_K, axis=1)
    # Equal sums of shares differ in their last bits; such a draw counts as equally extreme.
    as_extreme = int(np.count_nonzero(np.abs(null_R) >= abs(estimate.value) / POINTS - 1e-12))
    p = (1 + as_extreme) / (1 + resamples)
    return Comparison(estimate.value, estimate.interval, p, p, _equivalence_p(flips))


def _equivalence_p(flips: tuple[Flips, ...]) -> float:
    """p of lying within `EQUIVALENCE_MARGIN`; 1 where a normal p of 0.1 says that no test will show it.

    The tests are exact and take their time, and most differences are plainly too uncertain.
    """
    gap = sum((table.won - table.lost) / table.n for table in flips) / len(flips)
    error = sqrt(sum(max(table.won + table.lost, 1) / table.n**2 for table in flips)) / len(flips)
    if EQUIVALENCE_MARGIN / POINTS - abs(gap) < _HOPEFUL * error:
        return 1.0
    test = BenchmarkDifference(flips[0]) if len(flips) == 1 else AverageDifference(flips)
    return equivalence(test, EQUIVALENCE_MARGIN).p


@lru_cache(maxsize=65536)
def bootstrap_difference(flips: tuple[Flips, ...], resamples: int = RESAMPLES, seed: int = SEED) -> Estimate:
    """Estimates the difference, in points, of two accuracies or of two macro-averages on the same items.

    Percentile bootstrap, paired (an item is drawn with both outcomes) and stratified (within each
    benchmark, never across); a flip never seen in a benchmark is drawn as if half an item had flipped
    that way. Raises `ValueError` for no benchmark or one without items.
    """
    return _bootstrap(flips, resamples, np.random.default_rng(seed))


def _bootstrap(flips: tuple[Flips, ...], resamples: int, generator: np.random.Generator) -> Estimate:
    check_benchmarks(flips)
    for table in flips:
        check_flips(table)
    n_K = np.array([table.n for table in flips])
    cells_K2 = np.array([[table.won, table.lost] for table in flips])
    value = float(np.mean((cells_K2[:, 0] - cells_K2[:, 1]) / n_K))
    drawn_K2 = np.maximum(cells_K2, 0.5)
    rest_K = np.maximum(n_K - drawn_K2.sum(axis=1), 0.0)
    rates_K3 = np.concatenate([drawn_K2, rest_K[:, None]], axis=1)
    rates_K3 /= rates_K3.sum(axis=1, keepdims=True)
    draws_RK3 = generator.multinomial(n_K, rates_K3, size=(resamples, len(n_K)))
    interval = percentile_interval(value, np.mean((draws_RK3[..., 0] - draws_RK3[..., 1]) / n_K, axis=1))
    return Estimate(POINTS * value, Interval(POINTS * interval.low, POINTS * interval.high))
