"""Which rows of a board are shown, in which order, and which of them are marked. No drawing here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from lrbench.results.board import AVERAGE, SFT, Board, Row, paired_flips
from lrbench.results.statistics import Flips, compare_averages, compare_benchmarks, macro_average

DECLARED = "declared"
COST_COLUMNS = ("tuned tokens", "sampled problems", "time")
NEWEST = "recorded"
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

    `column` is a benchmark, `average`, one of `COST_COLUMNS`, `recorded`, or `DIFFERENCE baseline`.
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
        f"difference {SFT}": "difference from sft",
        "difference base": "difference from base",
        **{benchmark: benchmark for benchmark in board.benchmarks},
        **{column: column for column in COST_COLUMNS},
        NEWEST: "date",
    }


def draw_averages(rows: Iterable[Row]) -> None:
    """Draw what the averages of `rows` and their differences are estimated from, on all processors at once.

    Estimates remember what they were made from, so that the rows find theirs ready; numpy draws without
    holding other threads up.
    """
    tasks: list[Callable[[], object]] = []
    for row in rows:
        if not row.missing:
            counts = tuple((cell.correct, cell.n) for cell in row.cells.values())
            tasks.append(partial(macro_average, counts))
        for delta in (row.to_base, row.to_sft):
            if delta is not None and delta.complete:
                tasks.append(partial(compare_averages, tuple(delta.flips.values())))
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(lambda task: task(), tasks))


@dataclass(frozen=True)
class _Race:
    """A column that nothing leads with certainty: who is ahead, and the first of another arm behind."""

    leader: Row
    rival: Row


def marks(board: Board, rows: Iterable[Row]) -> Mapping[tuple[str, str], str]:
    """(arm_id, column) -> `best` or `tied`, for `rows` of `board`.

    Best is separated from the best of its expert's other arms. Where nothing is, the leader, its rival and
    all rows that are not separated from the leader are tied: exact McNemar with Holm over the benchmarks,
    decided ones among them, as `best` has it; the average alone.
    """
    found: dict[tuple[str, str], str] = {}
    shown = list(rows)
    for expert in dict.fromkeys(row.expert_weights for row in shown):
        best = board.best_of(expert)
        found |= dict.fromkeys(best, "best")
        races = _races(board, board.by_expert[expert])
        decided = {column for _, column in best}
        own = [row for row in shown if row.expert_weights == expert]
        for column in races.keys() - decided - {AVERAGE}:
            found |= {(row.arm_id, column): "tied" for row in own if _is_tied(row, column, races)}
        if AVERAGE in races.keys() - decided:
            tied = _tied_on_average(board, own, races[AVERAGE])
            found |= {(row.arm_id, AVERAGE): "tied" for row in tied}
    return found


def _races(board: Board, rows: Sequence[Row]) -> dict[str, _Race]:
    """The columns in which several arms answered the same items as the leader."""
    races = {}
    for column in board.columns:
        ranked = [(value, row) for row in rows if (value := row.value(column)) is not None]
        ranked.sort(key=lambda pair: -pair[0])
        leader = ranked[0][1] if ranked else None
        rivals = (row for _, row in ranked if leader and row.group != leader.group)
        if leader and (rival := next(rivals, None)) and _paired(leader, rival, column, board):
            races[column] = _Race(leader, rival)
    return races


def _paired(leader: Row, row: Row, column: str, board: Board) -> bool:
    paired = paired_flips(leader.cells, row.cells)
    return len(paired) == len(board.benchmarks) if column == AVERAGE else column in paired


def _is_tied(row: Row, column: str, races: Mapping[str, _Race]) -> bool:
    """Whether `row` leads the benchmark `column`, or is not separated from who does.

    The row takes the rival's place among the comparisons of all benchmarks' leaders with their rivals.
    """
    race = races[column]
    if row.arm_id in (race.leader.arm_id, race.rival.arm_id):
        return True
    if column not in row.cells:
        return False
    flips: dict[str, Flips] = {}
    for benchmark, other in races.items():
        if benchmark != AVERAGE:
            against = row if benchmark == column else other.rival
            first, second = other.leader.cells[benchmark], against.cells[benchmark]
            flips |= paired_flips({benchmark: first}, {benchmark: second})
    return column in flips and not compare_benchmarks(flips)[column].separated


def _tied_on_average(board: Board, rows: Iterable[Row], race: _Race) -> Iterable[Row]:
    """Those of `rows` tied with the leader, from the highest average down to the first that is separated.

    A test of averages draws thousands of samples, so none is made that cannot matter.
    """
    rival = race.rival.value(AVERAGE) or 0.0
    ranked = [(value, row) for row in rows if (value := row.value(AVERAGE)) is not None]
    for value, row in sorted(ranked, key=lambda pair: -pair[0]):
        if row.arm_id not in (race.leader.arm_id, race.rival.arm_id):
            paired = paired_flips(race.leader.cells, row.cells)
            if len(paired) < len(board.benchmarks):
                continue
            if compare_averages(tuple(paired.values())).separated:
                if value < rival:
                    return
                continue
        yield row


def _sort_value(column: str) -> Callable[[Row], float | str | None]:
    if column == NEWEST:
        return lambda row: row.recorded_at
    if column == "tuned tokens":
        return lambda row: None if row.costs is None else row.costs.tuned_tokens
    if column == "sampled problems":
        return lambda row: None if row.costs is None else row.costs.sampled_problems
    if column == "time":
        return lambda row: row.seconds
    if column.startswith("difference "):
        baseline = column.partition(" ")[2]
        return lambda row: _difference(row, baseline)
    return lambda row: row.value(column)


def _difference(row: Row, baseline: str) -> float | None:
    delta = row.to_sft if baseline == SFT else row.to_base
    if delta is None or not delta.complete:
        return None
    return sum((flips.won - flips.lost) / flips.n for flips in delta.flips.values()) / len(delta.flips)
