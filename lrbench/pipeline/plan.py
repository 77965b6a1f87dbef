"""From a recipe to the stages it needs: one plan for all seeds and points, which share what is the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from lrbench.errors import LrbenchError
from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.repeats import Repeats
from lrbench.methods.answers import OWN
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.continued import Continuing
from lrbench.methods.fidelity import CORRECTED, Fidelity
from lrbench.methods.learner import MOVING
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.source import Source
from lrbench.models.source import LocatedModel, expect, locate, model_identity
from lrbench.models.turn_marks import begin_turn_marks
from lrbench.pipeline.data import measured_items
from lrbench.pipeline.expecting import (
    absent_hub_sets,
    absent_sets,
    absent_tasks,
    expected_items,
    expected_problems,
    expected_validation,
)
from lrbench.pipeline.failures import Cause, ends_run
from lrbench.pipeline.repeating import repeats_of
from lrbench.pipeline.selecting import selected
from lrbench.pipeline.sourcing import Sources
from lrbench.pipeline.stages.answering import AnsweredBy, Reader
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.continuations import Continuations
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.editing import EditedModel
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.named_tasks import TaskScore
from lrbench.pipeline.stages.pairs import ReferenceLogP
from lrbench.pipeline.stages.policy import PolicyAdapter
from lrbench.pipeline.stages.rewriting import RewritingAdapter
from lrbench.pipeline.stages.rollouts import GreedyRollouts, ReferenceRollouts, RolloutSource
from lrbench.pipeline.stages.samples import ArmSamples, PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.validation import (
    overlap_text,
    overlaps,
    repeats_in_validation,
    validation_benchmarks,
)
from lrbench.recipe.arms import Arm, completed, resolve_arms
from lrbench.recipe.expanding import Variant, expand, point_text
from lrbench.recipe.measuring import Measure
from lrbench.recipe.schema import Data, EngineChoice, Evaluation, ModelReference, Recipe
from lrbench.results.identity import model_of
from lrbench.results.selection import Selection
from lrbench.sampling.problem_sources import is_absent
from lrbench.sampling.problems import Problems, load_held_out, load_problems, load_validation
from lrbench.store.keys import FileHashes, stable_hash
from lrbench.store.store import Store
from lrbench.suites.suite import Benchmark, measured_benchmarks

HASH_CACHE = "file-hashes.json"
STORE = "store"


@dataclass(frozen=True)
class ArmPlan:
    """The stages that make and measure one model; variants that share the model share its plan.

    `title` says which arm it is: its name, its point, and its seed where the recipe has several. `recipe` is
    that of the first such variant; `amateur` is None when none of its arms needs one. `adapter`
    is None for the untrained expert, and `seed` where nothing in the model is random. `point` holds the
    swept fields that all variants with this model agree on, and so no field that is nothing to it.
    `evaluations` are measurements of the whole suite; there are several only where a sweep changes what is
    measured. Of each, `second` holds that of the suite of `measure.forgetting`, empty where there is none.
    `places` are those of the variants that mean it, among the plan's. `validation` measures it on what
    points are chosen on, and is empty where none are.
    """

    title: str
    arm: Arm
    recipe: Recipe
    expert: LocatedModel
    amateur: LocatedModel | None
    adapter: TrainedAdapter | None
    seed: int | None
    point: Mapping[str, Any]
    evaluations: tuple[tuple[BenchmarkScore, ...], ...]
    answered_by: AnsweredBy
    second: tuple[tuple[BenchmarkScore, ...], ...]
    places: tuple[int, ...] = ()
    validation: tuple[BenchmarkScore, ...] = ()

    @cached_property
    def model(self) -> str:
        """Identity of what answers: equal ones are equal."""
        own = stable_hash(model_identity(self.expert)) if self.adapter is None else self.adapter.key
        inputs = {name: stage.key for name, stage in self.answered_by.inputs.items()}
        return model_of(own, self.answered_by.identity, inputs)

    @property
    def measured(self) -> tuple[tuple[BenchmarkScore, ...], ...]:
        """Every measurement of a suite, the first or the second, once."""
        suites = (scores for scores in (*self.evaluations, *self.second) if scores)
        return tuple({tuple(score.key for score in scores): scores for scores in suites}.values())

    @property
    def scores(self) -> tuple[BenchmarkScore, ...]:
        """Every measurement of a benchmark."""
        return tuple(chain.from_iterable(self.measured))

    def stages(self) -> Iterator[Stage]:
        """Every stage of the arm, inputs first; a stage may come more than once."""
        for score in self.scores:
            yield from with_inputs(score)


@dataclass(frozen=True)
class Unplanned:
    """An arm of one variant, at its place among the plan's, for which there is no plan, and why.

    `title` says which arm it is, as that of an `ArmPlan` does.
    """

    title: str
    arm: str
    place: int
    cause: Cause


@dataclass(frozen=True)
class Plan:
    """All the work of one recipe: its variants, and a plan for every different model among their arms.

    Arms with the same pair of models come together, so that each pair is loaded once. `absent` says, in
    words, what a run fetches first. `unplanned` are arms of some points of a sweep that cannot be made.

    Where the points of swept arms are chosen (`evaluation.select_on`), `selecting` is the plan that measures
    all of them to that end, and the `arms` here are the chosen ones and those without points. While not all
    is measured that the choice needs, it `is_open`, and of such an arm the first point stands in for the
    chosen one, which takes as long. `selection` says what was chosen, and `overlaps` how many of the problems
    that points are chosen on repeat items of a benchmark, by its name.
    """

    recipe: Recipe
    variants: tuple[Variant, ...]
    arms: tuple[ArmPlan, ...]
    absent: tuple[str, ...] = ()
    unplanned: tuple[Unplanned, ...] = ()
    selecting: Plan | None = None
    selection: Selection | None = None
    is_open: bool = False
    overlaps: Mapping[str, Repeats] = field(default_factory=dict)

    @property
    def phases(self) -> tuple[Plan, ...]:
        """All plans of a run in order: that by which points are chosen, where there is one, and this."""
        return (self,) if self.selecting is None else (self.selecting, self)

    @property
    def remarks(self) -> list[str]:
        """What to know before the work: what is chosen on and measured both."""
        return [overlap_text(benchmark, found) for benchmark, found in self.overlaps.items()]

    @property
    def failed(self) -> list[tuple[str, Cause]]:
        """The title of every arm without a plan, and why that is."""
        return [(arm.title, arm.cause) for arm in self.unplanned]

    def is_everywhere(self, failed: Collection[str]) -> bool:
        """Whether some arm can be made for no seed and at no point, if the stages with these keys fail."""
        without: dict[str, set[int]] = {}
        for arm in self.arms:
            if any(stage.key in failed for stage in arm.stages()):
                without.setdefault(arm.arm.name, set()).update(arm.places)
        for lost in self.unplanned:
            without.setdefault(lost.arm, set()).add(lost.place)
        return any(len(places) == len(self.variants) for places in without.values())

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Every distinct stage, each after its inputs."""
        # An arm that answers with another one's adapter does not know the title under which that is planned.
        titled = {arm.adapter.key: arm.adapter for arm in self.arms if arm.adapter is not None}
        distinct = {stage.key: titled.get(stage.key, stage) for arm in self.arms for stage in arm.stages()}
        return tuple(distinct.values())


