"""Two arms over several seeds each, on the same items: what training like this differs by.

Items are paired, seeds are not: other arms' seeds say how far a seed moves a result, so that two seeds are
enough to find what is large. With s1, s2 the variances of the arms' run means and P the mean of such
variances over all arms of the expert that have several seeds,

    run part  = the larger of  s1/S1 + s2/S2  and  P/S1 + P/S2
    freedom   = the larger of  S1 + S2 - 2  and  half of all arms' (S - 1) together, plus 1
    item part = variance of the items' mean differences / items, less what of it is the runs' (interaction)

and an interval adds both, each at its own quantile (Banerjee, 1960): normal for the items, Student's t for
the runs. Arms do not all vary alike, which is why the two arms' own variance counts where it is larger, and
why only half of the pool's freedom does. Measured in simulation by `experiments/statistics/seeds.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import sqrt

import numpy as np

from lrbench.evaluation.statistics.effective_size import Groups
from lrbench.evaluation.statistics.seeds import (
    Outcomes,
    by_unit,
    fewest_units,
    interaction,
    item_quantile,
    items_variance,
    mean,
    outcomes_array,
    over_reruns,
    variance,
)
from lrbench.evaluation.statistics.values import (
    EQUIVALENCE_MARGIN,
    LEVEL,
    POINTS,
    Comparison,
    Interval,
    check_benchmarks,
    check_share,
    two_sided_quantile,
)

_LARGEST_Z = 8.0
_HALVINGS = 50


@dataclass(frozen=True)
class Pool:
    """How far one arm's runs lie apart, from several arms: the variance of a run's mean, a share squared.

    `freedom` counts the runs beyond the first of each of the `arms` arms.
    """

    variance: float
    freedom: int
    arms: int


def pool_runs(arms: Sequence[Sequence[float]]) -> Pool | None:
    """The pool of these arms, each given by its runs' mean accuracies; None where no arm has two."""
    several = [np.asarray(means) for means in arms if len(means) > 1]
    if not several:
        return None
    freedom = sum(len(means) - 1 for means in several)
    squares = sum(float(np.sum((means - means.mean()) ** 2)) for means in several)
    return Pool(squares / freedom, freedom, len(several))


def random_part(
    variances: tuple[np.ndarray | float, np.ndarray | float],
    runs: tuple[int, int],
    fixed: tuple[bool, bool],
    pooled: np.ndarray | float,
) -> np.ndarray:
    """The run part: the variance that seeds bring to the difference of two arms' means.

    From the variances of their run means (of one run: anything), and that of the pool, nought without one. An
    arm of one run varies like the pool, or like the other arm if that varies more; a fixed one not at all.
    """
    random = [place for place in (0, 1) if not fixed[place]]
    known = [variances[place] for place in random if runs[place] > 1]
    likely = np.maximum(pooled, known[0]) if known else np.asarray(pooled)
    own = sum((variances[place] if runs[place] > 1 else likely) / runs[place] for place in random)
    return np.maximum(own, sum(pooled / runs[place] for place in random))


def random_freedom(runs: tuple[int, int], pool_freedom: int) -> float:
    """The degrees of freedom of the run part; a pool has those of all its arms, and none is 0."""
    return float(max(sum(runs) - 2, min(pool_freedom, pool_freedom / 2 + 1)))


def reach(
    z: np.ndarray | float,
    items: tuple[np.ndarray | float, np.ndarray | float],
    run_part: np.ndarray | float,
    freedom: np.ndarray | float,
    fewest: int | None = None,
) -> np.ndarray:
    """Half the width of the interval whose tails are those of `z` normal standard errors.

    `items` are the item part and the variance that items bring with the runs as they are, below which no
    interval goes; `fewest` is how many groups they were estimated from, None for items.
    """
    ndtr, stdtrit = _normal_and_students()
    part, alone = items
    of_items = item_quantile(z, fewest)
    both = stdtrit(freedom, ndtr(-z)) ** 2 * run_part + of_items**2 * part
    return np.asarray(np.sqrt(np.maximum(both, of_items**2 * alone)))


@cache
def _normal_and_students() -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """The normal distribution and the quantiles of Student's: found once, and not for every halving."""
    from scipy.special import ndtr, stdtrit

    return ndtr, stdtrit


def errors_within(
    gap: np.ndarray | float,
    items: tuple[np.ndarray | float, np.ndarray | float],
    run_part: np.ndarray | float,
    freedom: np.ndarray | float,
    fewest: int | None = None,
) -> np.ndarray:
    """The `z` whose interval reaches as far as `gap`, which is at least 0."""
    inside, outside = np.zeros(np.shape(gap)), np.full(np.shape(gap), _LARGEST_Z)
    for _ in range(_HALVINGS):
        z = (inside + outside) / 2
        within = reach(z, items, run_part, freedom, fewest) <= gap
        inside, outside = np.where(within, z, inside), np.where(within, outside, z)
    return inside


