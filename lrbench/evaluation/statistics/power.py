"""What a number of items can decide: power of McNemar's mid-p, and the numbers that follow from it."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, sqrt

import numpy as np

from lrbench.evaluation.statistics.values import POINTS, POWER, SIGNIFICANCE, check_share

_MOST_ITEMS = 10**7
_REACH = 8


def mcnemar_power(n: int, discordance: float, difference: float) -> float:
    """The chance that McNemar's mid-p separates two models on `n` items at 5%, in either direction.

    `discordance` is the share of items that flip, `difference` the true difference in points; it cannot
    exceed the discordance. Exact: flips are Binomial(n, discordance), wins among them binomial too.
    Raises `ValueError` for rates that cannot be.
    """
    from scipy.special import bdtr, bdtrc, gammaln, xlog1py, xlogy

    _check(n, discordance)
    delta = difference / POINTS
    if abs(delta) > discordance + 1e-12:
        raise ValueError(f"{difference} points apart takes more flips than {discordance} of the items")
    spread = _REACH * np.sqrt(n * discordance * (1 - discordance)) + _REACH
    flips_M = np.arange(max(0, int(n * discordance - spread)), min(n, ceil(n * discordance + spread)) + 1)
    ways_M = gammaln(n + 1) - gammaln(flips_M + 1) - gammaln(n - flips_M + 1)
    chance_M = np.exp(ways_M + xlogy(flips_M, discordance) + xlog1py(n - flips_M, -discordance))
    most_M = _most_rejected(flips_M)
    winning = min(1.0, max(0.0, (1 + delta / discordance) / 2))
    few_M = np.where(most_M < 0, 0.0, bdtr(np.maximum(most_M, 0), flips_M, winning))
    many_M = np.where(most_M < 0, 0.0, bdtrc(flips_M - most_M - 1, np.maximum(flips_M, 1), winning))
    return min(1.0, float(np.sum(chance_M * (few_M + many_M))))


@lru_cache(maxsize=4096)
def smallest_detectable_difference(n: int, discordance: float, power: float = POWER) -> float | None:
    """Estimates the true difference, in points, that McNemar's mid-p separates with this power on `n` items.

    `discordance` is the share of items that flip, from a pilot or a like pair. None where not even
    flips in one direction only would reach the power. Raises `ValueError` for rates that cannot be.
    """
    from scipy.optimize import brentq

    _check(n, discordance)
    check_share("power", power)
    if mcnemar_power(n, discordance, POINTS * discordance) < power:
        return None
    return float(
        brentq(
            lambda difference: mcnemar_power(n, discordance, difference) - power,
            0.0,
            POINTS * discordance,
            xtol=1e-4,
        )
    )


@lru_cache(maxsize=4096)
def items_to_separate(difference: float, discordance: float, power: float = POWER) -> int | None:
    """Estimates how many items McNemar's mid-p needs to separate a true difference with this power.

    `difference` in points, `discordance` the share of items that flip. None where more than ten million
    were needed. The power of a test of counts climbs in small steps that turn back here and there; this
    is a point from which it holds but for such steps. Raises `ValueError` for rates that cannot be.
    """
    check_share("power", power)
    if difference == 0 or mcnemar_power(_MOST_ITEMS, discordance, difference) < power:
        return None
    too_few, enough = 0, 1
    while mcnemar_power(enough, discordance, difference) < power:
        too_few, enough = enough, enough * 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if mcnemar_power(middle, discordance, difference) < power:
            too_few = middle
        else:
            enough = middle
    return enough


def optimism_of_best(points: int, variance: float) -> float:
    """Estimates how far the best of `points` equally good results lies above their mean, by luck alone.

    `variance` is that of the difference of two of them: the result has its root's unit. Of equals the largest
    of J normal errors is expected, sqrt(variance / 2) times 1.49 for 9 and 1.97 for 25; where some are better
    than others it is less. Raises `ValueError` for no result or a negative variance.
    """
    from scipy.special import ndtr

    if points < 1 or variance < 0:
        raise ValueError(f"the best of {points} results with variance {variance} cannot be")
    edges = np.linspace(-_REACH, _REACH, 4001)
    middles = (edges[1:] + edges[:-1]) / 2
    expected = float(np.sum(middles * np.diff(ndtr(edges) ** points)))
    return sqrt(variance / 2) * expected


def _most_rejected(flips_M: np.ndarray) -> np.ndarray:
    """For each number of flips, the most wins of the weaker side that still separate; -1 where none do."""
    from scipy.special import bdtr

    rejected_M, kept_M = np.full_like(flips_M, -1), flips_M // 2 + 1
    while np.any(kept_M - rejected_M > 1):
        middle_M = np.maximum((rejected_M + kept_M) // 2, 0)
        open_M = kept_M - rejected_M > 1
        below_M = np.where(middle_M == 0, 0.0, bdtr(np.maximum(middle_M - 1, 0), flips_M, 0.5))
        low_M = below_M + bdtr(middle_M, flips_M, 0.5) < SIGNIFICANCE
        rejected_M = np.where(open_M & low_M, middle_M, rejected_M)
        kept_M = np.where(open_M & ~low_M, middle_M, kept_M)
    return rejected_M


def _check(n: int, discordance: float) -> None:
    if n < 1 or not 0 < discordance <= 1:
        raise ValueError(f"{n} items of which a share of {discordance} flips cannot be planned with")
