"""Several seeds and reruns on the same items: the mean, and what it varies with.

Items are crossed with runs: every run answers every item. A run is a seed, averaged over its reruns; with one
seed its reruns are the runs, and what is said holds for that seed alone. With D the outcomes, averaged over
benchmarks,

    variance of the mean = item part + run part
    run part  = variance between runs / runs
    item part = variance of the items' means / items, less what of it is the runs' (interaction)

and an interval adds both, each at its own quantile (Banerjee, 1960): normal for the items, Student's t
with runs - 1 degrees of freedom for the runs. That covers at least the stated level, exactly where one part
dominates, and it never is narrower than with the runs taken as they are. Two seeds make it very wide:
that is what two seeds say.

Where items come in groups (`effective_size`), groups stand in their place: a group's value is the run's mean
and the sum of its items' deviations, times groups / items, so that groups have the items' mean and the
variance that counts groups; the item part is then at Student's quantile for the fewest groups of a benchmark.

Letters of shapes: S seeds, R reruns of each, N items, G independent units: groups, or items without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrbench.evaluation.statistics.accuracies import macro_average, wilson_interval
from lrbench.evaluation.statistics.effective_size import Groups, group_places
from lrbench.evaluation.statistics.values import (
    LEVEL,
    Interval,
    check_benchmarks,
    two_sided_quantile,
)

# One benchmark's outcomes: [seed][rerun], each with one `0` or `1` per item, in the same order.
Outcomes = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Spread:
    """What one run's result varies with: standard deviations, None where the data cannot say.

    `items`: other items of the same kind, the run as it is. `seeds`: other seeds, on unlimited items; with
    one rerun it holds the reruns' part too. `reruns`: the same seed once more, on unlimited items.
    An estimate of nought means not distinguishable from the items' noise.
    """

    items: float
    seeds: float | None
    reruns: float | None


@dataclass(frozen=True)
class SeedMean:
    """A mean accuracy over seeds with its 95% interval: shares in [0, 1]."""

    value: float
    interval: Interval
    seeds: int
    reruns: int
    spread: Spread

    @property
    def notes(self) -> tuple[str, ...]:
        """What the interval cannot know, in words."""
        return unknown_parts(self.seeds, self.reruns)


def unknown_parts(seeds: int, reruns: int) -> tuple[str, ...]:
    """What cannot be known from so many seeds and reruns of each, in words; empty where all is known."""
    notes = []
    if seeds == 1:
        notes.append("one seed: how much other seeds would differ is unknown and not in the interval")
    if reruns == 1 and seeds == 1:
        notes.append("one rerun: how much a repetition would differ is unknown and not in the interval")
    elif reruns == 1:
        notes.append("one rerun of each seed: what repetitions add is unknown and counted as the seeds'")
    return tuple(notes)


def mean_over_seeds(benchmarks: Sequence[Outcomes], groups: Sequence[Groups] | None = None) -> SeedMean:
    """Estimates the accuracy, averaged over these benchmarks, of seeds like these on items like these.

    With one seed and one rerun the interval is Wilson's, or the bootstrap of the macro-average, and says
    nothing of seeds or groups. `groups` holds those of every benchmark. Raises `ValueError` for no benchmark,
    no item, or outcomes that differ in shape.
    """
    outcomes = [outcomes_array(outcomes) for outcomes in benchmarks]
    runs = _Runs(outcomes, [None] * len(outcomes) if groups is None else groups)
    seeds, reruns, _ = outcomes[0].shape
    if seeds * reruns > 1:
        reach = runs.reach(two_sided_quantile(LEVEL))
        interval = Interval(max(0.0, runs.mean - reach), min(1.0, runs.mean + reach))
    else:
        counts = tuple((int(array.sum()), array.shape[2]) for array in outcomes)
        interval = macro_average(counts).interval if len(counts) > 1 else wilson_interval(*counts[0])
    return SeedMean(runs.mean, interval, seeds, reruns, runs.spread())


class _Runs:
    """The mean over benchmarks of values_SRN, one array per benchmark, and the parts of its variance.

    Where all items (nearly) agree, the items' variance is what makes an interval as wide as the score
    interval of no event among so many.
    """

    def __init__(self, benchmarks: list[np.ndarray], groups: Sequence[Groups]) -> None:
        check_benchmarks(benchmarks)
        if len({array.shape[:2] for array in benchmarks}) > 1:
            raise ValueError("benchmarks differ in their numbers of seeds or reruns")
        self._benchmarks = [by_unit(array, own) for array, own in zip(benchmarks, groups, strict=True)]
        seeds, reruns, _ = benchmarks[0].shape
        by_run = [array.mean(axis=1) if seeds > 1 else array[0] for array in self._benchmarks]
        self._fewest = fewest_units(by_run, groups)
        self.runs = seeds if seeds > 1 else reruns
        weight = 1 / len(benchmarks)
        self.mean = weight * sum(float(values_XN.mean()) for values_XN in by_run)
        self._items_alone = weight**2 * sum(
            items_variance(values_XG.mean(axis=0), array.shape[2])
            for values_XG, array in zip(by_run, benchmarks, strict=True)
        )
        crossed = weight**2 * sum(interaction(values_XG) for values_XG in by_run)
        self.item_part = max(0.0, self._items_alone - crossed / self.runs)
        self.run_part = variance(weight * _means(by_run)) / self.runs

    def reach(self, z: float) -> float:
        """Half the width of the interval whose tails are those of `z` normal standard errors."""
        from scipy.special import ndtr, stdtrit

        t = -float(stdtrit(self.runs - 1, ndtr(-z)))
        z = float(item_quantile(z, self._fewest))
        both = t**2 * self.run_part + z**2 * self.item_part
        return float(np.sqrt(max(both, z**2 * self._items_alone)))

    def spread(self) -> Spread:
        """Standard deviations of one run's result."""
        seeds, reruns, _ = self._benchmarks[0].shape
        weight = 1 / len(self._benchmarks)
        items = weight**2 * sum(
            float(np.mean([variance(values_N) for values_N in array.reshape(-1, array.shape[2])]))
            / array.shape[2]
            for array in self._benchmarks
        )
        within = None
        if reruns > 1:
            within = float(
                np.mean(
                    [
                        variance(weight * _means([array[seed] for array in self._benchmarks]))
                        - weight**2 * sum(interaction(array[seed]) for array in self._benchmarks)
                        for seed in range(seeds)
                    ]
                )
            )
        between = None
        if seeds > 1:
            by_seed = [array.mean(axis=1) for array in self._benchmarks]
            between = variance(weight * _means(by_seed)) - weight**2 * sum(map(interaction, by_seed))
            between -= (within or 0.0) / reruns
        known = (None if part is None else max(0.0, part) ** 0.5 for part in (between, within))
        return Spread(items**0.5, *known)