def error_within(
    gap: float, items: tuple[float, float], run_part: float, freedom: float, fewest: int | None = None
) -> float:
    """`errors_within` of one gap, bit for bit: for so few, arrays are what takes the time."""
    ndtr, stdtrit = _of_one_number()
    part, alone = items
    inside, outside = 0.0, _LARGEST_Z
    for _ in range(_HALVINGS):
        z = (inside + outside) / 2
        student = stdtrit(freedom, ndtr(-z))
        of_items = z if fewest is None else -stdtrit(float(max(1, fewest - 1)), ndtr(-z))
        both = student * student * run_part + of_items * of_items * part
        if sqrt(max(both, of_items * of_items * alone)) <= gap:
            inside = z
        else:
            outside = z
    return inside


@cache
def _of_one_number() -> tuple[Callable[[float], float], Callable[[float, float], float]]:
    """As `_normal_and_students`, for plain numbers: several hundred for every test of a board."""
    from scipy.special.cython_special import ndtr, stdtrit

    return ndtr, stdtrit


@dataclass(frozen=True, eq=False)
class SeedDifference:
    """Estimates the difference of two arms' average accuracies, for seeds and items like these.

    `first` and `second` hold one `Outcomes` per benchmark, on the same items; their seeds need not be the
    same nor as many. An arm of one seed is taken to vary like the pool, or like the other if it varies more.
    An arm that is `fixed` is not random: it has one run, which varies with nothing. Reruns of a seed are
    averaged, and so are draws. `groups` holds those of every benchmark's items. In points. Raises
    `ValueError` where neither arm has two seeds, or the items differ.
    """

    first: Sequence[Outcomes]
    second: Sequence[Outcomes]
    pool: Pool | None = None
    fixed: tuple[bool, bool] = (False, False)
    groups: Sequence[Groups] | None = None

    def __post_init__(self) -> None:
        check_benchmarks(self._arms[0].by_run)
        if self._sizes[0] != self._sizes[1]:
            raise ValueError("the two arms have other numbers of benchmarks or items")
        if max(arm.runs for arm in self._arms) < 2:
            raise ValueError("one seed of each arm says nothing of seeds; at least two of one are needed")
        if any(arm.fixed and arm.runs > 1 for arm in self._arms):
            raise ValueError("an arm in which nothing is random has one run")

    @cached_property
    def _arms(self) -> tuple[_Arm, _Arm]:
        groups = [None] * len(self.first) if self.groups is None else self.groups
        return _arm(self.first, self.fixed[0], groups), _arm(self.second, self.fixed[1], groups)

    @property
    def _sizes(self) -> tuple[list[int], list[int]]:
        return self._arms[0].items, self._arms[1].items

    @property
    def seeds(self) -> tuple[int, int]:
        """Number of seeds of either arm; 1 of one that is fixed."""
        return self._arms[0].runs, self._arms[1].runs

    @property
    def difference(self) -> float:
        """The difference measured, in points."""
        return POINTS * (self._arms[0].mean - self._arms[1].mean)

    @property
    def variances(self) -> tuple[float, float]:
        """The item part and the run part of the variance of the mean difference, in points squared."""
        return POINTS**2 * self._item_part, POINTS**2 * self._run_part

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the run part."""
        return random_freedom(self.seeds, 0 if self.pool is None else self.pool.freedom)

    def p_above(self, margin: float) -> float:
        """One-sided p of "the difference is at most `margin` points"."""
        return 1 - self.p_below(margin)

    def p_below(self, margin: float) -> float:
        """One-sided p of "the difference is at least `margin` points"."""
        return self._all_below(margin)[0]

    def _all_below(self, *margins: float) -> list[float]:
        """`p_below` of several margins."""
        items = self._item_part, self._items_alone
        gaps = [abs(margin - self.difference) / POINTS for margin in margins]
        z_values = [error_within(gap, items, self._run_part, self.freedom, self._fewest) for gap in gaps]
        return [_below(z, margin > self.difference) for z, margin in zip(z_values, margins, strict=True)]

    def interval(self, level: float = LEVEL) -> Interval:
        """The margins that neither p-value rejects at (1 - level) / 2, cut at +-100 points."""
        check_share("level", level)
        z, items = two_sided_quantile(level), (self._item_part, self._items_alone)
        return self._around(float(reach(z, items, self._run_part, self.freedom, self._fewest)))

    def compared(self) -> Comparison:
        """The difference for training like this; under `runs` that of these runs, on other items alone."""
        error = float(np.sqrt(self._items_alone))
        gap = abs(self.difference) / POINTS
        p = 2 * self._tail(-gap / error)
        margin = EQUIVALENCE_MARGIN / POINTS
        runs = Comparison(
            difference=self.difference,
            interval=self._around(error * float(item_quantile(two_sided_quantile(LEVEL), self._fewest))),
            p=p,
            p_adjusted=p,
            p_equivalent=self._tail((gap - margin) / error),
        )
        below, far_below, near = self._all_below(0, -EQUIVALENCE_MARGIN, EQUIVALENCE_MARGIN)
        p = min(1.0, 2 * min(1 - below, below))
        return Comparison(
            difference=self.difference,
            interval=self.interval(),
            p=p,
            p_adjusted=p,
            p_equivalent=max(1 - far_below, near),
            runs=runs,
            pooled=0 if self.pool is None else self.pool.arms,
        )

    @property
    def _fewest(self) -> int | None:
        return self._arms[0].fewest

    def _tail(self, errors: float) -> float:
        """The chance of as many standard errors of the items or fewer."""
        from scipy.special import ndtr, stdtr

        return float(ndtr(errors) if self._fewest is None else stdtr(max(1, self._fewest - 1), errors))

    def _around(self, distance: float) -> Interval:
        low, high = self.difference - POINTS * distance, self.difference + POINTS * distance
        return Interval(max(-POINTS, low), min(POINTS, high))

    @cached_property
    def _items_alone(self) -> float:
        """The variance that other items bring, the runs as they are.

        Where all items (nearly) agree it makes an interval as wide as the score interval of no event among
        so many.
        """
        pairs = zip(self._arms[0].over_runs, self._arms[1].over_runs, strict=True)
        per_unit = [ours_G - theirs_G for ours_G, theirs_G in pairs]
        total = sum(map(items_variance, per_unit, self._arms[0].items))
        return total / len(per_unit) ** 2

    @cached_property
    def _item_part(self) -> float:
        return max(0.0, self._items_alone - sum(arm.interaction / arm.runs for arm in self._arms))

    @cached_property
    def _run_part(self) -> float:
        first, second = self._arms
        pooled = 0.0 if self.pool is None else self.pool.variance
        return float(random_part((first.variance, second.variance), self.seeds, self.fixed, pooled))


def compare_seeds(
    first: Sequence[Outcomes],
    second: Sequence[Outcomes],
    pool: Pool | None,
    fixed: tuple[bool, bool],
    groups: Sequence[Groups],
) -> Comparison:
    """`SeedDifference.compared` of these."""
    return SeedDifference(first, second, pool, fixed, groups).compared()


def two_sided_p(tests: Sequence[SeedDifference]) -> list[float]:
    """`compared().p` of each of the `tests`, which together take hardly longer than one."""
    found = [1.0] * len(tests)
    for fewest in {test._fewest for test in tests}:
        own = [place for place, test in enumerate(tests) if test._fewest == fewest]
        columns = (
            (abs(test.difference) / POINTS, test._item_part, test._items_alone, test._run_part, test.freedom)
            for test in (tests[place] for place in own)
        )
        gaps_T, part_T, alone_T, run_T, freedom_T = (
            np.array(column) for column in zip(*columns, strict=True)
        )
        z_T = errors_within(gaps_T, (part_T, alone_T), run_T, freedom_T, fewest)
        for place, z in zip(own, z_T, strict=True):
            below = _below(z, tests[place].difference < 0)
            found[place] = min(1.0, 2 * min(1 - below, below))
    return found


def _below(z: float, margin_is_above: bool) -> float:
    """The one-sided p of a difference that lies `z` standard errors below or above a margin."""
    from scipy.special import ndtr

    return float(ndtr(-z if margin_is_above else z))


def _arm(benchmarks: Sequence[Outcomes], fixed: bool, groups: Sequence[Groups]) -> _Arm:
    """An arm's runs; whoever compares it with several others has it made once."""
    return _known_arm(
        tuple(tuple(map(tuple, outcomes)) for outcomes in benchmarks),
        fixed,
        tuple(None if own is None else tuple(own) for own in groups),
    )