def plan_recipe(recipe: Recipe, runs: Path, fetch: bool = True, settled: bool = False) -> Plan:
    """The work `recipe` asks for. Hashes model files (once, cached under `runs`); loads no weights.

    Models of the hub and public data that are not here are fetched; without `fetch` they are planned with as
    far as they are known, and what depends on them has keys that are not final. Raises `ModelError` or
    `DataError` when a model or data cannot be found; where that is so at some points of a sweep alone, the
    plan goes without them and says so. Where points are chosen, the store under `runs` has what by; once that
    is `settled`, points without all their results are left out of the choice.
    """
    variants = expand(recipe)
    varying = _varying_fields(variants)
    used = tuple(dict.fromkeys(variant.recipe.data for variant in variants))
    materials = _Materials(FileHashes(runs / HASH_CACHE), recipe.runtime.data_root, fetch, used)
    planned: dict[tuple[str, str], list[tuple[int, Variant, ArmPlan]]] = {}
    unplanned: list[Unplanned] = []
    for place, variant in enumerate(variants):
        for declared, plan in materials.plans(variant.recipe):
            if isinstance(plan, ArmPlan):
                planned.setdefault((declared.name, plan.model), []).append((place, variant, plan))
                continue
            point = {field: variant.point[field] for field in varying}
            seed = variant.recipe.seed if len(recipe.seeds or ()) > 1 else None
            title = _title(declared.name, point, seed if declared.is_random else None)
            unplanned.append(Unplanned(title, declared.name, place, Cause.of("plan", plan)))
            if sum(lost.arm == declared.name for lost in unplanned) == len(variants):
                # Wrong at every point, so it is the recipe that is wrong.
                raise plan
    merged = [_merged(same, varying, len(recipe.seeds or ())) for same in planned.values()]
    pairs = list(dict.fromkeys(_pair(arm) for arm in merged))
    ordered = sorted(merged, key=lambda arm: pairs.index(_pair(arm)))
    whole = Plan(
        recipe,
        variants,
        tuple(ordered),
        tuple(materials.absent),
        tuple(unplanned),
        overlaps=materials.overlaps,
    )
    return whole if recipe.evaluation.select_on is None else selected(whole, Store(runs / STORE), settled)