def _means(by_run: list[np.ndarray]) -> np.ndarray:
    """Each run's sum over benchmarks of its mean over items."""
    return np.asarray(np.sum([values_XN.mean(axis=1) for values_XN in by_run], axis=0))


def by_unit(values_XN: np.ndarray, groups: Groups) -> np.ndarray:
    """Runs' values by independent unit, [..., G], with the means of their items; without groups as given."""
    if groups is None:
        return values_XN
    place_N = group_places(groups, values_XN.shape[-1])
    mean_X1 = values_XN.mean(axis=-1, keepdims=True)
    count = int(place_N.max()) + 1
    sums_GX = np.zeros((count, *values_XN.shape[:-1]))
    np.add.at(sums_GX, place_N, np.moveaxis(values_XN - mean_X1, -1, 0))
    return np.asarray(mean_X1 + np.moveaxis(sums_GX, 0, -1) * (count / len(place_N)))


def items_variance(values_G: np.ndarray, items: int) -> float:
    """The variance that other items bring to a mean, from its units' values.

    Where all (nearly) agree it makes an interval as wide as the score interval of no event among `items`.
    """
    units = len(values_G)
    return max(variance(values_G), two_sided_quantile(LEVEL) ** 2 / (items**2 / units)) / units


def fewest_units(by_run: Sequence[np.ndarray], groups: Sequence[Groups]) -> int | None:
    """The fewest groups of a benchmark that has any; None where items stand for themselves."""
    grouped = (run.shape[1] for run, own in zip(by_run, groups, strict=True) if own is not None)
    return min(grouped, default=None)


def item_quantile(z: np.ndarray | float, fewest: int | None) -> np.ndarray | float:
    """The quantile of the item part: normal for items, Student's for groups."""
    if fewest is None:
        return z
    from scipy.special import ndtr, stdtrit

    return np.asarray(-stdtrit(max(1, fewest - 1), ndtr(-np.asarray(z))))


def variance(values: np.ndarray) -> float:
    """The variance between values; nought of a single one."""
    if len(values) < 2:
        return 0.0
    # As `np.var` has it, bit for bit, in a third of its time: a board asks for thousands.
    rest = values - np.add.reduce(values) / len(values)
    return float(np.add.reduce(rest * rest) / (len(values) - 1))


def mean(values_XN: np.ndarray, axis: int) -> np.ndarray:
    """As `np.mean` has it along one axis, bit for bit, in a third of its time."""
    return np.asarray(np.add.reduce(values_XN, axis=axis) / values_XN.shape[axis])


def over_reruns(values_SRN: np.ndarray) -> np.ndarray:
    """Each seed's values, [S, N], the means of its reruns."""
    return values_SRN[:, 0] if values_SRN.shape[1] == 1 else np.asarray(values_SRN.mean(axis=1))


def interaction(values_XN: np.ndarray) -> float:
    """What the items' noise adds to the variance of a run's mean beyond what all runs share."""
    runs, items = values_XN.shape
    if runs == 1 or items == 1:
        return 0.0
    rest_XN = values_XN - mean(values_XN, 1)[:, None] - mean(values_XN, 0) + values_XN.mean()
    degrees = (runs - 1) * (items - 1)
    return float(np.sum(rest_XN**2) / degrees / items)


def outcomes_array(outcomes: Outcomes) -> np.ndarray:
    """The outcomes as 0 and 1, [S, R, N]."""
    reruns = {len(seed) for seed in outcomes}
    sizes = {len(items) for seed in outcomes for items in seed}
    if len(reruns) != 1 or len(sizes) != 1 or 0 in reruns | sizes:
        raise ValueError("every seed needs the same number of reruns, every run the same items, at least one")
    texts = [items for seed in outcomes for items in seed]
    values = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).astype(float) - ord("0")
    return values.reshape(len(outcomes), reruns.pop(), sizes.pop())
