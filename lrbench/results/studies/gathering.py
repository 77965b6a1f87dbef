"""Which results of the ledger belong to a study as declared, and what is not there yet."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from lrbench.data.access import is_here
from lrbench.errors import DataError
from lrbench.evaluation.named_tasks.items import chosen_items
from lrbench.methods.component import AMATEUR
from lrbench.methods.fidelity import FIELD
from lrbench.recipe.arms import Arm, resolve_arms
from lrbench.recipe.comparing import Comparisons, board_place, comparisons_of, presets_of
from lrbench.recipe.expanding import Variant, expand
from lrbench.recipe.identity import recipe_hash
from lrbench.recipe.schema import Recipe
from lrbench.recipe.study import LoadedEdition, LoadedRecipe
from lrbench.results.board import Board, build_boards
from lrbench.results.ledger import LedgerContents
from lrbench.results.records import ArmRecord, Costs, RecipeRecord, ScoreRecord, items_hash
from lrbench.results.rows import Row
from lrbench.results.selection import ChosenPoint, Selection
from lrbench.results.studies.content import Missing
from lrbench.results.uses import ArmsInUse
from lrbench.store.keys import canonical_json
from lrbench.suites.data_names import public_set
from lrbench.suites.suite import Benchmark, measured_benchmarks

DEFAULT_RUNS = Path("runs")


@dataclass(frozen=True, eq=False)
class Line:
    """One arm of one recipe at one point of its sweep, or at the one that was chosen.

    `taken` says which that was, where the recipe has points chosen (`evaluation.select_on`): `point` is empty
    then, since what is shown is the arm as it was chosen.

    `seeds` are those declared, `rows` and `records` what the ledger holds of them, in the order of the
    seeds. `costs` are those of the records with those of every arm whose adapter they read, None where one of
    them is not recorded. The untrained expert has no seed: it is one line per expert, whichever recipe
    declares it.
    """

    source: LoadedRecipe
    recipe: Recipe
    arm: Arm
    point: Mapping[str, Any]
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    records: tuple[ArmRecord, ...]
    costs: tuple[Costs | None, ...]
    taken: ChosenPoint | None = None

    @property
    def expert(self) -> str:
        """The expert as the recipe names it."""
        return self.recipe.pair.expert.model

    @property
    def comparisons(self) -> Comparisons:
        """What the line's recipe is about."""
        return comparisons_of(self.recipe)

    @property
    def is_subject(self) -> bool:
        """Whether the line is what its recipe is about."""
        return self.arm.name == self.comparisons.subject

    @property
    def amateur(self) -> str | None:
        """The amateur, where the arm learns from it or answers with it."""
        return self.recipe.pair.amateur_name if AMATEUR in self.arm.models else None

    @property
    def missing_seeds(self) -> tuple[int, ...]:
        """Declared seeds without a complete row."""
        there = {row.seed for row in self.rows if not row.missing}
        return () if None in there else tuple(seed for seed in self.seeds if seed not in there)

    @property
    def label(self) -> str:
        """The arm, with its point where the recipe sweeps, and its fidelity where it is not corrected."""
        said = [f"{field} {canonical_json(value)}" for field, value in self.point.items()]
        if self.arm.fidelity.hazards and not any(field.rpartition(".")[2] == FIELD for field in self.point):
            said.append(f"{FIELD} {self.arm.fidelity.label}")
        return f"{self.arm.name} ({', '.join(said)})" if said else self.arm.name


@dataclass(frozen=True)
class Gathered:
    """The lines of an edition by recipe, then by arm; `left_out` counts rows of other protocols."""

    lines: tuple[Line, ...]
    left_out: int

    def by_expert(self) -> Iterator[tuple[str, list[Line]]]:
        """The lines of each expert, experts in the order declared."""
        order = list(dict.fromkeys(line.expert for line in self.lines))
        ranked = sorted(self.lines, key=lambda line: order.index(line.expert))
        for expert, lines in groupby(ranked, key=lambda line: line.expert):
            yield expert, list(lines)

    def base_of(self, expert: str) -> Line | None:
        """The line of the untrained expert."""
        return next((line for line in self.lines if line.expert == expert and line.arm.is_expert), None)

    def untrained(self, line: Line) -> Line | None:
        """The line of the untrained expert that `line` is measured from; None for that itself."""
        return None if line.arm.is_expert else self.base_of(line.expert)

    def baselines(self, lines: Iterable[Line]) -> list[str]:
        """The arms that the recipes of these lines are set against, in the order declared."""
        lines = list(lines)
        declared = dict.fromkeys(name for line in lines for name in presets_of(line.recipe.arms))
        found = {name for line in lines for name in line.comparisons.against}
        others = sorted(found - declared.keys(), key=lambda name: board_place(name, name))
        return [*(name for name in declared if name in found), *others]

    def sibling(self, line: Line, arm: str) -> Line | None:
        """The line of `arm` that `line` is to be set against: of its recipe and point, or of its expert."""
        if line.arm.name == arm:
            return None
        same_expert = [other for other in self.lines if other.expert == line.expert and other.arm.name == arm]
        same_recipe = [other for other in same_expert if other.source is line.source]
        at_point = [other for other in same_recipe if other.point == line.point]
        return next(iter([*at_point, *same_recipe, *same_expert]), None)