def _pair(arm: ArmPlan) -> tuple[LocatedModel, LocatedModel | None]:
    return arm.expert, arm.amateur


def _varying_fields(variants: tuple[Variant, ...]) -> list[str]:
    """The swept fields that have more than one value."""
    first = variants[0].point
    return [field for field in first if any(variant.point[field] != first[field] for variant in variants)]


def _title(arm: str, point: Mapping[str, Any], seed: int | None) -> str:
    """Which arm it is, for people: `lightr beta=0.4 seed 1`."""
    return " ".join(filter(None, [arm, point_text(point), "" if seed is None else f"seed {seed}"]))


def _merged(same: list[tuple[int, Variant, ArmPlan]], varying: list[str], seeds: int) -> ArmPlan:
    """One plan for the variants that share a model; its stages say where among the variants it stands."""
    arm = same[0][2]
    points = [variant.point for _, variant, _ in same]
    agreed = [field for field in varying if all(point[field] == points[0][field] for point in points)]
    point = {field: points[0][field] for field in agreed}
    title = _title(arm.title, point, arm.seed if seeds > 1 else None)
    adapter = arm.adapter and replace(arm.adapter, arm=title)
    evaluations = {
        tuple(score.key for score in (*first, *second)): (first, second)
        for _, _, other in same
        for first, second in zip(other.evaluations, other.second, strict=True)
    }

    def titled(scores: tuple[BenchmarkScore, ...]) -> tuple[BenchmarkScore, ...]:
        return tuple(replace(score, arm=title, adapter=adapter) for score in scores)

    return replace(
        arm,
        title=title,
        adapter=adapter,
        point=point,
        evaluations=tuple(titled(first) for first, _ in evaluations.values()),
        second=tuple(titled(second) for _, second in evaluations.values()),
        validation=titled(arm.validation),
        places=tuple(place for place, _, _ in same),
    )


