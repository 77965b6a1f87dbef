"""The leaderboard's data: rows of arms, columns of benchmarks, each number with what it can carry.

A board holds results of one suite under one protocol; results under different protocols are on
different boards and never meet. Intervals, tests and averages are derived when they are read, so that
a board of thousands of rows is built at once and pays only for what is looked at. Rendering is
elsewhere; equal records give equal boards, whatever their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from math import inf
from typing import Any

from lrbench.evaluation.statistics import (
    Comparison,
    Pool,
    weaker,
)
from lrbench.methods.presets import UNTRAINED
from lrbench.recipe.comparing import Comparisons, board_place
from lrbench.results.baselines import nearest, set_against
from lrbench.results.compared import Compared
from lrbench.results.contrasts import compare_arms, compare_columns, pooled_spread
from lrbench.results.declarations import standing
from lrbench.results.races import Race, find_race, won
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.results.repeats import with_repeats
from lrbench.results.rows import AVERAGE, Cell, Delta, Group, Row, grouped
from lrbench.results.selection import Selection
from lrbench.results.uses import ArmsInUse, Uses
from lrbench.results.variations import ID_LENGTH, PLAIN, Variation, variations
from lrbench.store.keys import canonical_json, stable_hash

_NOTHING = Comparisons(None, (), False)


@dataclass(frozen=True)
class Board:
    """All results of one suite under one protocol.

    `protocol_hash` is over benchmark -> protocol hash; `protocols` holds each benchmark's protocol as
    far as a score of it was recorded. Rows are ordered by expert, recipe, arm (as the recipe declares them,
    else baselines first), point and seed. `comparisons` say by recipe what its rows are about. `baselines`
    are the arms that any row is set against, in the order of the rows. `forgetting` holds by recipe what its
    rows lost on a second suite; `second_of` are the recipes of which this board is that of the second suite,
    `validation_of` those that choose points on it. `selections` say by recipe which points are chosen, here
    or for here.
    """

    suite: str
    protocol_hash: str
    benchmarks: tuple[str, ...]
    protocols: dict[str, dict[str, Any]]
    rows: tuple[Row, ...]
    comparisons: Mapping[str, Comparisons]
    baselines: tuple[str, ...]
    forgetting: Mapping[str, Forgetting] = field(default_factory=dict)
    second_of: frozenset[str] = frozenset()
    validation_of: frozenset[str] = frozenset()
    selections: Mapping[str, Selection] = field(default_factory=dict)

    def answers_nothing(self, recipe: str) -> bool:
        """Whether what a recipe asks is not answered here: it is on the suite, and this is another board."""
        return recipe in self.second_of or recipe in self.validation_of

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

    @cached_property
    def experts(self) -> dict[str, str]:
        """The name of every expert, by its weights."""
        return {row.expert_weights: row.expert for row in self.rows}

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
        if (expert_weights, column) not in self._pools:
            # A second measurement of a run is no run of its own.
            several = [
                group
                for group in self.groups
                if len(group.rows) > 1
                and not group.is_repeat
                and group.rows[0].expert_weights == expert_weights
            ]
            self._pools[expert_weights, column] = pooled_spread(several, column)
        return self._pools[expert_weights, column]

    @cached_property
    def _pools(self) -> dict[tuple[str, str], Pool | None]:
        """The pools found so far, by expert and column."""
        return {}

    def against(self, group: Group, other: Group) -> dict[str, Comparison]:
        """By column, an arm against another of its expert over all seeds of both, where they share items.

        Where the other was measured once more and differs, the weaker of both comparisons holds.
        """
        found = self._against(group, other)
        ids = {row.arm_id for row in other.rows}
        for again in self._repeats:
            leaning = [column for column in found if again.leans(column)]
            if leaning and again is not group and any(row.repeats in ids for row in again.rows):
                further = self._against(group, again)
                found |= {name: weaker(found[name], further[name]) for name in leaning if name in further}
        return found

    @cached_property
    def _repeats(self) -> tuple[Group, ...]:
        """The arms that measure another one once more."""
        return tuple(group for group in self.groups if any(row.repeats is not None for row in group.rows))

    def _against(self, group: Group, other: Group) -> dict[str, Comparison]:
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
        asked = (*(row.arm_id for row in group.rows), arm)
        if asked not in self._over_seeds:
            baseline = self.baseline_of(group, arm)
            single = baseline is None or len(group.rows) == len(baseline.rows) == 1
            found = {} if baseline is None or single else self.against(group, baseline)
            self._over_seeds[asked] = {name: one for name, one in found.items() if one.runs is not None}
        return self._over_seeds[asked]

    @cached_property
    def _over_seeds(self) -> dict[tuple[str, ...], dict[str, Comparison]]:
        """The differences over seeds found so far: they are tests, and not all are looked at."""
        return {}

    def benchmarks_of(self, column: str) -> tuple[str, ...]:
        """The benchmarks that `column` is made of."""
        return self.benchmarks if column == AVERAGE else (column,)


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
    scores, recipes = list(scores), list(recipes)
    weights = {score.arm_id: score.expert_weights for score in scores}
    varied = variations(arm_records.values(), weights)
    declared = Compared(recipes, arm_records.values(), scores)
    comparisons, places = declared.by_recipe(), declared.places()
    in_use = ArmsInUse(arm_records.values())
    groups: dict[tuple[str, str], list[ScoreRecord]] = defaultdict(list)
    for score in sorted(scores, key=_age):
        groups[score.suite, _hash_of(tuple(score.suite_protocol.items()))].append(score)
    ordered = sorted(groups.items(), key=lambda group: (_age(group[1][-1]), group[0]), reverse=True)
    ordered.sort(key=lambda group: group[0][0])
    choosing = [record for record in standing(recipes).values() if record.selection is not None]

    def meant(protocol_hash: str) -> dict[str, frozenset[str]]:
        return {record.recipe: frozenset(record.meant_on(protocol_hash)) for record in choosing}

    chosen = {record.recipe: record.selection for record in choosing if record.selection is not None}

    boards = tuple(
        _build_board(
            suite,
            hash_,
            group,
            arm_records,
            varied,
            declared,
            comparisons,
            places,
            in_use,
            meant(hash_),
            chosen,
        )
        for (suite, hash_), group in ordered
    )
    return _with_selections(_with_second(boards, recipes), recipes)


def _with_selections(boards: tuple[Board, ...], recipes: Iterable[RecipeRecord]) -> tuple[Board, ...]:
    """The boards with what is chosen on them, and for them."""
    selecting = [record for record in recipes if record.selection is not None]
    if not selecting:
        return boards
    now = {name: record.selection for name, record in standing(recipes).items() if record.selection}
    return tuple(
        replace(
            board,
            validation_of=frozenset(
                record.recipe
                for record in selecting
                if record.selection is not None and record.selection.protocol == board.protocol_hash
            ),
            selections=now,
        )
        for board in boards
    )


def _with_second(boards: tuple[Board, ...], recipes: Iterable[RecipeRecord]) -> tuple[Board, ...]:
    """The boards with what their rows forgot, as far as the board of the second suite is among them."""
    by_protocol = {board.protocol_hash: board for board in boards}
    pairs: dict[tuple[str, str], str] = {}
    for record in recipes:
        pairs |= {(record.recipe, first): second for first, second in record.forgetting.items()}
    return tuple(
        replace(
            board,
            forgetting={
                recipe: Forgetting.on(by_protocol[second])
                for (recipe, first), second in pairs.items()
                if first == board.protocol_hash and second in by_protocol
            },
            second_of=frozenset(
                recipe for (recipe, _), second in pairs.items() if second == board.protocol_hash
            ),
        )
        for board in boards
    )


@dataclass(frozen=True)
class Forgetting:
    """What arms lost on the second suite, whose `board` this is: the difference from the untrained expert.

    `deltas` hold it by arm, of those that were measured on the same items as the expert.
    """

    board: Board
    deltas: Mapping[str, Delta]

    @classmethod
    def on(cls, board: Board) -> Forgetting:
        """Of every row but the expert's own."""
        experts = [row for row in board.rows if row.untrained]
        found = {
            row.arm_id: nearest(
                row,
                [one for one in experts if one.expert_weights == row.expert_weights],
                len(board.benchmarks),
            )
            for row in board.rows
            if not row.untrained
        }
        return cls(board, {arm_id: delta for arm_id, delta in found.items() if delta is not None})

    def of(self, row: Row) -> Comparison | None:
        """The difference of the averages, of this run."""
        delta = self.deltas.get(row.arm_id)
        return None if delta is None else delta.average

    def over_seeds(self, group: Group) -> Comparison | None:
        """The same of training like this, over all seeds of an arm that has several."""
        ours = [row for row in self.board.rows if row.arm_id in {own.arm_id for own in group.rows}]
        delta = self.deltas.get(group.rows[-1].arm_id)
        if delta is None or len(ours) < 2:
            return None
        theirs = [row for row in self.board.rows if row.arm_id == delta.baseline]
        pool = self.board.pool(ours[0].expert_weights, AVERAGE)
        return compare_arms(ours, theirs, self.board.benchmarks, pool)