def gather(edition: LoadedEdition, contents: LedgerContents) -> Gathered:
    """The lines that `edition` declares, with what `contents` holds of them.

    A result belongs to a line when its recipe was run as declared (fields that cannot change a result set
    aside) and its benchmarks were measured as declared; of several protocols the latest counts, and so does
    the latest of an expert's weights: its files can change under one name.
    """
    # Of several records of one recipe as declared, the last says what it means.
    meant = {(record.recipe, record.recipe_hash): record for record in contents.recipes}
    found = [declared for source in edition.recipes for declared in _declared(source, meant)]
    arm_ids = set().union(*(declared.arm_ids for declared in found))
    arm_ids -= _outdated(found, [score for score in contents.scores if score.arm_id in arm_ids])
    records = {record.arm_id: record for record in contents.arms if record.arm_id in arm_ids}
    in_use = ArmsInUse(records.values())
    fits = _Fitting(edition.recipes[0].recipe)
    scores = [score for score in contents.scores if score.arm_id in arm_ids and fits(score)]
    boards = build_boards(records.values(), scores)
    latest = max(boards, key=_age, default=None)
    rows = {} if latest is None else {row.arm_id: row for row in latest.rows}
    others = {row.arm_id for board in boards for row in board.rows} - rows.keys()
    lines: list[Line] = []
    for declared in found:
        for arm in _shown(declared.source, declared.variants[0].recipe):
            _add(lines, declared.line(arm, records, rows, in_use))
    return Gathered(tuple(lines), len(others))


def command_for(line: Line, runs: Path) -> str:
    """The command that measures what is missing of a line; finished work is not done again."""
    elsewhere = [] if runs == DEFAULT_RUNS else ["--runs", str(runs)]
    return shlex.join(["lrbench", "run", line.source.path, *line.source.overrides, *elsewhere])


def missing_of(lines: Iterable[Line], runs: Path) -> Iterator[Missing]:
    """What is missing of the lines, one entry per command."""
    by_command: dict[str, list[str]] = {}
    for line in lines:
        if line.missing_seeds:
            seeds = "" if len(line.seeds) == 1 else f" (seeds {', '.join(map(str, line.missing_seeds))})"
            by_command.setdefault(command_for(line, runs), []).append(f"{line.label}{seeds}")
    for command, what in by_command.items():
        yield Missing(", ".join(what), command)


@dataclass(frozen=True)
class _Declared:
    """One recipe at one point of its sweep: a variant per seed, and the arms made of them.

    Of a recipe that has points chosen there is one, without a point: the arms as `selection` has them.
    """

    source: LoadedRecipe
    point: Mapping[str, Any]
    variants: tuple[Variant, ...]
    arm_ids: frozenset[str]
    selection: Selection | None = None

    def line(
        self, arm: Arm, records: Mapping[str, ArmRecord], rows: Mapping[str, Row], in_use: ArmsInUse
    ) -> Line:
        """The line of `arm`; where an arm was made again, the latest and what was made alike count."""
        named = [records[arm_id] for arm_id in self.arm_ids & records.keys()]
        own = [record for record in named if record.arm == arm.name and _at(record.point, self.point)]
        own.sort(key=_made)
        by_seed = {record.seed: record for record in own if _alike(record) == _alike(own[-1])}
        seeds = tuple(variant.recipe.seed for variant in self.variants)
        if not arm.is_random or None in by_seed:
            # Nothing random: all seeds are one model, and so one measurement.
            seeds = seeds[:1]
        made = [by_seed[seed] for seed in (None, *seeds) if seed in by_seed]
        return Line(
            source=self.source,
            recipe=self.variants[0].recipe,
            arm=arm,
            point={} if arm.is_expert else self.point,
            seeds=seeds,
            rows=tuple(rows[record.arm_id] for record in made if record.arm_id in rows),
            records=tuple(made),
            costs=tuple(map(in_use.costs, made)),
            taken=None if self.selection is None else self.selection.of(arm.name),
        )


def _declared(source: LoadedRecipe, meant: Mapping[tuple[str, str], RecipeRecord]) -> Iterator[_Declared]:
    """What a recipe declares, point by point; where points are chosen, what was chosen."""
    by_point = _by_point(expand(source.recipe))
    if source.recipe.evaluation.select_on is None:
        for point, variants in by_point:
            yield _Declared(source, point, tuple(variants), _arm_ids(meant, source.recipe, variants))
        return
    record = meant.get((source.recipe.name, recipe_hash(source.recipe)))
    selection = None if record is None else record.selection
    _, variants = by_point[0]
    on_suite = () if selection is None else selection.on_suite
    yield _Declared(source, {}, tuple(variants), frozenset(on_suite), selection)


