"""Numbers of a study's lines: accuracies over seeds, differences between lines, and from what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import hypot

from lrbench.evaluation.statistics import (
    LEVEL,
    POINTS,
    SIGNIFICANCE,
    Comparison,
    Estimate,
    Interval,
    Pool,
    SeedDifference,
    SeedMean,
    compare_independent,
    holm,
    mean_over_seeds,
    pool_runs,
    wilson_interval,
)
from lrbench.results.contrasts import compare_arms, compare_columns, groups_of, outcomes
from lrbench.results.reported import ReportedResult
from lrbench.results.rows import AVERAGE, average_of, is_fixed
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
    cells = [rows[0].cells[name] for name in names]
    mean: SeedMean | Estimate = mean_over_seeds(outcomes(rows, names), groups_of(rows[0], names))
    if len(rows) == 1 and not all(cell.plain for cell in cells):
        mean = average_of(cells)
    by_seed = tuple(sum(row.cells[name].accuracy.value for name in names) / len(names) for row in rows)
    return Accuracy(mean.value, mean.interval, sum(rows[0].cells[name].n for name in names), by_seed)


@lru_cache(maxsize=4096)
def difference(
    line: Line, other: Line, column: str, benchmarks: tuple[str, ...], lines: tuple[Line, ...]
) -> Comparison | None:
    """`line` minus `other` on the same items, in points; None where the two answered none in common.

    One seed of each: McNemar's mid-p, for the average sign-flip permutation, and about these runs. Several:
    all seeds of both, by how far those of all `lines` of the expert lie apart. Nothing is adjusted.
    """
    return compare_arms(
        line.rows,
        other.rows,
        _benchmarks_in(column, benchmarks),
        pool(line.expert, column, benchmarks, lines),
    )


@lru_cache(maxsize=4096)
def pool(expert: str, column: str, benchmarks: tuple[str, ...], lines: tuple[Line, ...]) -> Pool | None:
    """How far the runs of one line of `expert` lie apart in `column`, from its lines with several seeds."""
    trained = (line for line in lines if line.expert == expert and line.rows and not is_fixed(line.rows))
    found = (accuracy(line, column, benchmarks) for line in trained)
    return pool_runs([one.by_seed for one in found if one is not None])


def differences(
    line: Line, other: Line, benchmarks: tuple[str, ...], lines: tuple[Line, ...]
) -> dict[str, Comparison]:
    """`difference` by column, the average first; Holm over the benchmarks, the average stands alone."""
    found = {
        column: comparison
        for column in (AVERAGE, *benchmarks)
        if (comparison := difference(line, other, column, benchmarks, lines)) is not None
    }
    return compare_columns(found, AVERAGE)


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
    return compare_columns(found, AVERAGE)


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
        nothing = [["0" * len(self.outcomes[0])]]
        return SeedDifference([[[one] for one in self.outcomes]], [nothing], fixed=(False, True))


def best_lines(
    lines: Sequence[Line], benchmarks: tuple[str, ...], everything: tuple[Line, ...]
) -> dict[str, Line]:
    """By column, the line that is best and separated from every other one, Holm over all columns.

    The largest p over the rivals decides; a rival that answered other items leaves nothing best.
    """
    leaders, hardest = {}, {}
    for column in (AVERAGE, *benchmarks):
        scored = [(found.value, line) for line in lines if (found := accuracy(line, column, benchmarks))]
        if len(scored) < 2:
            continue
        leader, *rivals = [line for _, line in sorted(scored, key=lambda pair: -pair[0])]
        leads = [difference(leader, rival, column, benchmarks, everything) for rival in rivals]
        if all(leads):
            leaders[column] = leader
            hardest[column] = max(lead.p if lead.difference > 0 else 1.0 for lead in leads if lead)
    adjusted = holm(list(hardest.values()))
    return {column: leaders[column] for column, p in zip(hardest, adjusted, strict=True) if p < SIGNIFICANCE}


def _level(z: float) -> float:
    """The level of the interval that reaches `z` standard errors to either side."""
    from scipy.special import ndtr

    return 1 - 2 * float(ndtr(-z))


def _benchmarks_in(column: str, benchmarks: tuple[str, ...]) -> tuple[str, ...]:
    return benchmarks if column == AVERAGE else (column,)
