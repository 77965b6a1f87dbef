"""One arm against another over all their seeds: these runs, and training like this."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from lrbench.evaluation.statistics import (
    POINTS,
    Comparison,
    Groups,
    Paired,
    PairedDraws,
    Pool,
    SeedDifference,
    adjust,
    compare_average,
    compare_seeds,
    count_flips,
    once,
    pool_runs,
    variance_of,
)
from lrbench.results.rows import Cell, Group, Row, different_runs, is_fixed


def compare_arms(
    first: Sequence[Row], second: Sequence[Row], benchmarks: Sequence[str], pool: Pool | None
) -> Comparison | None:
    """The difference in points of two arms' means, each given by its rows; None where no items are shared.

    All seeds of both count, the same or not: where one arm at least has two, the answer is about training
    like this. With one run of each it is about these runs: McNemar's mid-p, of averages their permutation.
    """
    ours, theirs = _on_same_items(first, second, benchmarks)
    if not ours:
        return None
    if max(len(ours), len(theirs)) > 1:
        return once(
            Comparison,
            compare_seeds,
            outcomes(ours, benchmarks),
            outcomes(theirs, benchmarks),
            pool,
            (is_fixed(first), is_fixed(second)),
            groups_of(ours[0], benchmarks),
        )
    return compare_average([paired(ours[0].cells[name], theirs[0].cells[name]) for name in benchmarks])


def seed_test(
    first: Sequence[Row], second: Sequence[Row], benchmarks: Sequence[str], pool: Pool | None
) -> SeedDifference | None:
    """What `compare_arms` tests where one arm at least has two seeds; None without that or shared items."""
    ours, theirs = _on_same_items(first, second, benchmarks)
    if max(len(ours), len(theirs)) < 2:
        return None
    fixed = (is_fixed(first), is_fixed(second))
    groups = groups_of(ours[0], benchmarks)
    return SeedDifference(outcomes(ours, benchmarks), outcomes(theirs, benchmarks), pool, fixed, groups)


def difference_variance(
    first: Sequence[Row], second: Sequence[Row], benchmarks: Sequence[str], pool: Pool | None
) -> float | None:
    """The variance of the difference of two arms' means, in points squared: items, and seeds where known.

    None where no items are shared.
    """
    test = seed_test(first, second, benchmarks, pool)
    if test is not None:
        return sum(test.variances)
    ours, theirs = _on_same_items(first, second, benchmarks)
    if not ours:
        return None
    total = sum(map(variance_of, paired_cells(ours[0].cells, theirs[0].cells).values()))
    return POINTS**2 * total / len(benchmarks) ** 2


def paired_cells(first: Mapping[str, Cell], second: Mapping[str, Cell]) -> dict[str, Paired]:
    """Paired outcomes per benchmark, where both rows answered the same items."""
    return {
        benchmark: paired(cell, second[benchmark])
        for benchmark, cell in first.items()
        if benchmark in second and cell.score.items_hash == second[benchmark].score.items_hash
    }


def paired(first: Cell, second: Cell) -> Paired:
    """Paired outcomes of two results on the same items of one benchmark."""
    if first.plain and second.plain:
        return count_flips(first.score.paper, second.score.paper)
    return PairedDraws(first.right, second.right, first.groups or second.groups)


def compare_columns(found: dict[str, Comparison], average: str) -> dict[str, Comparison]:
    """The comparisons by column with Holm over the benchmarks; that of the `average` stands alone."""
    return found | adjust({column: one for column, one in found.items() if column != average})


def pooled_spread(groups: Sequence[Group], column: str) -> Pool | None:
    """How far one arm's runs lie apart in `column`, from all `groups` that have several; None if none has."""
    return pool_runs([[_value(row, column) for row in _runs_in(group, column)] for group in groups])


def _runs_in(group: Group, column: str) -> Sequence[Row]:
    """The rows of the group's different runs that have a result in `column`."""
    having = group.having(column)
    # Most have one in every column; a board asks this of all its arms in each.
    return group.runs if len(having) == len(group.rows) else different_runs(having)


def outcomes(rows: Sequence[Row], benchmarks: Sequence[str]) -> list[list[list[str]]]:
    """Per benchmark and seed every draw; there is one where nothing was sampled."""
    return [[list(row.cells[name].score.outcomes) for row in rows] for name in benchmarks]


def groups_of(row: Row, benchmarks: Sequence[str]) -> list[Groups]:
    """The groups of every benchmark's items, None where they have none."""
    return [row.cells[name].groups for name in benchmarks]


def _value(row: Row, column: str) -> float:
    value = row.value(column)
    assert value is not None
    return value


def _on_same_items(
    first: Sequence[Row], second: Sequence[Row], benchmarks: Sequence[str]
) -> tuple[list[Row], list[Row]]:
    """The runs of both that answered the same items, which most of them did; none where there are none."""
    by_items: dict[tuple[str, ...] | None, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((first, second)):
        known = [row for row in rows if row.items_on(benchmarks) is not None]
        for row in different_runs(known):
            by_items[row.items_on(benchmarks)][side].append(row)
    shared = [rows for rows in by_items.values() if all(rows)]
    return max(shared, key=lambda rows: len(rows[0]) + len(rows[1]), default=([], []))