def _by_point(variants: Iterable[Variant]) -> list[tuple[Mapping[str, Any], list[Variant]]]:
    """The variants by their point, each over its seeds."""
    points: dict[str, list[Variant]] = {}
    for variant in variants:
        points.setdefault(canonical_json(dict(variant.point)), []).append(variant)
    return [(group[0].point, group) for group in points.values()]


def _arm_ids(
    meant: Mapping[tuple[str, str], RecipeRecord], recipe: Recipe, variants: list[Variant]
) -> frozenset[str]:
    """The arms that `recipe` as declared means, run as a whole, one of its seeds alone, or at one point.

    `meant` has the last record of a recipe by its name and hash.
    """
    alone = [variant.recipe for variant in variants]
    seeds = [recipe.model_copy(update={"seed": variant.seed, "seeds": None}) for variant in alone]
    hashes = {recipe_hash(run) for run in (recipe, *seeds, *alone)}
    records = (meant.get((recipe.name, found)) for found in hashes)
    return frozenset(arm_id for record in records if record is not None for arm_id in record.arm_ids)


def _at(recorded: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    """Whether an arm recorded with its deciding fields is the one at `point`."""
    return all(field in point and point[field] == value for field, value in recorded.items())


def _outdated(found: Iterable[_Declared], scores: Iterable[ScoreRecord]) -> set[str]:
    """The arms of experts whose files have changed since: of the weights of one expert the latest count."""
    by_expert: dict[tuple[str, str | None], dict[str, ScoreRecord]] = {}
    by_arm: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_arm.setdefault(score.arm_id, []).append(score)
    for declared in found:
        expert = declared.variants[0].recipe.pair.expert
        latest = by_expert.setdefault((expert.model, expert.revision), {})
        for arm_id in declared.arm_ids & by_arm.keys():
            score = max(by_arm[arm_id], key=lambda score: score.recorded_at)
            if score.expert == expert.model and _at(score.point, declared.point):
                latest[arm_id] = score
    outdated = set()
    for of_expert in by_expert.values():
        last = max(of_expert.values(), key=lambda score: (score.recorded_at, score.arm_id), default=None)
        for arm_id, score in of_expert.items():
            if last is not None and score.expert_weights != last.expert_weights:
                outdated.add(arm_id)
    return outdated


class _Fitting:
    """Whether scores were measured as the `evaluation` of `recipe` declares it."""

    def __init__(self, recipe: Recipe) -> None:
        self._evaluation = recipe.evaluation
        self._benchmarks = {benchmark.name: benchmark for benchmark in measured_benchmarks(recipe.evaluation)}
        self._suite = next(iter(self._benchmarks.values())).suite
        self._data_root = recipe.runtime.data_root
        self._listed: dict[str, str | None] = {}

    def __call__(self, score: ScoreRecord) -> bool:
        evaluation = self._evaluation
        if score.suite != self._suite or set(score.suite_protocol) != set(self._benchmarks):
            return False
        limit = score.protocol.get("limit")
        # A limit that leaves nothing out is recorded as none; one of lm-eval's tasks is of each of them.
        left_nothing = score.n <= (evaluation.limit or 0) or evaluation.lm_eval is not None
        as_limited = limit == evaluation.limit or (limit is None and left_nothing)
        engine = score.protocol.get("engine", evaluation.engine.name)
        return as_limited and engine == evaluation.engine.name and self._on_its_items(score)

    def _on_its_items(self, score: ScoreRecord) -> bool:
        listed = score.protocol.get("items") is not None
        if self._evaluation.items is None or not listed:
            return listed == (self._evaluation.items is not None)
        if score.benchmark not in self._listed:
            self._listed[score.benchmark] = self._hash_of_listed(self._benchmarks[score.benchmark])
        return score.items_hash == self._listed[score.benchmark]

    def _hash_of_listed(self, benchmark: Benchmark) -> str | None:
        """The identity of the listed items of `benchmark`; None where its data are not here to tell."""
        published = public_set(benchmark.data)
        if published is not None and not is_here(published, self._data_root):
            return None
        try:
            return items_hash(list(chosen_items(benchmark, self._evaluation, self._data_root, False).ids))
        except DataError:
            return None


def _shown(source: LoadedRecipe, recipe: Recipe) -> list[Arm]:
    """The arms of `recipe` that the study shows, in the study's order."""
    arms = {arm.name: arm for arm in resolve_arms(recipe)}
    return [arms[name] for name in source.arms]


def _add(lines: list[Line], line: Line) -> None:
    """Add `line`, unless it is an untrained expert that is there already; then what was found is kept."""
    if line.arm.is_expert:
        for place, other in enumerate(lines):
            if other.arm.is_expert and other.expert == line.expert:
                if line.rows and not other.rows:
                    lines[place] = line
                return
    lines.append(line)


def _alike(record: ArmRecord) -> str:
    """The same for records that were made with the same settings but for the seed."""
    return canonical_json([record.settings, record.amateur])


def _made(record: ArmRecord) -> tuple[str, str]:
    return record.recorded_at, record.arm_id


def _age(board: Board) -> tuple[str, str]:
    return max(row.recorded_at for row in board.rows), board.protocol_hash
