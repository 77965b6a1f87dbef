"""Which rows of a board are shown, in which order, and which of them are marked. No drawing here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from lrbench.results.board import Board
from lrbench.results.races import Race, separates, won
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.text import plain
from lrbench.results.wording import LONGEST_NAME
from lrbench_dashboard.numbers import BEST, BEST_OF_RUNS, UNDECIDED

DECLARED = "declared"
COST_COLUMNS = ("tuned tokens", "sampled problems", "time")
NEWEST = "recorded"
DIFFERENCE = "difference "
MOST_THREADS = 4


@dataclass(frozen=True)
class Filters:
    """What a reader wants to see; nothing named means everything."""

    experts: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None

    def keep(self, row: Row) -> bool:
        """Whether `row` is wanted. Days are those of the moment as recorded, in its own time zone."""
        day = row.recorded_at[:10]
        return (
            (not self.experts or row.expert in self.experts)
            and (not self.recipes or row.recipe in self.recipes)
            and (not self.arms or row.arm in self.arms)
            and (self.first_day is None or day >= self.first_day.isoformat())
            and (self.last_day is None or day <= self.last_day.isoformat())
        )


def filtered(board: Board, filters: Filters) -> Board:
    """The board with the wanted rows alone; their baselines stay what they were."""
    return replace(board, rows=tuple(row for row in board.rows if filters.keep(row)))


def in_order(board: Board, column: str, ascending: bool) -> list[Row]:
    """The rows by `column`, those without a value last; ties and `declared` keep the board's order.

    `column` is a benchmark, `average`, one of `COST_COLUMNS`, `recorded`, or `DIFFERENCE` and a baseline.
    """
    if column == DECLARED:
        return list(board.rows)
    value = _sort_value(column)
    known = [(found, row) for row in board.rows if (found := value(row)) is not None]
    unknown = [row for row in board.rows if value(row) is None]
    ordered = sorted(known, key=lambda pair: pair[0], reverse=not ascending)
    return [row for _, row in ordered] + unknown


def sort_columns(board: Board) -> dict[str, str]:
    """What rows can be ordered by, as token -> label."""
    return {
        DECLARED: "expert, recipe, arm",
        AVERAGE: "average",
        **{f"{DIFFERENCE}{name}": difference_label(name) for name in foremost(board)},
        **{benchmark: benchmark for benchmark in board.benchmarks},
        **{column: column for column in COST_COLUMNS},
        NEWEST: "date",
    }


def foremost(board: Board) -> list[str]:
    """The board's baselines, first those that matter most to the recipes measured last."""
    latest = sorted(board.rows, key=lambda row: row.recorded_at, reverse=True)
    ranked = (name for row in latest for name in board.comparisons_of(row).against)
    return [name for name in dict.fromkeys([*ranked, *board.baselines]) if name in board.baselines]


def difference_label(baseline: str) -> str:
    """`difference from sft`, as plain text."""
    return f"difference from {plain(baseline, LONGEST_NAME)}"


def draw_averages(rows: Iterable[Row]) -> None:
    """Draw what the averages of `rows` and their differences are estimated from, on all processors at once.

    Rows and differences remember their averages, and averages of counts what they were made from; numpy
    draws without holding other threads up.
    """
    tasks: list[Callable[[], object]] = []
    for row in rows:
        tasks.append(partial(row.on, AVERAGE))
        tasks += [partial(delta.on, AVERAGE) for delta in row.against.values()]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(lambda task: task(), tasks))


def marks(board: Board, rows: Iterable[Row]) -> Mapping[tuple[str, str], str]:
    """(arm_id, column) -> `BEST`, `BEST_OF_RUNS` or `UNDECIDED`, for `rows` of `board`.

    Arms are ranked and tested as for `Board.best`, all their seeds together. Best is separated from every
    other arm of its expert. Where nothing is, the leader, its rival and every arm that is not separated
    from the leader in the rival's place are undecided, which is not equal.
    """
    found: dict[tuple[str, str], str] = {}
    shown = {row.arm_id for row in rows}
    for expert in board.by_expert:
        groups = [
            group
            for group in board.groups
            if group.rows[0].expert_weights == expert and any(row.arm_id in shown for row in group.rows)
        ]
        if not groups:
            continue
        races = board.races_of(expert)
        decided = won(races)
        for column, race in races.items():
            if column in decided:
                alike, mark = [race.leader], BEST_OF_RUNS if race.of_runs else BEST
            else:
                ranked = sorted(groups, key=lambda group: -(group.value(column) or 0.0))
                alike, mark = list(_undecided(board, ranked, column, races)), UNDECIDED
            found |= {(row.arm_id, column): mark for group in alike for row in group.having(column)}
    return {(arm_id, column): mark for (arm_id, column), mark in found.items() if arm_id in shown}


def _undecided(
    board: Board, ranked: Iterable[Group], column: str, races: Mapping[str, Race]
) -> Iterator[Group]:
    """Those of the arms `ranked` by `column` that are not separated from its leader.

    A test of averages draws thousands of samples: below the rival, the first that is separated ends it.
    """
    race, pool = races[column], board.pool(races[column].leader.rows[0].expert_weights, column)
    lowest = race.rival.value(column) or 0.0
    for group in ranked:
        if group is race.leader or group is race.rival:
            yield group
            continue
        separated = separates(races, column, group, board.benchmarks_of(column), pool)
        if separated is False:
            yield group
        elif separated and column == AVERAGE and (group.value(column) or 0.0) < lowest:
            return


def _sort_value(column: str) -> Callable[[Row], float | str | None]:
    if column == NEWEST:
        return lambda row: row.recorded_at
    if column == "tuned tokens":
        return lambda row: None if row.costs is None else row.costs.tuned_tokens
    if column == "sampled problems":
        return lambda row: None if row.costs is None else row.costs.sampled_problems
    if column == "time":
        return lambda row: row.seconds
    if column.startswith(DIFFERENCE):
        baseline = column.removeprefix(DIFFERENCE)
        return lambda row: _difference(row, baseline)
    return lambda row: row.value(column)


def _difference(row: Row, baseline: str) -> float | None:
    delta = row.against.get(baseline)
    if delta is None or not delta.complete:
        return None
    return delta.value
