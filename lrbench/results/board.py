"""The leaderboard's data: rows of arms, columns of benchmarks, each number with what it can carry.

A board holds results of one suite under one protocol; results under different protocols are on
different boards and never meet. Intervals, tests and averages are derived when they are read, so that
a board of thousands of rows is built at once and pays only for what is looked at. Rendering is
elsewhere; equal records give equal boards, whatever their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import Any

from lrbench.evaluation.statistics import (
    Comparison,
    Estimate,
    Flips,
    Pool,
    SeedMean,
    compare_averages,
    compare_benchmarks,
    macro_average,
    mean_over_seeds,
    wilson_interval,
)
from lrbench.methods.presets import UNTRAINED
from lrbench.recipe.comparing import Comparisons, board_place
from lrbench.results.compared import Compared
from lrbench.results.contrasts import compare_arms, compare_columns, paired_flips, pooled_spread
from lrbench.results.races import Race, find_race, won
from lrbench.results.records import ArmRecord, Costs, RecipeRecord, ScoreRecord
from lrbench.results.uses import UNKNOWN, ArmsInUse, Uses
from lrbench.results.variations import ID_LENGTH, PLAIN, Variation, made_of, variations
from lrbench.store.keys import canonical_json, stable_hash

AVERAGE = "average"
_NOTHING = Comparisons(None, (), False)


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


@dataclass(frozen=True)
class Board:
    """All results of one suite under one protocol.

    `protocol_hash` is over benchmark -> protocol hash; `protocols` holds each benchmark's protocol as
    far as a score of it was recorded. Rows are ordered by expert, recipe, arm (baselines first), point and
    seed. `comparisons` say by recipe what its rows are about. `baselines` are the arms that any row is set
    against, in the order of a board.
    """

    suite: str
    protocol_hash: str
    benchmarks: tuple[str, ...]
    protocols: dict[str, dict[str, Any]]
    rows: tuple[Row, ...]
    comparisons: Mapping[str, Comparisons]
    baselines: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The average, then the benchmarks."""
        return (AVERAGE, *self.benchmarks)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The rows by expert, recipe, arm, point and making, each seed once, in the order of the rows."""
        return grouped(self.rows)

    @cached_property
    def best(self) -> frozenset[tuple[str, str]]:
        """(arm_id, column) of every result of an arm that is separated from every other arm of its expert.

        An arm at a point counts by its mean over seeds, so that more seeds make no luckier arm, and all its
        seeds are marked; a model does not compete with itself under another name. All seeds of both arms are
        tested together, `compare_arms`; Holm over the benchmarks, the average stands alone.
        """
        return frozenset(mark for expert in self.by_expert for mark in self.best_of(expert))

    @cached_property
    def best_of_runs(self) -> frozenset[tuple[str, str]]:
        """Those of `best` for which one run each was all there was: these runs differ, training may not."""
        return frozenset(
            (row.arm_id, column)
            for expert, rows in self.by_expert.items()
            for row in rows
            for column in self.columns
            if (row.arm_id, column) in self.best and self.races_of(expert)[column].of_runs
        )

    @cached_property
    def by_expert(self) -> dict[str, tuple[Row, ...]]:
        """The rows of every expert, by its weights."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            found[row.expert_weights].append(row)
        return {expert: tuple(rows) for expert, rows in found.items()}

    def best_of(self, expert_weights: str) -> frozenset[tuple[str, str]]:
        """`best` of one expert."""
        races = self.races_of(expert_weights)
        return frozenset(
            (row.arm_id, column) for column in won(races) for row in races[column].leader.having(column)
        )

    def races_of(self, expert_weights: str) -> dict[str, Race]:
        """The race in every column in which the leading arm of an expert can be tested against the others."""
        if expert_weights not in self._races:
            self._races[expert_weights] = self._find_races(expert_weights)
        return self._races[expert_weights]

    @cached_property
    def _races(self) -> dict[str, dict[str, Race]]:
        """The races found so far, by expert: they are tests, and not all are looked at."""
        return {}

    def _find_races(self, expert_weights: str) -> dict[str, Race]:
        groups = [group for group in self.groups if group.rows[0].expert_weights == expert_weights]
        found = {
            column: find_race(groups, column, self.benchmarks_of(column), self.pool(expert_weights, column))
            for column in self.columns
        }
        return {column: race for column, race in found.items() if race is not None}

    def pool(self, expert_weights: str, column: str) -> Pool | None:
        """How far the runs of one arm of an expert lie apart, from all its arms that have several seeds."""
        return self._pools[expert_weights, column]

    @cached_property
    def _pools(self) -> dict[tuple[str, str], Pool | None]:
        several = [group for group in self.groups if len(group.rows) > 1]
        return {
            (expert, column): pooled_spread(
                [group for group in several if group.rows[0].expert_weights == expert], column
            )
            for expert in self.by_expert
            for column in self.columns
        }

    def against(self, group: Group, other: Group) -> dict[str, Comparison]:
        """By column, an arm against another of its expert over all seeds of both, where they share items."""
        expert = group.rows[0].expert_weights
        found = {
            column: compare_arms(
                group.rows, other.rows, self.benchmarks_of(column), self.pool(expert, column)
            )
            for column in self.columns
        }
        return compare_columns({column: one for column, one in found.items() if one is not None}, AVERAGE)

    def comparisons_of(self, row: Row) -> Comparisons:
        """What the row's recipe is about."""
        return self.comparisons.get(row.recipe, _NOTHING)

    def is_subject(self, row: Row) -> bool:
        """Whether the row is what its recipe is about."""
        return row.arm == self.comparisons_of(row).subject

    def is_meant(self, row: Row) -> bool:
        """Whether the row is a subject that its recipe declares, or that leads among all arms."""
        return self.is_subject(row) and self.comparisons_of(row).meant

    def foremost(self, row: Row) -> list[str]:
        """The baselines that the row is set against, the one that matters most to its recipe first."""
        ranked = (name for name in self.comparisons_of(row).against if name in row.against)
        return list(dict.fromkeys([*ranked, *row.against]))

    def baseline_of(self, group: Group, arm: str) -> Group | None:
        """The arm that the last row of `group` is set against; None where there is none on this board."""
        delta = group.rows[-1].against.get(arm)
        if delta is None:
            return None
        return next(
            (other for other in self.groups if any(row.arm_id == delta.baseline for row in other.rows)), None
        )

    def over_seeds(self, group: Group, arm: str) -> dict[str, Comparison]:
        """By column, `group` against its baseline `arm`, where either has several seeds; else nothing."""
        baseline = self.baseline_of(group, arm)
        if baseline is None or len(group.rows) == len(baseline.rows) == 1:
            return {}
        return {column: one for column, one in self.against(group, baseline).items() if one.runs is not None}

    def benchmarks_of(self, column: str) -> tuple[str, ...]:
        """The benchmarks that `column` is made of."""
        return self.benchmarks if column == AVERAGE else (column,)


