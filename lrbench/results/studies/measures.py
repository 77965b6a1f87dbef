"""Numbers of a study's lines: accuracies over seeds, differences between lines, and from what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from lrbench.evaluation.statistics import (
    Comparison,
    Interval,
    SeedDifference,
    compare_averages,
    compare_benchmark,
    compare_independent,
    count_flips,
    holm,
    mean_over_seeds,
)
from lrbench.results.board import AVERAGE, Row
from lrbench.results.reported import ReportedResult
from lrbench.results.studies.gathering import Line


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

    One seed: exact McNemar, for the average sign-flip permutation. Several: seeds are paired, the test
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
    """`line` minus what is reported, by benchmark: two independent proportions, Holm over the benchmarks.

    Of the reported side only a rate and n are known, so items cannot be paired. Seeds are averaged.
    """
    found = {}
    for benchmark in benchmarks:
        measured = accuracy(line, benchmark, benchmarks)
        if measured is not None and benchmark in reported.accuracies:
            found[benchmark] = compare_independent(
                round(measured.value * measured.n),
                measured.n,
                reported.correct(benchmark),
                reported.n(benchmark),
            )
    return _holm_adjusted(found)


def best_line(lines: Sequence[Line], column: str, benchmarks: tuple[str, ...]) -> Line | None:
    """The line that is best on `column` and separated from the second; None where that is a tie."""
    scored = [(found.value, line) for line in lines if (found := accuracy(line, column, benchmarks))]
    ranked = [line for _, line in sorted(scored, key=lambda pair: -pair[0])]
    if len(ranked) < 2:
        return None
    lead = difference(ranked[0], ranked[1], column, benchmarks)
    return ranked[0] if lead is not None and lead.separated and lead.difference > 0 else None


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
