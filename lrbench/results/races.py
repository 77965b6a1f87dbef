"""Who leads a column of a board, and whether anything separates that arm from every other one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrbench.evaluation.statistics import (
    SIGNIFICANCE,
    Flips,
    SeedDifference,
    compare_averages,
    compare_benchmark,
    count_flips,
    holm,
    largest_average_p,
)
from lrbench.recipe.claims import AVERAGE

if TYPE_CHECKING:
    from lrbench.results.board import Group, Row


@dataclass(frozen=True)
class Race:
    """The arm that leads a column and the rival that it is least separated from.

    `difference` is between these two in points. `p` is two-sided and the largest over all rivals (an
    intersection-union test: the leader is best when it is better than each, so nothing is corrected for their
    number); where it shows that nothing is separated, rivals after `rival` were not looked at.
    """

    leader: Group
    rival: Group
    difference: float
    p: float


def find_race(groups: Sequence[Group], column: str, benchmarks: Sequence[str]) -> Race | None:
    """The race among `groups` in `column`, which is made of `benchmarks`.

    A model does not compete with itself under another name. None where the leader has no rival, or one that
    answered other items: what cannot be tested separates nothing.
    """
    ranked = sorted(
        ((value, group) for group in groups if (value := group.value(column)) is not None),
        key=lambda ranked_group: -ranked_group[0],
    )
    if len(ranked) < 2:
        return None
    leader, race = ranked[0][1], None
    for _, rival in ranked[1:]:
        if share_a_model(leader, rival):
            continue
        found = _tested(leader, rival, benchmarks, 0.0 if race is None else race.p)
        if found is None:
            return None
        difference, p = found
        if race is None or p > race.p:
            race = Race(leader, rival, difference, p)
        if race.difference <= 0 or race.p >= SIGNIFICANCE:
            break
    return race


def separates(races: Mapping[str, Race], column: str, group: Group, benchmarks: Sequence[str]) -> bool | None:
    """Whether `column` tells its leader from the arm `group`, tested in the rival's place.

    None where they share no items.
    """
    tested = _tested(races[column].leader, group, benchmarks)
    if tested is None:
        return None
    p_values = {name: race.p for name, race in races.items()} | {column: tested[1]}
    return _adjusted(p_values)[column] < SIGNIFICANCE


def won(races: Mapping[str, Race]) -> frozenset[str]:
    """The columns whose leader is separated from all rivals: Holm over the benchmarks, the average alone."""
    p_values = _adjusted({column: race.p for column, race in races.items()})
    return frozenset(
        column for column, race in races.items() if race.difference > 0 and p_values[column] < SIGNIFICANCE
    )


def share_a_model(group: Group, other: Group) -> bool:
    """Whether any of their rows are one measurement, maybe under two names."""
    return any(_is_same_model(row, rival) for row in group.rows for rival in other.rows)


def _is_same_model(row: Row, other: Row) -> bool:
    shared = row.cells.keys() & other.cells.keys()
    return row is other or (
        bool(shared)
        and all(
            row.cells[name].score.evaluation_key == other.cells[name].score.evaluation_key for name in shared
        )
    )


def _adjusted(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's p by column, over all benchmarks among them; that of the average stays as it is."""
    benchmarks = [column for column in p_values if column != AVERAGE]
    corrected = holm([p_values[column] for column in benchmarks])
    return dict(p_values) | dict(zip(benchmarks, corrected, strict=True))


def _tested(
    leader: Group, rival: Group, benchmarks: Sequence[str], least: float = 0.0
) -> tuple[float, float] | None:
    """The difference of two arms' means in points and its two-sided p; None where no items are shared.

    A p that cannot exceed `least` may come out as some other value that does not.
    """
    pairs = [
        (ours, theirs) for ours, theirs in _pairs(leader, rival) if _same_items((ours, theirs), benchmarks)
    ]
    pairs = [pair for pair in pairs if _same_items((pairs[0][0], pair[0]), benchmarks)]
    if not pairs:
        return None
    if len(pairs) > 1:
        ours, theirs = (
            [[[row.cells[name].score.paper] for row in side] for name in benchmarks]
            for side in zip(*pairs, strict=True)
        )
        test = SeedDifference(ours, theirs)
        return test.difference, min(1.0, 2 * min(test.p_above(0), test.p_below(0)))
    flips = tuple(_flips(*pairs[0], benchmarks))
    if len(benchmarks) == 1:
        alone = compare_benchmark(flips[0])
        return alone.difference, alone.p
    # Ten thousand draws are not worth it where not even their bound would decide.
    bound = largest_average_p(flips)
    if bound <= least:
        return sum((table.won - table.lost) / table.n for table in flips), bound
    average = compare_averages(flips)
    return average.difference, average.p


def _flips(first: Row, second: Row, benchmarks: Sequence[str]) -> Iterator[Flips]:
    for name in benchmarks:
        yield count_flips(first.cells[name].score.paper, second.cells[name].score.paper)


def _same_items(rows: tuple[Row, Row], benchmarks: Sequence[str]) -> bool:
    return all(
        name in rows[0].cells
        and name in rows[1].cells
        and rows[0].cells[name].score.items_hash == rows[1].cells[name].score.items_hash
        for name in benchmarks
    )


def _pairs(group: Group, other: Group) -> list[tuple[Row, Row]]:
    """Rows of two arms seed by seed; one without a seed meets all, and without a shared seed any meet."""
    if len(group.rows) == 1 and group.rows[0].seed is None:
        return [(group.rows[0], row) for row in other.rows]
    if len(other.rows) == 1 and other.rows[0].seed is None:
        return [(row, other.rows[0]) for row in group.rows]
    by_seed = {row.seed: row for row in other.rows}
    shared = [(row, by_seed[row.seed]) for row in group.rows if row.seed in by_seed]
    return shared or list(zip(group.rows, other.rows, strict=False))
