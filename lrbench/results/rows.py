"""What boards are made of: one arm's results with its intervals, its differences, and its seeds as one.

Intervals, tests and averages are derived when they are read, so that thousands of rows cost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from lrbench.evaluation.statistics import (
    Comparison,
    EffectiveSize,
    Estimate,
    Groups,
    Paired,
    SeedMean,
    average_at_k,
    compare_average,
    compare_pairs,
    difference_of,
    draws_matrix,
    macro_average,
    mean_of_benchmarks,
    mean_over_seeds,
    once,
    pass_at_k_of_items,
    weaker,
    wilson_interval,
)
from lrbench.results.confidences import Confidences, stated_in, votes_in
from lrbench.results.judged import JudgedPairs, judged_in
from lrbench.results.records import Costs, ScoreRecord
from lrbench.results.traces import Traced, traced_in
from lrbench.results.uses import UNKNOWN, Uses
from lrbench.store.keys import canonical_json

AVERAGE = "average"
Found = TypeVar("Found")


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

    @property
    def plain(self) -> bool:
        """Whether one answer to every item was measured, and no items belong together."""
        return self.score.draws is None and self.score.groups is None

    @property
    def draws(self) -> int:
        """How many answers were sampled to every item; 1 where none were."""
        return len(self.score.outcomes)

    @cached_property
    def share(self) -> float:
        """Share of answers right."""
        if self.score.draws is None:
            return self.correct / self.n
        return sum(outcomes.count("1") for outcomes in self.score.outcomes) / (self.n * self.draws)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether every draw of every item is right, [item, draw]."""
        return draws_matrix(self.score.outcomes)

    @property
    def groups(self) -> Groups:
        """The group of every item; None where items have none."""
        return None if self.score.groups is None else [str(group) for group in self.score.groups]

    @cached_property
    def accuracy(self) -> Estimate:
        """Share of answers right, with Wilson's interval: at the effective size of draws and groups."""
        if self.plain:
            return Estimate(self.correct / self.n, wilson_interval(self.correct, self.n))
        return average_at_k(self.right, self.groups)

    @property
    def truncated(self) -> Estimate | None:
        """Share of answers that were cut at the length limit; None where that was not recorded.

        Its interval is Wilson's for as many outcomes as there are items: of draws only their sum is known.
        """
        if self.score.truncated is None:
            return None
        share = self.score.truncated / (self.n * self.draws)
        return Estimate(share, EffectiveSize(self.n, None).interval(share))

    def passed(self, k: int) -> Estimate:
        """pass@k: share of items of which one of `k` sampled answers is right."""
        return pass_at_k_of_items(self.right, k, self.groups)

    @property
    def majority(self) -> Estimate | None:
        """maj@k over all draws: share of items of which the answer most given is right; None of one."""
        if self.score.majority is None:
            return None
        return average_at_k(draws_matrix([self.score.majority]), self.groups)


def average_of(cells: Sequence[Cell]) -> Estimate:
    """The mean of the accuracies on several benchmarks, of one at least."""
    if all(cell.plain for cell in cells):
        return once(Estimate, macro_average, tuple((cell.correct, cell.n) for cell in cells))
    return mean_of_benchmarks([cell.accuracy for cell in cells])