def grouped(rows: Iterable[Row]) -> tuple[Group, ...]:
    """The rows by expert, recipe, arm, point and making, each seed once, in their order."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.group].append(row)
    return tuple(Group(once) for of_arm in found.values() for once in _once_per_seed(of_arm))


def build_boards(
    arms: Iterable[ArmRecord], scores: Iterable[ScoreRecord], recipes: Iterable[RecipeRecord] = ()
) -> tuple[Board, ...]:
    """The boards that these records make: by suite, and within a suite the latest measured first.

    What is set against what, the `recipes` say as they stand now, or the recipes that the arms were made by.
    Rows are called by what sets them apart among all the `arms`, those without `scores` included.
    Scores without any item say nothing and count as missing. When one arm was measured twice on a
    benchmark under one protocol, the latest counts.
    """
    arm_records = {record.arm_id: record for record in arms}
    scores = list(scores)
    weights = {score.arm_id: score.expert_weights for score in scores}
    varied = variations(arm_records.values(), weights)
    declared = Compared(recipes, arm_records.values(), scores)
    comparisons = declared.by_recipe()
    in_use = ArmsInUse(arm_records.values())
    groups: dict[tuple[str, str], list[ScoreRecord]] = defaultdict(list)
    for score in sorted(scores, key=_age):
        groups[score.suite, stable_hash(score.suite_protocol)].append(score)
    ordered = sorted(groups.items(), key=lambda group: (_age(group[1][-1]), group[0]), reverse=True)
    ordered.sort(key=lambda group: group[0][0])
    return tuple(
        _build_board(suite, protocol_hash, group, arm_records, varied, declared, comparisons, in_use)
        for (suite, protocol_hash), group in ordered
    )


def _build_board(
    suite: str,
    protocol_hash: str,
    scores: list[ScoreRecord],
    arm_records: Mapping[str, ArmRecord],
    varied: Mapping[str, Variation],
    declared: Compared,
    comparisons: Mapping[str, Comparisons],
    in_use: ArmsInUse,
) -> Board:
    """The board of `scores`, which are ordered by age."""
    benchmarks = tuple(scores[0].suite_protocol)
    latest: dict[str, dict[str, ScoreRecord]] = defaultdict(dict)
    for score in scores:
        if score.n:
            latest[score.arm_id][score.benchmark] = score
    named: dict[tuple[object, ...], int] = defaultdict(int)
    for arm_id, by_benchmark in latest.items():
        named[_name(next(iter(by_benchmark.values())), varied.get(arm_id, PLAIN))] += 1

    rows = []
    for arm_id, by_benchmark in latest.items():
        score = max(by_benchmark.values(), key=_age)
        record = arm_records.get(arm_id)
        variation = varied.get(arm_id, PLAIN)
        # Without a record of its making there is only the id.
        alike = named[_name(score, variation)] > 1
        preset = declared.preset(score)
        rows.append(
            Row(
                arm_id=arm_id,
                expert=score.expert,
                expert_weights=score.expert_weights,
                recipe=score.recipe,
                arm=score.arm,
                seed=score.seed,
                point=score.point,
                variant=f"#{arm_id[:ID_LENGTH]}" if alike else variation.words,
                recorded_at=score.recorded_at,
                cells={name: Cell(by_benchmark[name]) for name in benchmarks if name in by_benchmark},
                missing=tuple(name for name in benchmarks if name not in by_benchmark),
                costs=in_use.costs(record),
                made_alike="" if record is None else stable_hash([record.settings, record.amateur]),
                preset=preset,
                untrained=preset == UNTRAINED.name if record is None else not record.settings,
                uses=in_use.of(record, by_benchmark.values()),
            )
        )
    rows.sort(key=lambda row: _row_order(row, comparisons[row.recipe]))
    rows = list(_set_against(rows, len(benchmarks), arm_records, varied, comparisons))
    presets = {row.arm: row.preset for row in reversed(rows)}
    return Board(
        suite=suite,
        protocol_hash=protocol_hash,
        benchmarks=benchmarks,
        protocols={score.benchmark: score.protocol for score in scores},
        rows=tuple(rows),
        comparisons=comparisons,
        baselines=tuple(
            sorted(
                {name for row in rows for name in row.against},
                key=lambda name: board_place(name, presets[name]),
            )
        ),
    )


def _set_against(
    rows: list[Row],
    width: int,
    arm_records: Mapping[str, ArmRecord],
    varied: Mapping[str, Variation],
    comparisons: Mapping[str, Comparisons],
) -> Iterable[Row]:
    """The rows with their deltas to the baselines of their recipes, as far as there are results of those."""
    named: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        named[row.expert_weights, row.arm].append(row)
    for row in rows:
        near = _Likeness(arm_records.get(row.arm_id), varied)
        found = {}
        for baseline in _baselines_for(row, comparisons[row.recipe], named):
            delta = _delta(row, named[row.expert_weights, baseline], width, near)
            if delta is not None:
                found[baseline] = delta
        yield replace(row, against=found)


def _baselines_for(
    row: Row, compared: Comparisons, named: Mapping[tuple[str, str], list[Row]]
) -> Iterable[str]:
    """Every baseline of the recipe; to a baseline and the untrained expert, those that stand before it."""
    places = {
        name: board_place(name, named[row.expert_weights, name][0].preset)
        for name in compared.against
        if name != row.arm and (row.expert_weights, name) in named
    }
    own = board_place(row.arm, row.preset)
    measured_from = row.arm != compared.subject and (row.untrained or row.arm in compared.against)
    return sorted(
        (name for name in places if not measured_from or places[name] < own), key=lambda name: places[name]
    )


def _once_per_seed(rows: Sequence[Row]) -> Iterable[tuple[Row, ...]]:
    """The latest row of every seed, then the one before it: one arm made twice is no two seeds."""
    by_seed: dict[int | None, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.recorded_at, row.arm_id), reverse=True):
        by_seed[row.seed].append(row)
    for earlier in range(max(map(len, by_seed.values()))):
        kept = {found[earlier].arm_id for found in by_seed.values() if earlier < len(found)}
        yield tuple(row for row in rows if row.arm_id in kept)


class _Likeness:
    """How alike baselines were made to one arm, in what sets them apart from each other."""

    def __init__(self, arm: ArmRecord | None, varied: Mapping[str, Variation]) -> None:
        self._arm = arm
        self._varied = varied

    @cached_property
    def _made(self) -> Mapping[str, Any]:
        return {} if self._arm is None else made_of(self._arm)

    def agreeing(self, baseline: Row) -> int:
        """In how many of the fields that set the baseline apart the arm was made like it."""
        return sum(self._agrees(baseline))

    def apart(self, baseline: Row) -> bool:
        """Whether the arm was made otherwise than the baseline in one of those fields."""
        return not all(self._agrees(baseline))

    def _agrees(self, baseline: Row) -> list[bool]:
        fields = self._varied.get(baseline.arm_id, PLAIN).fields
        return [self._made[name] == value for name, value in fields.items() if name in self._made]


def _delta(row: Row, baselines: list[Row], width: int, near: _Likeness) -> Delta | None:
    """`row` against the baseline nearest to it: of its recipe, point, making, seed, and the latest."""
    if not baselines:
        return None
    baseline = max(
        [other for other in baselines if other.recipe == row.recipe] or baselines,
        key=lambda other: (
            *_nearness(row.point, other.point),
            near.agreeing(other),
            other.seed == row.seed,
            other.recorded_at,
            other.arm_id,
        ),
    )
    flips = paired_flips(row.cells, baseline.cells)
    if not flips:
        return None
    return Delta(
        baseline=baseline.arm_id,
        baseline_recipe=baseline.recipe,
        baseline_seed=baseline.seed,
        baseline_point=baseline.point,
        baseline_variant=baseline.variant if near.apart(baseline) else "",
        flips=flips,
        complete=len(flips) == width,
    )


def _nearness(point: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[bool, int]:
    """Whether two points contradict each other nowhere, and in how many fields they agree."""
    shared = point.keys() & other.keys()
    agreeing = sum(point[field] == other[field] for field in shared)
    return agreeing == len(shared), agreeing


def _age(score: ScoreRecord) -> tuple[str, ...]:
    return (score.recorded_at, score.arm_id, score.benchmark, score.protocol_hash, score.evaluation_key)


def _name(score: ScoreRecord, variation: Variation) -> tuple[object, ...]:
    point = canonical_json(score.point)
    return (
        score.expert,
        score.expert_weights,
        score.recipe,
        score.arm,
        point,
        score.seed,
        variation.words,
    )


def _row_order(row: Row, compared: Comparisons) -> tuple[object, ...]:
    measured_from = row.untrained or row.arm in compared.against
    return (
        row.expert,
        row.expert_weights,
        row.recipe,
        not measured_from,
        board_place(row.arm, row.preset),
        [(field, *_sortable(value)) for field, value in row.point.items()],
        row.variant if not row.variant.startswith("#") else "",
        -1 if row.seed is None else row.seed,
        row.recorded_at,
        row.arm_id,
    )


def _sortable(value: Any) -> tuple[float, str]:
    """Numbers by size, then all else by how it is written."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (value, "") if number else (inf, canonical_json(value))
