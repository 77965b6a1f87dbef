"""What a design of items, draws and groups can decide: power of a paired difference, and what follows.

An item's difference between two models, averaged over M draws of each, varies by

    between^2 + 2 within / M

`between` is the standard deviation of the items' true differences, which no number of draws takes away, and
`within` the mean over items and models of p (1 - p), the chance of a draw. In groups of g items whose
differences are correlated by rho this counts 1 + (g - 1) rho times. With one draw and no groups it is the
discordance less the squared difference, and the power that of a paired t test, a little above the one that
`mcnemar_power` counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from lrbench.evaluation.statistics.item_differences import PairedDraws
from lrbench.evaluation.statistics.values import POINTS, POWER, SIGNIFICANCE, check_share

_NO_OTHER_TAIL, _LARGEST_SHIFT = 8.0, 37.0


@dataclass(frozen=True)
class Design:
    """How often what is asked, and how much outcomes vary; see the module.

    `group` is the number of items in a group and `correlation` that of their differences. Raises `ValueError`
    for what cannot be, fewer than two groups among it.
    """

    items: int
    draws: int
    between: float
    within: float
    group: float = 1.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if self.items < 1 or self.draws < 1 or self.group < 1 or self.items / self.group < 2:
            raise ValueError(
                f"{self.items} items in groups of {self.group:g} with {self.draws} draws are no design: "
                "two groups and one draw are the least"
            )
        if self.between < 0 or not 0 <= self.within <= 0.25 or not 0 <= self.correlation <= 1:
            raise ValueError(
                f"between {self.between:g}, within {self.within:g} and correlation {self.correlation:g} "
                "cannot be: at least 0, and at most 0.25 within and 1"
            )

    @property
    def error(self) -> float:
        """The standard error of a difference of two models, in points."""
        per_item = self.between**2 + 2 * self.within / self.draws
        crowding = 1 + (self.group - 1) * self.correlation
        return POINTS * sqrt(per_item * crowding / self.items)

    def power(self, difference: float) -> float:
        """The chance that a true `difference`, in points, is separated at 5%, in either direction."""
        from scipy.special import nctdtr, stdtrit

        freedom = self.items / self.group - 1
        if self.error == 0:
            return SIGNIFICANCE if difference == 0 else 1.0
        limit = float(stdtrit(freedom, 1 - SIGNIFICANCE / 2))
        shift = abs(difference) / self.error
        # The tail on the other side is below 1e-15 from 8 errors on, and cannot be computed for many more.
        other = nctdtr(freedom, shift, -limit) if shift < _NO_OTHER_TAIL else 0.0
        return float(1 - nctdtr(freedom, min(shift, _LARGEST_SHIFT), limit) + other)

    def smallest_detectable_difference(self, power: float = POWER) -> float:
        """Estimates the true difference, in points, that is separated with this power; infinite above 100."""
        from scipy.optimize import brentq

        check_share("power", power)
        if self.power(POINTS) < power:
            return float("inf")
        return float(brentq(lambda difference: self.power(difference) - power, 0.0, POINTS, xtol=1e-4))


# Thirty problems of a competition such as AIME, 64 answers to each. Most are always or hardly ever solved, so
# that rates are spread like Beta(1/2, 1/2): p (1 - p) is 1/8 in the mean, and so is the rates' variance. The
# differences of two models whose rates are correlated by 0.9 then have the variance 2 x 1/8 x 0.1.
COMPETITION = Design(items=30, draws=64, between=0.158, within=0.125)


def design_of(pilot: PairedDraws) -> Design:
    """Estimates what the items of a pilot vary by, as a design of as many items and draws without groups.

    Raises `ValueError` unless both models have several draws of each item, which tell `between` and `within`
    apart, and there are two items.
    """
    both = (pilot.first, pilot.second)
    if any(right_NM.shape[1] < 2 for right_NM in both) or pilot.n < 2:
        raise ValueError("what draws and items vary by takes two draws of two items at least")
    within = [float(right_NM.var(axis=1, ddof=1).mean()) for right_NM in both]
    by_chance = sum(each / right_NM.shape[1] for each, right_NM in zip(within, both, strict=True))
    difference_N = pilot.first.mean(axis=1) - pilot.second.mean(axis=1)
    return Design(
        items=pilot.n,
        draws=pilot.first.shape[1],
        between=sqrt(max(0.0, float(difference_N.var(ddof=1)) - by_chance)),
        within=min(0.25, sum(within) / 2),
    )