@dataclass(frozen=True)
class _Materials:
    """Models, problems and items, each found once however many variants name it."""

    hashes: FileHashes
    data_root: str | None
    fetch: bool
    used: tuple[Data, ...]
    overlaps: dict[str, Repeats] = field(default_factory=dict)
    absent: dict[str, None] = field(default_factory=dict)
    found: dict[Any, Any] = field(default_factory=dict)

    def plans(self, recipe: Recipe) -> Iterator[tuple[Arm, ArmPlan | LrbenchError]]:
        """The plan of every arm of one variant, or why there is none, in the order declared."""
        arms = resolve_arms(recipe)
        try:
            builder = self._builder(recipe, arms)
        except LrbenchError as error:
            _raise_what_ends_all(error)
            yield from ((arm, error) for arm in arms)
            return
        for arm in arms:
            try:
                yield arm, builder.plan(arm)
            except LrbenchError as error:
                yield arm, error

    def _builder(self, recipe: Recipe, arms: tuple[Arm, ...]) -> _Builder:
        """What makes the plans of one variant's arms."""
        needs_amateur = any(AMATEUR in arm.models for arm in arms)
        trained = any(arm.ingredients is not None or arm.edit is not None for arm in arms)
        expert = self._model(recipe.pair.expert)
        self._once((begin_turn_marks, expert), lambda: begin_turn_marks(expert))
        deriving = recipe.pair.amateur is not None and recipe.pair.amateur.derive is not None
        asks = trained or (needs_amateur and deriving)
        problems, solutions = self._problems(recipe.data) if asks else (None, None)
        amateur, derived, lacking = None, None, None
        if needs_amateur:
            try:
                amateur, derived = self._amateur(recipe, expert, problems)
            except LrbenchError as error:
                # Arms that compare nothing with it can do without.
                _raise_what_ends_all(error)
                lacking = error
        if not self.fetch:
            self.absent.update({f"the data set {found.name}": None for found in absent_sets(recipe)})
            self.absent.update({f"the data set {name}": None for name in absent_hub_sets(recipe)})
            self.absent.update({f"the data of lm-eval's {name}": None for name in absent_tasks(recipe)})
        held_out = None if solutions is None else ReferenceRollouts(expert, solutions, recipe.sampling)
        measured = tuple(self._measured(recipe, evaluation, problems) for evaluation in recipe.evaluations)
        others = {name: self._model(reference) for name, reference in (recipe.models or {}).items()}
        validation = self._validation(recipe, measured[0], problems)
        return _Builder(
            recipe, arms, expert, amateur, derived, others, problems, held_out, measured, validation, lacking
        )

    def _measured(self, recipe: Recipe, evaluation: Evaluation, problems: Problems | None) -> _Measured:
        find = measured_items if self.fetch else expected_items
        items = self._once(evaluation, lambda: find(evaluation, self.data_root))
        repeats = self._repeats(recipe, evaluation, items, problems)
        return _Measured(measured_benchmarks(evaluation), evaluation.engine, items, repeats)

    def _validation(self, recipe: Recipe, measured: _Measured, problems: Problems | None) -> _Measured | None:
        """What points are chosen on, where they are."""
        asked, data = recipe.evaluation.select_on, recipe.data
        if asked is None:
            return None
        count, suite = asked.validation, measured.benchmarks
        here = self.fetch or not self._is_absent(data)

        def find() -> tuple[Problems, tuple[Benchmark, ...], tuple[ItemSet, ...]]:
            if here:
                found = load_validation(data, count, self.used, self.data_root, self.fetch)
            else:
                found = expected_validation(data, count, self.used)
            self.overlaps.update(overlaps(data, found, suite, measured.items))
            return found, *validation_benchmarks(data, found, suite, self.data_root, self.fetch)

        # All points have the same.
        _, benchmarks, items = self._once(("validation", count), find)
        repeats: list[Repeats | None] = [None] * len(items)
        if problems is not None and here:
            repeats = self._once(
                ("validation", data), lambda: [repeats_in_validation(data, own, problems) for own in items]
            )
        return _Measured(benchmarks, measured.engine, items, repeats)

    def _repeats(
        self, recipe: Recipe, evaluation: Evaluation, items: tuple[ItemSet, ...], problems: Problems | None
    ) -> list[Repeats | None]:
        benchmarks = measured_benchmarks(evaluation)
        if problems is None or (not self.fetch and self._is_absent(recipe.data)):
            return [None] * len(benchmarks)

        def count() -> list[Repeats | None]:
            return [repeats_of(*measured, problems) for measured in zip(benchmarks, items, strict=True)]

        found: list[Repeats | None] = self._once((recipe.data, evaluation), count)
        return found

    def _once(self, what: Any, find: Callable[[], Any]) -> Any:
        """What `find` gives, or the error that it raises, asked for once."""
        if what not in self.found:
            try:
                self.found[what] = find()
            except LrbenchError as error:
                self.found[what] = error
        if isinstance(self.found[what], LrbenchError):
            raise self.found[what]
        return self.found[what]

    def _amateur(
        self, recipe: Recipe, expert: LocatedModel, problems: Problems | None
    ) -> tuple[LocatedModel | None, DerivedAmateur | None]:
        """The amateur, and the stage that makes it where it is derived from the expert."""
        amateur, name = recipe.pair.amateur, recipe.pair.amateur_name
        if amateur is None or name is None:
            return None, None
        if amateur.derive is None:
            reference = ModelReference(model=name, revision=amateur.revision, dtype=amateur.dtype)
            return self._model(reference), None
        assert problems is not None
        derived = DerivedAmateur(expert, GreedyRollouts(expert, problems, recipe.sampling), amateur.derive)
        return derived.amateur(name, amateur.dtype), derived

    def _model(self, reference: ModelReference) -> LocatedModel:
        def find() -> LocatedModel:
            return locate(reference, self.hashes) if self.fetch else expect(reference, self.hashes)

        found: LocatedModel = self._once(reference, find)
        if not found.here:
            self.absent[f"the model {found.name}"] = None
        return found

    def _problems(self, data: Data) -> tuple[Problems, Problems | None]:
        def find() -> tuple[Problems, Problems | None]:
            if not self.fetch and self._is_absent(data):
                return expected_problems(data)
            held_out = load_held_out(data, self.data_root, self.fetch) if data.held_out else None
            return load_problems(data, self.data_root, self.fetch), held_out

        found: tuple[Problems, Problems | None] = self._once(data, find)
        return found

    def _is_absent(self, data: Data) -> bool:
        return any(is_absent(source, self.data_root) for source in data.sources)


