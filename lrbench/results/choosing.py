"""Sweeps: an arm at several points, and what choosing the best of them adds to its accuracy by luck alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lrbench.evaluation.statistics import optimism_of_best
from lrbench.results.board import Board
from lrbench.results.board_arms import sweep_of
from lrbench.results.contrasts import difference_variance
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.selection import Edge, edges_of


@dataclass(frozen=True)
class Chosen:
    """The best of `points` points of one arm's sweep on average, and by how many points it looks too good.

    `is_taken` says that it was chosen here to be measured elsewhere, `edges` where it is the lowest or the
    highest of a field's numbers.
    """

    group: Group
    points: int
    optimism: float
    is_taken: bool = False
    edges: Mapping[str, Edge] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """One arm of a recipe at several points, a group of runs each, the one made last of a point."""

    board: Board
    groups: tuple[Group, ...]

    @property
    def first(self) -> Row:
        """A row that says whose and which arm this is."""
        return self.groups[0].rows[0]

    @cached_property
    def fields(self) -> dict[str, list[Any]]:
        """The swept fields that decide the arm's model, each with its values in the order of the points."""
        found: dict[str, list[Any]] = {}
        for group in self.groups:
            for name, value in group.rows[0].point.items():
                values = found.setdefault(name, [])
                if value not in values:
                    values.append(value)
        return found

    def is_taken(self, group: Group) -> bool:
        """Whether it is the point that its recipe has chosen here, and measured on its suite then."""
        selection = self.board.selections.get(self.first.recipe)
        taken = None if selection is None else selection.of(self.first.arm)
        here = self.first.recipe in self.board.validation_of
        return here and taken is not None and dict(group.rows[0].point) == taken.point

    @cached_property
    def chosen(self) -> Chosen | None:
        """Its best point; None where fewer than two have an average, all the same, or no items are shared.

        Of equally good ones the one that its recipe has taken, where it has points chosen here.
        """
        ranked = self._ranked
        if len(ranked) < 2 or self._is_tied:
            return None
        best, *others = ranked
        pool = self.board.pool(self.first.expert_weights, AVERAGE)
        found = [difference_variance(best.rows, other.rows, self.board.benchmarks, pool) for other in others]
        known = [variance for variance in found if variance is not None]
        if not known:
            return None
        points = 1 + len(others)
        optimism = optimism_of_best(points, sum(known) / len(known))
        edges = edges_of(best.rows[0].point, [group.rows[0].point for group in ranked])
        return Chosen(best, points, optimism, self.is_taken(best), edges)

    @property
    def why_none(self) -> str:
        """Why no point is the best, where none is `chosen`, to stand after a colon."""
        ranked = self._ranked
        if len(ranked) < 2:
            return "fewer than two points have an average yet"
        if self._is_tied:
            who = "points" if len(ranked) == len(self.groups) else "points that have an average"
            average = 100 * (ranked[0].value(AVERAGE) or 0.0)
            return f"all {len(ranked)} {who} tie with {average:.1f} on average"
        return "no other point has an average on the same items as the highest"

    @cached_property
    def _ranked(self) -> list[Group]:
        """The points that have an average, the best first."""
        return sorted(
            (group for group in self.groups if group.value(AVERAGE) is not None),
            key=lambda group: (-(group.value(AVERAGE) or 0.0), not self.is_taken(group)),
        )

    @property
    def _is_tied(self) -> bool:
        """Whether all points that have an average have the same."""
        return len({group.value(AVERAGE) for group in self._ranked}) == 1


def sweeps_of(board: Board, section: Sequence[Row]) -> list[Sweep]:
    """The arms of the section that were measured at several points of a sweep."""
    own = {sweep_of(row) for row in section}
    found: dict[tuple[str, ...], dict[str, Group]] = defaultdict(dict)
    for group in board.groups:
        first = group.rows[0]
        if first.point and sweep_of(first) in own:
            found[sweep_of(first)][str(sorted(first.point.items()))] = group
    return [Sweep(board, tuple(points.values())) for points in found.values() if len(points) > 1]


def chosen_points(board: Board, section: Sequence[Row]) -> Iterator[Chosen]:
    """The best point of every arm of the section that was measured at several points of a sweep."""
    for sweep in sweeps_of(board, section):
        if sweep.chosen is not None:
            yield sweep.chosen
