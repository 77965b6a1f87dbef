"""Numbers of a study's lines: accuracies over seeds, differences between lines, and from what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import hypot

from lrbench.evaluation.statistics import (
    LEVEL,
    POINTS,
    Comparison,
    Interval,
    SeedDifference,
    compare_averages,
    compare_benchmark,
    compare_independent,
    count_flips,
    holm,
    mean_over_seeds,
    wilson_interval,
)
from lrbench.results.board import AVERAGE, Row
from lrbench.results.reported import ReportedResult
from lrbench.results.studies.gathering import Line

# Beyond, a level is too near to 1 to be told from it.
_LARGEST_Z = 6.0
_HALVINGS = 40


@dataclass(frozen=True)
class Accuracy:
    """A line's accuracy on a column, the mean over its seeds: shares in [0, 1].

    `n` are the items of one seed, over all benchmarks for the average; `by_seed` is in the seeds' order.
    """

    value: float
    interval: Interval
    n: int
    by_seed: tuple[float, ...]

    @property
    def percent(self) -> tuple[float, float, float]:
        """Value, low and high in percent."""
        return 100 * self.value, 100 * self.interval.low, 100 * self.interval.high


@lru_cache(maxsize=4096)
def accuracy(line: Line, column: str, benchmarks: tuple[str, ...]) -> Accuracy | None:
    """What `line` scored on `column`, one of `benchmarks` or their average; None where nothing is there.

    The interval counts the seeds' variance beside the items' as soon as there are two seeds.
    """
    names = _benchmarks_in(column, benchmarks)
    rows = [row for row in line.rows if all(name in row.cells for name in names)]
    if not rows:
        return None
    mean = mean_over_seeds([[[row.cells[name].score.paper] for row in rows] for name in names])
    by_seed = tuple(sum(row.cells[name].accuracy.value for name in names) / len(names) for row in rows)
    return Accuracy(mean.value, mean.interval, sum(rows[0].cells[name].n for name in names), by_seed)


@lru_cache(maxsize=4096)
def difference(line: Line, other: Line, column: str, benchmarks: tuple[str, ...]) -> Comparison | None:
    """`line` minus `other` on the same items, in points; None where no seed of both answered the same.

    One seed: McNemar's mid-p, for the average sign-flip permutation. Several: seeds are paired, the test
    counts the variance of items and of seeds. `p_adjusted` is `p`; `differences` adjusts.
    """
    names = _benchmarks_in(column, benchmarks)
    pairs = [
        pair for pair in _pairs(line, other) if all(_same_items(pair[0], pair[1], name) for name in names)
    ]
    if not pairs:
        return None
    if len(pairs) == 1:
        first, second = pairs[0]
        flips = tuple(
            count_flips(first.cells[name].score.paper, second.cells[name].score.paper) for name in names
        )
        return compare_benchmark(flips[0]) if column != AVERAGE else compare_averages(flips)
    test = SeedDifference(
        [[[first.cells[name].score.paper] for first, _ in pairs] for name in names],
        [[[second.cells[name].score.paper] for _, second in pairs] for name in names],
    )
    p = min(1.0, 2 * min(test.p_above(0.0), test.p_below(0.0)))
    return Comparison(test.difference, test.interval(), p, p)


def differences(line: Line, other: Line, benchmarks: tuple[str, ...]) -> dict[str, Comparison]:
    """`difference` by column, the average first; Holm over the benchmarks, the average stands alone."""
    found = {
        column: comparison
        for column in (AVERAGE, *benchmarks)
        if (comparison := difference(line, other, column, benchmarks)) is not None
    }
    return _holm_adjusted(found)


def from_reported(line: Line, reported: ReportedResult, benchmarks: tuple[str, ...]) -> dict[str, Comparison]:
    """`line` minus what is reported, by benchmark: independent samples, Holm over the benchmarks.

    Of the reported side only a rate and n are known, so items cannot be paired. One seed: two proportions.
    Several: the interval of the seeds' mean, combined with that of the reported rate.
    """
    found = {}
    for benchmark in benchmarks:
        outcomes = [row.cells[benchmark].score.paper for row in line.rows if benchmark in row.cells]
        if not outcomes or benchmark not in reported.accuracies:
            continue
        published = reported.correct(benchmark), reported.n(benchmark)
        if len(outcomes) == 1:
            (only,) = outcomes
            found[benchmark] = compare_independent(only.count("1"), len(only), *published)
        else:
            found[benchmark] = _FromPublished(tuple(outcomes), *published).comparison()
    return _holm_adjusted(found)


@dataclass(frozen=True)
class _FromPublished:
    """The mean over seeds minus a published accuracy, measured on other items: in points.

    Its interval is that of the mean and the Wilson interval of the published rate, combined (MOVER; Zou
    and Donner, 2008): the seeds' variance counts as it does for the mean alone.
    """

    outcomes: tuple[str, ...]
    correct: int
    n: int

    def comparison(self) -> Comparison:
        """The difference; p is one minus the level of the widest interval that leaves out 0."""
        low, high = 0.0, _LARGEST_Z
        for _ in range(_HALVINGS):
            z = (low + high) / 2
            around = self.interval(_level(z))
            low, high = (low, z) if around.low <= 0 <= around.high else (z, high)
        p = 1 - _level(low) if low else 1.0
        return Comparison(self._mean.difference - self._published, self.interval(LEVEL), p, p)

    def interval(self, level: float) -> Interval:
        """The interval of the difference at `level`."""
        mean, around = self._mean.difference, self._mean.interval(level)
        rate = wilson_interval(self.correct, self.n, level)
        down = hypot(mean - around.low, POINTS * rate.high - self._published)
        up = hypot(around.high - mean, self._published - POINTS * rate.low)
        return Interval(mean - self._published - down, mean - self._published + up)

    @property
    def _published(self) -> float:
        return POINTS * self.correct / self.n

    @cached_property
    def _mean(self) -> SeedDifference:
        """The mean accuracy, as its difference from no item right."""
        nothing = [["0" * len(self.outcomes[0])] for _ in self.outcomes]
        return SeedDifference([[[one] for one in self.outcomes]], [nothing])


def best_lines(lines: Sequence[Line], benchmarks: tuple[str, ...]) -> dict[str, Line]:
    """By column, the line that is best and separated from the second, Holm over all columns; no ties."""
    leaders, leads = {}, {}
    for column in (AVERAGE, *benchmarks):
        scored = [(found.value, line) for line in lines if (found := accuracy(line, column, benchmarks))]
        ranked = [line for _, line in sorted(scored, key=lambda pair: -pair[0])]
        lead = difference(ranked[0], ranked[1], column, benchmarks) if len(ranked) > 1 else None
        if lead is not None:
            leaders[column], leads[column] = ranked[0], lead
    adjusted = holm([lead.p for lead in leads.values()])
    judged = {name: replace(leads[name], p_adjusted=p) for name, p in zip(leads, adjusted, strict=True)}
    return {name: leaders[name] for name, lead in judged.items() if lead.separated}


def _level(z: float) -> float:
    """The level of the interval that reaches `z` standard errors to either side."""
    from scipy.special import ndtr

    return 1 - 2 * float(ndtr(-z))


def _holm_adjusted(found: dict[str, Comparison]) -> dict[str, Comparison]:
    names = [column for column in found if column != AVERAGE]
    adjusted = holm([found[name].p for name in names])
    return found | {name: replace(found[name], p_adjusted=p) for name, p in zip(names, adjusted, strict=True)}


def _benchmarks_in(column: str, benchmarks: tuple[str, ...]) -> tuple[str, ...]:
    return benchmarks if column == AVERAGE else (column,)


def _pairs(line: Line, other: Line) -> list[tuple[Row, Row]]:
    """Rows of equal seeds; a row without a seed stands beside every one."""
    return [
        (first, second)
        for first in line.rows
        for second in other.rows
        if first.seed == second.seed or None in (first.seed, second.seed)
    ]


def _same_items(first: Row, second: Row, name: str) -> bool:
    if name not in first.cells or name not in second.cells:
        return False
    return first.cells[name].score.items_hash == second.cells[name].score.items_hash