def _raise_what_ends_all(error: LrbenchError) -> None:
    if ends_run(error):
        raise error


@dataclass(frozen=True)
class _Measured:
    """`repeats` says of each benchmark how many of its items are learnt from, where that was counted."""

    benchmarks: tuple[Benchmark, ...]
    engine: EngineChoice
    items: tuple[ItemSet, ...]
    repeats: Sequence[Repeats | None]


@dataclass(frozen=True)
class _Builder:
    """`measured` is the first suite and, where there is one, the second; `validation` is for choosing points.

    `lacking` is why there is no amateur, where arms need one that cannot be had.
    """

    recipe: Recipe
    arms: tuple[Arm, ...]
    expert: LocatedModel
    amateur: LocatedModel | None
    derived: DerivedAmateur | None
    others: Mapping[str, LocatedModel]
    problems: Problems | None
    held_out: ReferenceRollouts | None
    measured: tuple[_Measured, ...]
    validation: _Measured | None
    lacking: LrbenchError | None = None

    @property
    def _sources(self) -> Sources:
        return Sources(self.recipe, self.expert, self.problems, self._reader)

    def plan(self, arm: Arm) -> ArmPlan:
        """The plan of one of the arms."""
        adapter = self._adapter(arm)
        readers = tuple(map(self._reader, sorted(arm.answer.models - {OWN})))
        fidelity = arm.fidelity.at(BenchmarkScore.name)
        answered_by = AnsweredBy(arm.answer, readers, fidelity, self._edited(arm))
        measure = self.recipe.measure or Measure()
        drawn, traced = measure.draws, measure.traces
        rows = self.recipe.runtime.batch_size

        def scores(measured: _Measured) -> tuple[BenchmarkScore, ...]:
            benchmarks, engine = measured.benchmarks, measured.engine
            repeats = measured.repeats if adapter is not None else [None] * len(benchmarks)
            return tuple(
                (BenchmarkScore if benchmark.tasks is None else TaskScore)(
                    arm.name,
                    self.expert,
                    adapter,
                    benchmark,
                    items,
                    engine,
                    answered_by,
                    seen,
                    drawn,
                    traced,
                    rows,
                )
                for benchmark, items, seen in zip(benchmarks, measured.items, repeats, strict=True)
            )

        first, *second = map(scores, self.measured)
        seed = self.recipe.seed if arm.is_random else None
        return ArmPlan(
            title=arm.name,
            arm=arm,
            recipe=self.recipe,
            expert=self.expert,
            amateur=self.amateur,
            adapter=adapter,
            seed=seed,
            point={},
            evaluations=(first,),
            answered_by=answered_by,
            second=tuple(second) or ((),),
            validation=() if self.validation is None else scores(self.validation),
        )

    def _edited(self, arm: Arm) -> EditedModel | None:
        """The stage that makes the arm's own model where it is the expert with other weights."""
        if arm.edit is None:
            return None
        assert self.problems is not None
        rollouts = GreedyRollouts(self.expert, self.problems, self.recipe.sampling)
        return EditedModel(self.expert, rollouts, arm.edit)

    def _reader(self, name: str) -> Reader:
        """A model that an answer reads, by the name under which it speaks of it."""
        model, adapter = self._read(name)
        return Reader(name, model, adapter, made_by=self.derived if name == AMATEUR else None)

    def _read(self, name: str) -> tuple[LocatedModel, TrainedAdapter | None]:
        """A model by the name under which components speak of it, and the adapter that it has on."""
        other = name.removeprefix(ARM)
        if other == name:
            return self._located(name), None
        return self.expert, self._adapter(next(arm for arm in self.arms if arm.name == other))

    def _adapter(self, arm: Arm) -> TrainedAdapter | None:
        if arm.ingredients is None:
            return None
        ingredients = completed(arm, self.arms, self.recipe.seed)
        fidelity = arm.fidelity
        policy = ingredients.objective.policy
        rollouts = self._sources.rollouts(ingredients.source, fidelity.at(GreedyRollouts.name), policy)
        scored = fidelity.at(PairScores.name)
        readings = tuple(
            (reading, self._scores(reading, rollouts, scored)) for reading in sorted(ingredients.readings)
        )
        continued = tuple(
            (continuing, self._continuations(continuing, ingredients.source, rollouts, dict(readings)))
            for continuing in ingredients.continuings
        )
        samples = ArmSamples(rollouts, readings, ingredients, fidelity.at(ArmSamples.name), continued)
        kind = TrainedAdapter
        if ingredients.objective.writes:
            kind = RewritingAdapter if policy is None else PolicyAdapter
        start = self._adapter_of(arm.start)
        return kind(
            arm.name,
            self.expert,
            samples,
            arm.training,
            self.recipe.seed,
            self.held_out,
            self._adapter_of(arm.training.budget.match),
            fidelity.at(TrainedAdapter.name),
            start,
            None if ingredients.objective.preference is None else ReferenceLogP(self.expert, rollouts, start),
        )

    def _continuations(
        self,
        continuing: Continuing,
        source: Source,
        rollouts: RolloutSource,
        scores: Mapping[Reading, PairScores],
    ) -> Continuations:
        """What becomes of rollouts, judged by the answer of the problem where that has chosen them."""
        tried_by = None if continuing.reading is None else scores[continuing.reading]
        return Continuations(self.expert, rollouts, continuing, source.is_right, tried_by)

    def _scores(self, reading: Reading, rollouts: RolloutSource, fidelity: Fidelity) -> PairScores:
        """What the two models of a reading make of the rollouts; the scripts know the recipe's pair alone."""
        (first, first_adapter), (second, second_adapter) = map(self._read, reading)
        derived = self.derived if AMATEUR in reading else None
        # How tokens are aligned is said of the recipe's own pair.
        least_mass = self.recipe.pair.needed_mass if reading == PAIR else None
        return PairScores(
            first,
            second,
            rollouts,
            self.recipe.divergence.alpha_min,
            derived,
            least_mass,
            (first_adapter, second_adapter),
            fidelity if reading == PAIR else CORRECTED,
        )

    def _located(self, name: str) -> LocatedModel:
        """A model that is no arm's, by the name under which components speak of it."""
        if name == EXPERT or name in MOVING:
            return self.expert
        if name != AMATEUR:
            return self.others[name]
        if self.lacking is not None:
            raise self.lacking
        assert self.amateur is not None
        return self.amateur

    def _adapter_of(self, name: str | None) -> TrainedAdapter | None:
        """The adapter of the arm called `name`."""
        return next((self._adapter(arm) for arm in self.arms if arm.name == name), None)


def with_inputs(stage: Stage) -> Iterator[Stage]:
    """The stage with everything behind it, inputs first; a stage may come more than once."""
    for needed in stage.inputs.values():
        yield from with_inputs(needed)
    yield stage
