"""Two models on the same items, whichever way their outcomes are known: as flips, or as draws and groups.

One draw of each item and no groups are flips, which are counted; all else is `PairedDraws`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp

import numpy as np

from lrbench.evaluation.statistics.item_differences import DrawsDifference, PairedDraws
from lrbench.evaluation.statistics.margins import AverageDifference, BenchmarkDifference, DifferenceTest
from lrbench.evaluation.statistics.once import once
from lrbench.evaluation.statistics.paired import adjust, compare_averages, compare_benchmark
from lrbench.evaluation.statistics.values import (
    EQUIVALENCE_MARGIN,
    RESAMPLES,
    Comparison,
    Flips,
    check_benchmarks,
)

Paired = Flips | PairedDraws


def compare_pairs(pairs: Mapping[str, Paired]) -> dict[str, Comparison]:
    """Each benchmark's difference as `compare_average` gives it of that one, with Holm over all of them."""
    return adjust({benchmark: compare_average((pair,)) for benchmark, pair in pairs.items()})


def compare_average(pairs: Sequence[Paired]) -> Comparison:
    """Estimates the difference of two models' accuracies on a benchmark, or of their averages over several.

    Flips as `compare_benchmark` and `compare_averages` do; else sign flips and Student's t over the units.
    Nothing is adjusted. Raises `ValueError` for no benchmark.
    """
    flips = _flips(pairs)
    if flips is not None:
        if len(flips) == 1:
            return once(Comparison, compare_benchmark, flips[0])
        return once(Comparison, compare_averages, flips)
    test = DrawsDifference(tuple(map(_drawn, pairs)))
    return Comparison(
        difference=test.difference,
        interval=test.interval(),
        p=test.p,
        p_adjusted=test.p,
        p_equivalent=max(test.p_above(-EQUIVALENCE_MARGIN), test.p_below(EQUIVALENCE_MARGIN)),
    )


def difference_test(pairs: Sequence[Paired]) -> DifferenceTest:
    """What sets the difference of two models against margins, on one benchmark or the average of several."""
    flips = _flips(pairs)
    if flips is None:
        return DrawsDifference(tuple(map(_drawn, pairs)))
    return BenchmarkDifference(flips[0]) if len(flips) == 1 else AverageDifference(flips)


def largest_average_p(pairs: Sequence[Paired], resamples: int = RESAMPLES) -> float:
    """What the p of an average's `compare_average` cannot exceed, without drawing (Hoeffding, 1963).

    Of differences that go either way at random, the chance of a sum as far from nought is at most
    2 exp(-sum^2 / 2V) with V its variance; and the draws show nothing smaller than 1 / (resamples + 1).
    """
    gap, variance = 0.0, 0.0
    for pair in pairs:
        gap += difference_of(pair)
        if isinstance(pair, Flips):
            variance += (pair.won + pair.lost) / pair.n**2
        else:
            sums_G, whole = pair.counts
            variance += float(np.sum((sums_G / (whole * pair.n)) ** 2))
    return max(1 / (resamples + 1), min(1.0, 2 * exp(-(gap**2) / (2 * variance)))) if variance else 1.0


def table_of(pair: Paired) -> Flips | None:
    """How the outcomes of a pair meet; None where items were drawn several times."""
    return pair if isinstance(pair, Flips) else pair.table


def difference_of(pair: Paired) -> float:
    """The difference of the two accuracies, a share."""
    return (pair.won - pair.lost) / pair.n if isinstance(pair, Flips) else pair.difference


def variance_of(pair: Paired) -> float:
    """Estimates the variance of the pair's difference over other items like these, a share squared."""
    if isinstance(pair, PairedDraws):
        return pair.variance
    return (pair.discordance - difference_of(pair) ** 2) / pair.n


def _flips(pairs: Sequence[Paired]) -> tuple[Flips, ...] | None:
    """The flips that the pairs are; None where one is more."""
    check_benchmarks(pairs)
    flips = [pair if isinstance(pair, Flips) else pair.flips for pair in pairs]
    return None if None in flips else tuple(table for table in flips if table is not None)


def _drawn(pair: Paired) -> PairedDraws:
    """The pair as draws: of flips one of each item, in some order."""
    if isinstance(pair, PairedDraws):
        return pair
    cells = [pair.won, pair.lost, pair.both, pair.neither]
    first, second = (np.repeat(right, cells)[:, None] for right in ([1, 0, 1, 0], [0, 1, 1, 0]))
    return PairedDraws(first, second)
