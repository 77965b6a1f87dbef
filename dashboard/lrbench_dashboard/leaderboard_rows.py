"""Which arms of a board are shown, in which order, on which page, and which are marked. No drawing here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from lrbench.results.board import Board
from lrbench.results.board_arms import BoardArm, Section, arms_of, run_costs, sections_of
from lrbench.results.races import Race, separates, won
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.text import plain
from lrbench.results.wording import LONGEST_NAME
from lrbench_dashboard.numbers import BEST, BEST_OF_RUNS, UNDECIDED

DECLARED = "declared"
COST_COLUMNS = ("tuned tokens", "sampled problems", "time")
NEWEST = "recorded"
DIFFERENCE = "difference "
# Few enough that a page never seen before is estimated in a third of a second.
ARMS_PER_PAGE = 10


@dataclass(frozen=True)
class Filters:
    """What a reader wants to see; nothing named means everything. Experts go by their weights."""

    experts: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None

    def keep(self, row: Row) -> bool:
        """Whether `row` is wanted. Days are those of the moment as recorded, in its own time zone."""
        day = row.recorded_at[:10]
        return (
            (not self.experts or row.expert_weights in self.experts)
            and (not self.recipes or row.recipe in self.recipes)
            and (not self.arms or row.arm in self.arms)
            and (self.first_day is None or day >= self.first_day.isoformat())
            and (self.last_day is None or day <= self.last_day.isoformat())
        )


def filtered(board: Board, filters: Filters) -> Board:
    """The board with the wanted rows alone; their baselines stay what they were."""
    return replace(board, rows=tuple(row for row in board.rows if filters.keep(row)))


def pages_of(board: Board) -> list[list[Section]]:
    """The experiments of a board by page: none is spread over two."""
    pages: list[list[Section]] = []
    for section in sections_of(arms_of(board)):
        held = sum(len(other.arms) for other in pages[-1]) if pages else ARMS_PER_PAGE
        if held + len(section.arms) > ARMS_PER_PAGE:
            pages.append([])
        pages[-1].append(section)
    return pages


def in_order(arms: Iterable[BoardArm], column: str, ascending: bool) -> list[BoardArm]:
    """The arms by `column`, those without a value last; ties keep their order.

    `column` is a benchmark, `average`, one of `COST_COLUMNS`, `recorded`, or `DIFFERENCE` and a baseline.
    """
    value = _sort_value(column)
    arms = list(arms)
    known = [(found, arm) for arm in arms if (found := value(arm)) is not None]
    unknown = [arm for arm in arms if value(arm) is None]
    ordered = sorted(known, key=lambda pair: pair[0], reverse=not ascending)
    return [arm for _, arm in ordered] + unknown


def sort_columns(board: Board) -> dict[str, str]:
    """What arms can be ordered by, as token -> label."""
    return {
        DECLARED: "experiment",
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
    board: Board, ranked: Sequence[Group], column: str, races: Mapping[str, Race]
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


def _sort_value(column: str) -> Callable[[BoardArm], float | str | None]:
    if column == NEWEST:
        return lambda arm: max(row.recorded_at for row in arm.rows)
    if column in COST_COLUMNS:
        return lambda arm: _cost(arm, column)
    if column.startswith(DIFFERENCE):
        baseline = column.removeprefix(DIFFERENCE)
        return lambda arm: _difference(arm, baseline)
    return lambda arm: arm.value(column)


def _cost(arm: BoardArm, column: str) -> float | None:
    costs = run_costs(arm.groups[0])
    if costs is None:
        return None
    return {
        "tuned tokens": costs.tuned_tokens,
        "sampled problems": costs.sampled_problems,
        "time": costs.seconds,
    }[column]


def _difference(arm: BoardArm, baseline: str) -> float | None:
    """The mean over its runs; of a swept arm there is none."""
    deltas = [row.against.get(baseline) for row in arm.rows]
    if arm.is_swept or any(delta is None or not delta.complete for delta in deltas):
        return None
    return sum(delta.value for delta in deltas if delta is not None) / len(deltas)
