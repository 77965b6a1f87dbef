"""A board's arms: each with its seeds and the points of its sweep inside, and every model once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from lrbench.evaluation.statistics import Comparison, Estimate
from lrbench.results.board import Board
from lrbench.results.rows import AVERAGE, Group, Row


@dataclass(frozen=True)
class BoardArm:
    """One arm of a recipe, which is one line of a board.

    `groups` are its runs, by seed; where it is swept, those of every point. `same` are arms of other names or
    recipes whose measurements are these, one by one.
    """

    groups: tuple[Group, ...]
    same: tuple[Group, ...] = ()

    @property
    def first(self) -> Row:
        """A row that says whose and which arm this is."""
        return self.groups[0].rows[0]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All its runs."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def is_swept(self) -> bool:
        """Whether it stands at points of a sweep: then no single number is its own."""
        return bool(self.first.point)

    @property
    def group(self) -> Group | None:
        """Its runs; None of a swept arm, which has some at every point."""
        return None if self.is_swept else self.groups[0]

    @cached_property
    def measured(self) -> frozenset[str]:
        """The keys of all its measurements: equal for one model under two names."""
        return frozenset().union(*(row.measured for row in self.rows))

    def value(self, column: str) -> float | None:
        """What it is ordered by: its mean share, of a swept arm that of its highest point."""
        values = [value for group in self.groups if (value := group.value(column)) is not None]
        return max(values, default=None)


def arms_of(board: Board) -> tuple[BoardArm, ...]:
    """The arms of a board in the order of its rows, models under several names several times."""
    found: dict[tuple[object, ...], list[Group]] = defaultdict(list)
    for group in board.groups:
        row = group.rows[0]
        # All points of a sweep are one arm; else what was made otherwise is another one.
        own = (*sweep_of(row), True) if row.point else (group.rows[0].arm_id, False)
        found[own].append(group)
    return tuple(BoardArm(tuple(groups)) for groups in found.values())


def once_each(arms: Iterable[BoardArm]) -> list[BoardArm]:
    """The arms, each model once, where it stands first, with what else it is called."""
    kept: dict[tuple[str, frozenset[str]], BoardArm] = {}
    for arm in arms:
        name = (arm.first.expert_weights, arm.measured)
        if name in kept:
            kept[name] = replace(kept[name], same=(*kept[name].same, arm.groups[0]))
        else:
            kept[name] = arm
    return list(kept.values())


def estimate_of(group: Group, column: str) -> Estimate | None:
    """An arm's accuracy: over seeds the mean with the interval for other seeds, else that of its one run."""
    mean = group.on(column)
    if mean is not None:
        return Estimate(mean.value, mean.interval)
    return group.rows[-1].on(column) if len(group.rows) == 1 else None


def compared_with(board: Board, group: Group, baseline: str) -> dict[str, Comparison]:
    """By column, an arm against its baseline of that name: over seeds where either has several, else runs.

    What `board.over_seeds` says, or the one run's own difference.
    """
    if several := board.over_seeds(group, baseline):
        return several
    delta = group.rows[-1].against.get(baseline)
    if delta is None or len(group.rows) > 1:
        return {}
    found = dict(delta.benchmarks)
    return found if delta.average is None else {AVERAGE: delta.average} | found


def declared_baseline(board: Board, group: Group) -> str | None:
    """The baseline that matters most to the recipe, of those the arm is set against; None without any."""
    return next(iter(board.foremost(group.rows[-1])), None)


@dataclass(frozen=True)
class RunCosts:
    """What one run of an arm cost, the mean over its seeds: different tokens, problems, seconds.

    `drawn_problems` is how often one of the problems was asked, where they are drawn again; else 0.
    """

    tuned_tokens: float
    sampled_problems: float
    drawn_problems: float
    seconds: float


def run_costs(group: Group) -> RunCosts | None:
    """The costs of one run; None where no run has a record of them."""
    known = [
        (row.costs.tuned_tokens, row.costs.sampled_problems, row.costs.drawn_problems, row.seconds)
        for row in group.rows
        if row.costs is not None and row.seconds is not None
    ]
    if not known:
        return None
    return RunCosts(*(sum(values) / len(known) for values in zip(*known, strict=True)))


def sweep_of(row: Row) -> tuple[str, ...]:
    """The same for all points of one arm's sweep."""
    return row.expert_weights, row.recipe, row.arm


@dataclass(frozen=True)
class Section:
    """The arms of one experiment, a recipe with one expert, that stand in no section before it.

    `elsewhere` are its other arms, each with the arm of an earlier section that is the same model.
    """

    expert_weights: str
    recipe: str
    arms: tuple[BoardArm, ...]
    elsewhere: tuple[tuple[BoardArm, BoardArm], ...]


def sections_of(arms: Iterable[BoardArm]) -> list[Section]:
    """The arms by experiment, in their order; a model stands in one section only."""
    arms = list(arms)
    kept = {arm.first.arm_id: arm for arm in once_each(arms)}
    homes = {same.rows[0].arm_id: home for home in kept.values() for same in home.same}
    own: dict[tuple[str, str], list[BoardArm]] = defaultdict(list)
    elsewhere: dict[tuple[str, str], list[tuple[BoardArm, BoardArm]]] = defaultdict(list)
    for arm in arms:
        place = (arm.first.expert_weights, arm.first.recipe)
        mine = own[place]
        if arm.first.arm_id in kept:
            mine.append(kept[arm.first.arm_id])
        elif (home := homes[arm.first.arm_id]).first.recipe != arm.first.recipe:
            elsewhere[place].append((arm, home))
    return [Section(*place, tuple(found), tuple(elsewhere[place])) for place, found in own.items()]