@dataclass(frozen=True)
class Delta:
    """A row set against a baseline row, over the benchmarks both answered on the same items.

    `baseline_variant` says what sets the baseline apart from its namesakes where the row was made otherwise.
    `repeats` are further measurements of the baseline. Where one is separated from the first, rounding alone
    moves that column, and the weaker of the comparisons with both holds.
    """

    baseline: str
    baseline_recipe: str
    baseline_seed: int | None
    baseline_point: Mapping[str, Any]
    baseline_variant: str
    pairs: dict[str, Paired]
    complete: bool
    repeats: tuple[Repeat, ...] = ()

    @cached_property
    def benchmarks(self) -> dict[str, Comparison]:
        """Per benchmark: McNemar's mid-p, or sign flips; Holm over the benchmarks of this pair of rows."""
        return {column: self._held(column, found) for column, found in compare_pairs(self.pairs).items()}

    @cached_property
    def average(self) -> Comparison | None:
        """The difference of the averages; None unless every benchmark is paired."""
        if not self.complete:
            return None
        return self._held(AVERAGE, compare_average(tuple(self.pairs.values())))

    def _held(self, column: str, found: Comparison) -> Comparison:
        """What holds against every measurement of the baseline that is not the same as the first."""
        for repeat in self.repeats:
            other = repeat.delta.on(column) if repeat.noise.separates(column) else None
            found = found if other is None else weaker(found, other)
        return found

    def separates(self, column: str) -> bool:
        """Whether the two rows are separated in `column`."""
        found = self.on(column)
        return found is not None and found.separated

    @property
    def value(self) -> float:
        """The difference over the benchmarks paired, a share, without its interval: what rows sort by."""
        return sum(map(difference_of, self.pairs.values())) / len(self.pairs)

    def on(self, column: str) -> Comparison | None:
        """The comparison shown in `column`, a benchmark or `average`; None where there is none."""
        return self.average if column == AVERAGE else self.benchmarks.get(column)


@dataclass(frozen=True)
class Repeat:
    """A baseline measured once more: `noise` sets that against the first time, `delta` a row against it."""

    noise: Delta
    delta: Delta


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
    `repeats` is the id of the arm that the row measures once more, with fewer rows written at once, and
    `noise` sets the row against that one.
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
    repeats: str | None = None
    noise: Delta | None = None

    def leans(self, column: str) -> bool:
        """Whether the row, a second measurement, is separated from the first in `column`."""
        return self.noise is not None and self.noise.separates(column)

    @cached_property
    def average(self) -> Estimate | None:
        """Mean accuracy over the benchmarks with its interval, a bootstrap; None while one is missing.

        Where answers were sampled or items have groups, the benchmarks' intervals are combined.
        """
        if self.missing:
            return None
        return average_of(tuple(self.cells.values()))

    @property
    def draws(self) -> int:
        """How many answers were sampled to every item at least; 1 where none were, or nothing is measured."""
        return min((cell.draws for cell in self.cells.values()), default=1)

    def of_draws(self, column: str) -> tuple[Estimate, Estimate] | None:
        """pass@k and maj@k in `column`, k the draws of an item; None where answers were not sampled."""
        if column == AVERAGE and self.missing:
            return None
        cells = self.cells.values() if column == AVERAGE else filter(None, [self.cells.get(column)])
        found = [(cell, majority) for cell in cells if (majority := cell.majority) is not None]
        if not found or len(found) < (len(self.cells) if column == AVERAGE else 1):
            return None
        passed = [cell.passed(cell.draws) for cell, _ in found]
        return mean_of_benchmarks(passed), mean_of_benchmarks([majority for _, majority in found])

    def votes(self, column: str) -> Confidences | None:
        """The share of votes in `column` as a confidence; under the average, of all benchmarks together."""
        return self._of_answers(votes_in, column)

    def stated(self, column: str) -> Confidences | None:
        """How sure answers in `column` say they are; under the average, of all benchmarks together."""
        return self._of_answers(stated_in, column)

    def traced(self, column: str) -> Traced | None:
        """What the tokens of answers in `column` say; under the average, of all benchmarks together."""
        return self._of_answers(traced_in, column)

    def judged(self, column: str) -> JudgedPairs | None:
        """How pairs in `column` were judged; under the average, those of all benchmarks together."""
        return self._of_answers(judged_in, column)

    def _of_answers(self, read: Callable[[Sequence[Cell]], Found | None], column: str) -> Found | None:
        """What `read` finds in the cell of `column`, or under the average in those of every benchmark."""
        if column == AVERAGE:
            return None if self.missing else read(tuple(self.cells.values()))
        return read((self.cells[column],)) if column in self.cells else None

    @cached_property
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
            return self._mean_share
        cell = self.cells.get(column)
        return None if cell is None else cell.share

    @cached_property
    def _mean_share(self) -> float | None:
        """The mean share over all benchmarks: to rank an arm asks for it many times."""
        if self.missing:
            return None
        return sum(cell.share for cell in self.cells.values()) / len(self.cells)

    def items_on(self, benchmarks: Sequence[str]) -> tuple[str, ...] | None:
        """The identities of the items that it answered on these benchmarks; None where it lacks one."""
        asked = tuple(benchmarks)
        if asked not in self._items_on:
            known = all(name in self.cells for name in asked)
            found = tuple(self.cells[name].score.items_hash for name in asked) if known else None
            self._items_on[asked] = found
        return self._items_on[asked]

    @cached_property
    def _items_on(self) -> dict[tuple[str, ...], tuple[str, ...] | None]:
        """Those found so far: every test of two arms asks."""
        return {}

    @cached_property
    def measured(self) -> frozenset[str]:
        """The keys of its measurements: equal for one model under two names."""
        return frozenset(cell.score.evaluation_key for cell in self.cells.values())


