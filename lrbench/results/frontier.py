"""What accuracy costs: results as points of both, the frontier among them, what a step along it brings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lrbench.evaluation.statistics import Comparison, compare_average
from lrbench.results.contrasts import paired_cells
from lrbench.results.rows import AVERAGE, Row

# What a result can have cost, or costs whenever it answers -> what it is called.
ANSWERING = "passes"
COSTS = {
    "tuned": "tuned tokens",
    "problems": "sampled problems",
    "time": "total time",
    ANSWERING: "passes per answer",
}


@dataclass(frozen=True)
class Point:
    """One result. `cost` is in tokens, problems, seconds or passes; `accuracy` is a share in [0, 1]."""

    row: Row
    cost: float
    accuracy: float


def cost_of(row: Row, kind: str) -> float | None:
    """What a row cost, in the unit of `COSTS[kind]`; None where the ledger does not say."""
    if kind == ANSWERING:
        return row.uses.passes_per_answer
    if row.costs is None:
        return None
    if kind == "time":
        return row.seconds
    return float(row.costs.tuned_tokens if kind == "tuned" else row.costs.sampled_problems)


def points_of(rows: Iterable[Row], kind: str, column: str) -> list[Point]:
    """A point for every row that has both a cost and an accuracy in `column`."""
    found = [(row, cost_of(row, kind), row.value(column)) for row in rows]
    return [Point(row, cost, value) for row, cost, value in found if cost is not None and value is not None]


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats at the same or a lower cost, the cheapest first.

    Of equals the first given is taken, so that each level of accuracy has one point.
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def gain(row: Row, before: Row, column: str) -> Comparison | None:
    """What `row` has over `before` in `column`, tested on the same items by itself, without correction.

    None where the two did not answer the same items.
    """
    pairs = paired_cells(row.cells, before.cells)
    if column != AVERAGE:
        return compare_average((pairs[column],)) if column in pairs else None
    return compare_average(tuple(pairs.values())) if len(pairs) == len(row.cells) else None