# Some hundred kilobytes each.
@lru_cache(maxsize=128)
def _known_arm(
    benchmarks: tuple[tuple[tuple[str, ...], ...], ...],
    fixed: bool,
    groups: tuple[tuple[str, ...] | None, ...],
) -> _Arm:
    return _Arm(benchmarks, fixed, groups)


class _Arm:
    """One arm's runs: each seed's values by unit per benchmark, [S, G], their means over the runs, [G], and
    what the runs' means vary by.

    `items` are how many items each benchmark has, `fewest` the fewest groups, None without any.
    """

    def __init__(self, benchmarks: Sequence[Outcomes], fixed: bool, groups: Sequence[Groups]) -> None:
        by_item = [over_reruns(outcomes_array(outcomes)) for outcomes in benchmarks]
        self.items = [values_SN.shape[1] for values_SN in by_item]
        self.by_run = [by_unit(values_SN, own) for values_SN, own in zip(by_item, groups, strict=True)]
        self.over_runs = [mean(values_SG, 0) for values_SG in self.by_run]
        self.fewest = fewest_units(self.by_run, groups)
        if len({len(values_SN) for values_SN in self.by_run}) > 1:
            raise ValueError("benchmarks differ in their numbers of seeds")
        self.fixed = fixed
        self.runs = len(self.by_run[0]) if self.by_run else 0
        weight = 1 / max(1, len(self.by_run))
        means_S = weight * np.sum([mean(values_SN, 1) for values_SN in self.by_run], axis=0)
        self.mean = float(np.mean(means_S))
        self.variance = variance(np.atleast_1d(means_S))
        self.interaction = weight**2 * sum(map(interaction, self.by_run))
