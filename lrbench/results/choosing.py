"""What choosing the best of several points adds to its accuracy: the luck of having been chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from lrbench.evaluation.statistics import optimism_of_best
from lrbench.results.board import Board
from lrbench.results.contrasts import difference_variance
from lrbench.results.rows import AVERAGE, Group, Row


@dataclass(frozen=True)
class Chosen:
    """The best of `points` points of one arm's sweep on average, and by how many points it looks too good."""

    group: Group
    points: int
    optimism: float


def chosen_points(board: Board, section: list[Row]) -> Iterator[Chosen]:
    """The best point of every arm of the section that was measured at several points of a sweep."""
    own = {_sweep(row) for row in section}
    sweeps: dict[tuple[str, ...], list[Group]] = defaultdict(list)
    for group in board.groups:
        first = group.rows[0]
        if first.point and _sweep(first) in own and group.value(AVERAGE) is not None:
            sweeps[_sweep(first)].append(group)
    for groups in sweeps.values():
        points = {str(sorted(group.rows[0].point.items())): group for group in groups}
        if len(points) < 2:
            continue
        best, *others = sorted(points.values(), key=lambda group: -(group.value(AVERAGE) or 0.0))
        pool = board.pool(best.rows[0].expert_weights, AVERAGE)
        found = [difference_variance(best.rows, other.rows, board.benchmarks, pool) for other in others]
        known = [variance for variance in found if variance is not None]
        if known:
            variance = sum(known) / len(known)
            yield Chosen(best, len(points), optimism_of_best(len(points), variance))


def _sweep(row: Row) -> tuple[str, ...]:
    return row.expert_weights, row.recipe, row.arm