@dataclass(frozen=True)
class Group:
    """The rows of one arm that differ by their seeds alone, ordered by seed."""

    rows: tuple[Row, ...]

    @property
    def is_repeat(self) -> bool:
        """Whether it measures another arm once more."""
        return self.rows[0].repeats is not None

    def leans(self, column: str) -> bool:
        """Whether one of its rows, a second measurement, is separated from the first in `column`."""
        return any(row.leans(column) for row in self.rows)

    def having(self, column: str) -> list[Row]:
        """The rows with a result in `column`."""
        return [row for row in self.rows if row.value(column) is not None]

    def value(self, column: str) -> float | None:
        """The mean share over the seeds that have a result in `column`, by which arms are ranked."""
        if column not in self._values:
            values = [value for row in self.rows if (value := row.value(column)) is not None]
            self._values[column] = sum(values) / len(values) if values else None
        return self._values[column]

    @cached_property
    def _values(self) -> dict[str, float | None]:
        """Those found so far, by column: to rank arms, and again for every mark, each is asked for often."""
        return {}

    @cached_property
    def runs(self) -> list[Row]:
        """The rows of its different runs."""
        return different_runs(self.rows)

    @cached_property
    def measured(self) -> frozenset[str]:
        """The keys of the measurements of all its rows."""
        return frozenset().union(*(row.measured for row in self.rows))

    def on(self, column: str) -> SeedMean | None:
        """The mean accuracy over the seeds that have a result in `column`; None where fewer than two have."""
        if column not in self._means:
            self._means[column] = self._mean(column)
        return self._means[column]

    @cached_property
    def _means(self) -> dict[str, SeedMean | None]:
        """Those found so far, by column."""
        return {}

    def _mean(self, column: str) -> SeedMean | None:
        rows = self.having(column)
        if len(rows) < 2:
            return None
        benchmarks = list(rows[0].cells) if column == AVERAGE else [column]
        items = {tuple(row.cells[name].score.items_hash for name in benchmarks) for row in rows}
        if len(items) > 1:
            return None
        return once(
            SeedMean,
            mean_over_seeds,
            [[list(row.cells[name].score.outcomes) for row in rows] for name in benchmarks],
            [rows[0].cells[name].groups for name in benchmarks],
        )


def is_fixed(rows: Sequence[Row]) -> bool:
    """Whether nothing in an arm is random: it is not trained, and one run stands for all seeds."""
    return all(row.untrained or row.seed is None for row in rows)


def different_runs(rows: Sequence[Row]) -> list[Row]:
    """The rows of different runs: one of what is not random, and one of what stands under several seeds."""
    if rows and is_fixed(rows):
        return [rows[-1]]
    once = {row.measured: row for row in rows}
    return list(once.values())


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
