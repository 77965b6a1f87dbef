"""How many independent outcomes a mean of items is worth, where items have several draws or come in groups.

A share of n independent outcomes varies by mu (1 - mu) / n. The mean of items that were drawn several times
varies by less, since draws average out, and that of items in groups (variations of one problem, subjects) by
more, since the items of a group tend to be right together. The effective size is the n that would vary as
much, mu (1 - mu) / v with v the variance between independent units (groups, or items where there are none),

    v = G / (G - 1) * sum over groups of (sum of the group's values - mu)^2 / N^2

and Wilson's interval is taken at it, with Student's t of G - 1 degrees of freedom where it is estimated. It
is kept between what is certain: at least as many as if the values of a group were all the same (Kish, 1965:
N^2 / sum of the groups' squared sizes), and at most `most` for each item. With one draw of each item and no
groups both bounds are N, and the interval is Wilson's, number for number. Measured in simulation by
`experiments/statistics/draws.py`.

Letters of shapes: N items, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrbench.evaluation.statistics.accuracies import wilson_parts
from lrbench.evaluation.statistics.values import LEVEL, Estimate, Interval, check_share, two_sided_quantile

# Below so many items that are otherwise, their variance is not known well enough to be relied on: pass@k of
# 30 items is covered 78 to 93 times in 100, and 97 at the least size.
FEW = 5

# The group of every item; None where every item stands for itself.
Groups = Sequence[str] | None


@dataclass(frozen=True)
class EffectiveSize:
    """So many independent outcomes; `freedom` is that of an estimated size, None where it is certain."""

    size: float
    freedom: int | None

    def quantile(self, level: float = LEVEL) -> float:
        """How many standard errors an interval of this level reaches to either side."""
        from scipy.special import stdtrit

        check_share("level", level)
        if self.freedom is None:
            return two_sided_quantile(level)
        return float(stdtrit(self.freedom, (1 + level) / 2))

    def interval(self, share: float, level: float = LEVEL) -> Interval:
        """Wilson's interval around `share` at this size."""
        centre, reach = wilson_parts(share, self.size, self.quantile(level))
        # The exact bounds are 0 and 1 where all items agree; rounding must not pass or miss them.
        low = 0.0 if share == 0 else max(0.0, min(share, centre - reach))
        high = 1.0 if share == 1 else min(1.0, max(share, centre + reach))
        return Interval(low, high)


def unit_sums(values_N: np.ndarray, groups: Groups) -> np.ndarray:
    """The sum over the items of every independent unit: a group, or an item where there are none.

    Raises `ValueError` unless there is one group for every item.
    """
    if groups is None:
        return values_N
    return np.bincount(group_places(groups, len(values_N)), weights=values_N)


def group_places(groups: Sequence[str], items: int) -> np.ndarray:
    """The place of every item's group among the groups, [N]; raises `ValueError` unless there is one each."""
    if len(groups) != items:
        raise ValueError(f"{items} items have {len(groups)} groups; every item needs one")
    place = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    return np.array([place[name] for name in groups])


def units(items: int, groups: Groups) -> int:
    """How many independent units the items are."""
    return items if groups is None else len(set(groups))


def least_size(items: int, groups: Groups) -> float:
    """What the effective size of outcomes cannot fall below: where all items of a group are alike (Kish)."""
    sizes = unit_sums(np.ones(items), groups)
    return float(items**2 / np.sum(sizes**2))


def mean_variance(values_N: np.ndarray, groups: Groups = None) -> float:
    """Estimates the variance of the items' mean over other units like these; nought of a single unit."""
    return influence_variance((values_N - values_N.mean()) / len(values_N), groups)


def influence_variance(influence_N: np.ndarray, groups: Groups = None) -> float:
    """Estimates the variance of what the items' contributions, which sum to nought, add up to."""
    sums_G = unit_sums(influence_N, groups)
    count = len(sums_G)
    return float(np.sum(sums_G**2)) * count / (count - 1) if count > 1 else 0.0


def effective_size(
    share: float, variance: float, *, items: int, units: int, least: float, most: float = np.inf
) -> EffectiveSize:
    """The size at which a share of independent outcomes would have this `variance`, from `least` to `most`.

    `units` are what the variance was estimated from. Where it says little (one unit, or outcomes that nearly
    all agree: those of `items` that do not are worth fewer than five) the size is `least`.
    """
    if most <= least or units < 2 or min(share, 1 - share) * items < FEW or variance <= 0:
        return EffectiveSize(least, None)
    return EffectiveSize(float(np.clip(share * (1 - share) / variance, least, most)), units - 1)


def mean_share(
    values_N: np.ndarray, groups: Groups = None, outcomes: float = 1.0, level: float = LEVEL
) -> Estimate:
    """Estimates the mean, over all items like these, of values in [0, 1].

    An item's value is worth at most `outcomes` independent ones. Raises `ValueError` for no item, a value
    outside [0, 1], or another number of groups.
    """
    if not len(values_N) or np.min(values_N) < 0 or np.max(values_N) > 1:
        raise ValueError("a mean of shares needs at least one item, and values from 0 to 1")
    items, share = len(values_N), float(np.mean(values_N))
    size = effective_size(
        share,
        mean_variance(values_N, groups),
        items=items,
        units=units(items, groups),
        least=least_size(items, groups),
        most=items * outcomes,
    )
    return Estimate(share, size.interval(share, level))
