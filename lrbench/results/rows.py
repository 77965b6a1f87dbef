"""What boards are made of: one arm's results with its intervals, its differences, and its seeds as one.

Intervals, tests and averages are derived when they are read, so that thousands of rows cost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lrbench.evaluation.statistics import (
    Comparison,
    Estimate,
    Flips,
    SeedMean,
    compare_averages,
    compare_benchmarks,
    macro_average,
    mean_over_seeds,
    wilson_interval,
)
from lrbench.results.records import Costs, ScoreRecord
from lrbench.results.uses import UNKNOWN, Uses
from lrbench.store.keys import canonical_json

AVERAGE = "average"


@dataclass(frozen=True)
class Cell:
    """One arm on one benchmark. Accuracy and interval are shares in [0, 1], by the paper verdict."""

    score: ScoreRecord

    @property
    def n(self) -> int:
        """Number of items measured."""
        return self.score.n

    @property
    def correct(self) -> int:
        """Items right."""
        return self.score.correct

    @cached_property
    def accuracy(self) -> Estimate:
        """Share of items right, with its Wilson interval."""
        return Estimate(self.correct / self.n, wilson_interval(self.correct, self.n))


@dataclass(frozen=True)
class Delta:
    """A row set against a baseline row, over the benchmarks both answered on the same items.

    `baseline_variant` says what sets the baseline apart from its namesakes where the row was made otherwise.
    """

    baseline: str
    baseline_recipe: str
    baseline_seed: int | None
    baseline_point: Mapping[str, Any]
    baseline_variant: str
    flips: dict[str, Flips]
    complete: bool

    @cached_property
    def benchmarks(self) -> dict[str, Comparison]:
        """Per benchmark: McNemar's mid-p, Holm over the benchmarks of this pair of rows."""
        return compare_benchmarks(self.flips)

    @cached_property
    def average(self) -> Comparison | None:
        """The difference of the averages; None unless every benchmark is paired."""
        return compare_averages(tuple(self.flips.values())) if self.complete else None

    def on(self, column: str) -> Comparison | None:
        """The comparison shown in `column`, a benchmark or `average`; None where there is none."""
        return self.average if column == AVERAGE else self.benchmarks.get(column)


@dataclass(frozen=True)
class Row:
    """One arm of one recipe with one seed, at one point of a sweep.

    `seed` is None where nothing in the arm's model is random; `point` holds the swept fields that decide
    the model. `cells` are in the board's column order; `missing` are benchmarks of the protocol without a
    score. `variant` says what sets the row apart from other results of its expert, recipe, arm and point, as
    `variations` has it (a recipe that was edited or overridden), and is empty where there are none.
    `costs` include those of every arm whose adapter it reads, and are None when the ledger has no record of
    how one of them was made; `uses` says what the arm
    uses and what its answers took;
    `made_alike` is equal for rows that were made with the same settings but for the seed. `preset` is the
    known arm that the arm is like; `untrained` says that it is the expert as it is. `against` holds a delta
    for every baseline that the row is set against, by the baseline's arm and in the order of a board.
    """

    arm_id: str
    expert: str
    expert_weights: str
    recipe: str
    arm: str
    seed: int | None
    point: Mapping[str, Any]
    variant: str
    recorded_at: str
    cells: dict[str, Cell]
    missing: tuple[str, ...]
    costs: Costs | None
    made_alike: str
    preset: str
    untrained: bool
    uses: Uses = UNKNOWN
    against: Mapping[str, Delta] = field(default_factory=dict)

    @cached_property
    def average(self) -> Estimate | None:
        """Mean accuracy over the benchmarks with its bootstrap interval; None while one is missing."""
        if self.missing:
            return None
        return macro_average(tuple((cell.correct, cell.n) for cell in self.cells.values()))

    @property
    def group(self) -> tuple[str, ...]:
        """The same for rows of one arm that differ by their seeds alone."""
        return (self.expert_weights, self.recipe, self.arm, canonical_json(self.point), self.made_alike)

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds to make the arm, all stages; None when not recorded."""
        return None if self.costs is None else sum(self.costs.seconds.values())

    def on(self, column: str) -> Estimate | None:
        """The accuracy shown in `column`, a benchmark or `average`; None where there is none."""
        if column == AVERAGE:
            return self.average
        return self.cells[column].accuracy if column in self.cells else None

    def value(self, column: str) -> float | None:
        """The share `on` gives without its interval, and so without drawing any: what rows are ranked by."""
        if column == AVERAGE:
            shares = [cell.correct / cell.n for cell in self.cells.values()]
            return None if self.missing else sum(shares) / len(shares)
        cell = self.cells.get(column)
        return None if cell is None else cell.correct / cell.n


@dataclass(frozen=True)
class Group:
    """The rows of one arm that differ by their seeds alone, ordered by seed."""

    rows: tuple[Row, ...]

    def having(self, column: str) -> list[Row]:
        """The rows with a result in `column`."""
        return [row for row in self.rows if row.value(column) is not None]

    def value(self, column: str) -> float | None:
        """The mean share over the seeds that have a result in `column`, by which arms are ranked."""
        values = [value for row in self.rows if (value := row.value(column)) is not None]
        return sum(values) / len(values) if values else None

    def on(self, column: str) -> SeedMean | None:
        """The mean accuracy over the seeds that have a result in `column`; None where fewer than two have."""
        rows = self.having(column)
        if len(rows) < 2:
            return None
        benchmarks = list(rows[0].cells) if column == AVERAGE else [column]
        items = {tuple(row.cells[name].score.items_hash for name in benchmarks) for row in rows}
        if len(items) > 1:
            return None
        return mean_over_seeds([[[row.cells[name].score.paper] for row in rows] for name in benchmarks])


def grouped(rows: Iterable[Row]) -> tuple[Group, ...]:
    """The rows by expert, recipe, arm, point and making, each seed once, in their order."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.group].append(row)
    return tuple(Group(once) for of_arm in found.values() for once in _once_per_seed(of_arm))


def _once_per_seed(rows: Sequence[Row]) -> Iterable[tuple[Row, ...]]:
    """The latest row of every seed, then the one before it: one arm made twice is no two seeds."""
    by_seed: dict[int | None, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.recorded_at, row.arm_id), reverse=True):
        by_seed[row.seed].append(row)
    for earlier in range(max(map(len, by_seed.values()))):
        kept = {found[earlier].arm_id for found in by_seed.values() if earlier < len(found)}
        yield tuple(row for row in rows if row.arm_id in kept)
