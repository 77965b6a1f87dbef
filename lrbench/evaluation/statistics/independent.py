"""Two accuracies of which only the rates and the numbers of items are known, as publications give them."""

from __future__ import annotations

from math import sqrt

from lrbench.evaluation.statistics.accuracies import wilson_interval
from lrbench.evaluation.statistics.values import (
    LEVEL,
    POINTS,
    Comparison,
    Interval,
    check_counts,
)


def published_correct(percent: float, n: int) -> int:
    """The number of right items that a published percentage of `n` items stands for, to the nearest.

    Raises `ValueError` for a percentage outside [0, 100] or no items.
    """
    if not 0 <= percent <= POINTS or n < 1:
        raise ValueError(f"{percent} percent of {n} items is not an accuracy")
    return round(percent * n / POINTS)


def compare_independent(
    first_correct: int, first_n: int, second_correct: int, second_n: int, level: float = LEVEL
) -> Comparison:
    """Estimates the difference of two accuracies that were measured on samples drawn independently.

    Interval: Newcombe (1998, method 10), the two Wilson intervals combined. p: two-sided score test
    with the pooled rate (Pearson's chi-squared, uncorrected). Where both models answered the same items,
    their outcomes tend to agree and this finds less than a paired test would; without the outcomes
    of each item nothing sharper is honest. Raises `ValueError` for counts that cannot be.
    """
    check_counts(first_correct, first_n)
    check_counts(second_correct, second_n)
    first, second = first_correct / first_n, second_correct / second_n
    around_first = wilson_interval(first_correct, first_n, level)
    around_second = wilson_interval(second_correct, second_n, level)
    difference = first - second
    down = sqrt((first - around_first.low) ** 2 + (around_second.high - second) ** 2)
    up = sqrt((around_first.high - first) ** 2 + (second - around_second.low) ** 2)
    p = _pooled_p(first_correct, first_n, second_correct, second_n)
    return Comparison(
        difference=POINTS * difference,
        interval=Interval(POINTS * (difference - down), POINTS * (difference + up)),
        p=p,
        p_adjusted=p,
    )


def _pooled_p(first_correct: int, first_n: int, second_correct: int, second_n: int) -> float:
    from scipy.special import ndtr

    pooled = (first_correct + second_correct) / (first_n + second_n)
    error = sqrt(pooled * (1 - pooled) * (1 / first_n + 1 / second_n))
    if error == 0:
        return 1.0
    return 2 * float(ndtr(-abs(first_correct / first_n - second_correct / second_n) / error))
