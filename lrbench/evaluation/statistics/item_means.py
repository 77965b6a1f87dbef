"""Means and ratios over items of what is no share: tokens, and log-likelihoods; by items, or by groups.

Letters of shapes: N items, or what was drawn of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrbench.evaluation.statistics.effective_size import Groups, influence_variance, mean_share, units
from lrbench.evaluation.statistics.values import LEVEL, Estimate, Interval, check_share


def share_of(events: Sequence[bool], groups: Groups = None) -> Estimate:
    """Estimates the share of answers, to items like these, of which something is so, as being truncated.

    Wilson's interval, at the effective size where there are `groups`. Raises `ValueError` for no answer.
    """
    return mean_share(np.asarray(events, dtype=float), groups)


def ratio(
    above: Sequence[float], below: Sequence[float], groups: Groups = None, level: float = LEVEL
) -> Estimate:
    """Estimates the sum of `above` over the sum of `below`, over all items like these.

    As a negative log-likelihood for each token, or a mean, where `below` is 1 of every item. Linearised
    (Cochran, 1977): Student's t over the units. A single unit tells no interval, which is then infinite.
    Raises `ValueError` for no item, numbers that do not match or are not finite, or nothing below.
    """
    from scipy.special import stdtrit

    check_share("level", level)
    above_N, below_N = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    if not len(above_N) or len(above_N) != len(below_N) or np.any(below_N < 0) or below_N.sum() == 0:
        raise ValueError("a ratio needs an item, a number below each that is not negative, and one above 0")
    if not np.all(np.isfinite(above_N)) or not np.all(np.isfinite(below_N)):
        raise ValueError("a ratio is of finite numbers")
    value = float(above_N.sum() / below_N.sum())
    count = units(len(above_N), groups)
    if count < 2:
        return Estimate(value, Interval(-np.inf, np.inf))
    variance = influence_variance((above_N - value * below_N) / below_N.sum(), groups)
    reach = float(stdtrit(count - 1, (1 + level) / 2)) * variance**0.5
    return Estimate(value, Interval(value - reach, value + reach))


def mean_of(values: Sequence[float], groups: Groups = None, level: float = LEVEL) -> Estimate:
    """Estimates the mean of `values` over all items like these, as `ratio` does."""
    return ratio(values, [1.0] * len(values), groups, level)


def tokens_after_first_right(
    tokens: Sequence[int], first_right: Sequence[int | None], groups: Groups = None
) -> Estimate | None:
    """Estimates how many tokens an answer goes on for after it has first said what is right.

    `tokens` is the length of every answer and `first_right` how long it was when the right answer could first
    be read, None where it never could: such answers do not count. None where none could. Raises `ValueError`
    where an answer was right after its end, or numbers do not match.
    """
    pairs = list(zip(tokens, first_right, strict=True))
    if any(first is not None and not 0 <= first <= length for length, first in pairs):
        raise ValueError("an answer cannot first be right after its end")
    counted = [place for place, (_, first) in enumerate(pairs) if first is not None]
    if not counted:
        return None
    beyond = [length - first for length, first in pairs if first is not None]
    return mean_of(beyond, None if groups is None else [groups[place] for place in counted])