def _build_board(
    suite: str,
    protocol_hash: str,
    scores: list[ScoreRecord],
    arm_records: Mapping[str, ArmRecord],
    varied: Mapping[str, Variation],
    declared: Compared,
    comparisons: Mapping[str, Comparisons],
    places: Mapping[str, Mapping[str, int]],
    in_use: ArmsInUse,
    meant: Mapping[str, Collection[str]],
    chosen: Mapping[str, Selection],
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
                uses=_chosen(in_use.of(record, by_benchmark.values()), score, chosen.get(score.recipe)),
            )
        )
    rows = with_repeats(rows, arm_records)
    by_id = {row.arm_id: row for row in rows}

    def place(row: Row) -> tuple[object, ...]:
        # A second measurement stands beside the first.
        first = row if row.repeats is None else by_id[row.repeats]
        order = _row_order(first, comparisons[first.recipe], places[first.recipe])
        return (*order, row is not first, row.arm, row.arm_id)

    rows.sort(key=place)
    rows = list(set_against(rows, len(benchmarks), arm_records, varied, comparisons, meant))
    against = {name for row in rows for name in row.against}
    return Board(
        suite=suite,
        protocol_hash=protocol_hash,
        benchmarks=benchmarks,
        protocols={score.benchmark: score.protocol for score in scores},
        rows=tuple(rows),
        comparisons=comparisons,
        baselines=tuple(dict.fromkeys(row.arm for row in rows if row.arm in against)),
    )


def _chosen(uses: Uses, score: ScoreRecord, selection: Selection | None) -> Uses:
    """With the answers by which the point of what was measured was chosen, where it was one of several."""
    if selection is None or score.arm_id not in selection.on_suite:
        return uses
    choice = selection.of(score.arm)
    several = choice is not None and choice.points + choice.lacking > 1
    return replace(uses, labels_to_choose=selection.problems) if several else uses


# Thousands of scores were measured in a few ways.
@lru_cache
def _hash_of(suite_protocol: tuple[tuple[str, str], ...]) -> str:
    return stable_hash(dict(suite_protocol))


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


def _row_order(row: Row, compared: Comparisons, places: Mapping[str, int]) -> tuple[object, ...]:
    """Arms stand as their recipe declares them; those it does not, or no longer, stand after them."""
    measured_from = row.untrained or row.arm in compared.against
    return (
        row.expert,
        row.expert_weights,
        row.recipe,
        places.get(row.arm, len(places)),
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
