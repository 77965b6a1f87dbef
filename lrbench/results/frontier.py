"""What accuracy costs: arms as points of both, the frontier among them, what a step along it brings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lrbench.evaluation.statistics import Comparison
from lrbench.results.board import Board
from lrbench.results.contrasts import compare_arms
from lrbench.results.rows import Group, Row

# What a result can have cost, or costs whenever it answers -> what it is called.
ANSWERING, HOLDING = "passes", "memory"
COSTS = {
    "tuned": "tuned tokens",
    "problems": "sampled problems",
    "time": "total time",
    ANSWERING: "passes per answer",
    HOLDING: "memory per answer",
}


@dataclass(frozen=True)
class Point:
    """An arm by its runs `rows`, of which both are known: the means of what they cost and of what they score.

    `cost` is in tokens, problems, seconds, passes or bytes; `accuracy` is a share in [0, 1].
    """

    group: Group
    rows: tuple[Row, ...]
    cost: float
    accuracy: float


def cost_of(row: Row, kind: str) -> float | None:
    """What a row cost, in the unit of `COSTS[kind]`; None where the ledger does not say."""
    if kind == ANSWERING:
        return row.uses.passes_per_answer
    if kind == HOLDING:
        return row.uses.memory_per_answer
    if row.costs is None:
        return None
    if kind == "time":
        return row.seconds
    return float(row.costs.tuned_tokens if kind == "tuned" else row.costs.sampled_problems)


def points_of(groups: Iterable[Group], kind: str, column: str) -> list[Point]:
    """A point for every arm of which a run has both a cost and an accuracy in `column`."""
    points = []
    for group in groups:
        known = [
            (row, cost, value)
            for row in group.rows
            if (cost := cost_of(row, kind)) is not None and (value := row.value(column)) is not None
        ]
        if known:
            rows, costs, values = zip(*known, strict=True)
            points.append(Point(group, rows, sum(costs) / len(rows), sum(values) / len(rows)))
    return points


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats at the same or a lower cost, the cheapest first.

    Arms stand at the means of their runs: with more seeds comes no luckier one. Of equals the first given is
    taken, so that each level of accuracy has one point.
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def gain(board: Board, group: Group, before: Group, column: str) -> Comparison | None:
    """What an arm has over the one `before` in `column`, over all seeds of both, tested by itself.

    Nothing is corrected for. None where the two did not answer the same items.
    """
    pool = board.pool(group.rows[0].expert_weights, column)
    return compare_arms(group.rows, before.rows, board.benchmarks_of(column), pool)
