"""From the arms of one variant of a recipe to their plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrbench.errors import LrbenchError
from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.repeats import Repeats
from lrbench.methods.answers import OWN
from lrbench.methods.attempts import Parting
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.continued import Continuing
from lrbench.methods.fidelity import CORRECTED, Fidelity
from lrbench.methods.learner import MOVING
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.source import Source
from lrbench.models.source import LocatedModel
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.sourcing import Sources
from lrbench.pipeline.stages.answering import AnsweredBy, Reader
from lrbench.pipeline.stages.attempts import Attempts
from lrbench.pipeline.stages.continuations import Continuations
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.editing import EditedModel
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.named_tasks import TaskScore
from lrbench.pipeline.stages.pairs import ReferenceLogP
from lrbench.pipeline.stages.policy import PolicyAdapter
from lrbench.pipeline.stages.rewriting import RewritingAdapter
from lrbench.pipeline.stages.rollouts import GreedyRollouts, ReferenceRollouts, RolloutSource
from lrbench.pipeline.stages.routers import TrainedRouter
from lrbench.pipeline.stages.samples import ArmSamples, PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.recipe.arms import Arm, completed
from lrbench.recipe.measuring import Measure
from lrbench.recipe.schema import EngineChoice, Recipe
from lrbench.recipe.writing import labelled_by
from lrbench.sampling.problems import Problems
from lrbench.suites.suite import Benchmark


@dataclass(frozen=True)
class Measured:
    """`repeats` says of each benchmark how many of its items are learnt from, where that was counted."""

    benchmarks: tuple[Benchmark, ...]
    engine: EngineChoice
    items: tuple[ItemSet, ...]
    repeats: Sequence[Repeats | None]


@dataclass(frozen=True)
class ArmPlans:
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
    measured: tuple[Measured, ...]
    validation: Measured | None
    lacking: LrbenchError | None = None

    @property
    def _sources(self) -> Sources:
        return Sources(self.recipe, self.expert, self.problems, self._reader)

    def plan(self, arm: Arm) -> ArmPlan:
        """The plan of one of the arms."""
        adapter = self._adapter(arm)
        readers = tuple(map(self._reader, sorted(arm.answer.models - {OWN})))
        fidelity = arm.fidelity.at(BenchmarkScore.name)
        answered_by = AnsweredBy(arm.answer, readers, fidelity, self._edited(arm), self._router(arm, adapter))
        measure = self.recipe.measure or Measure()
        drawn, traced = measure.draws, measure.traces
        weighed_by = None if measure.weighed_by is None else self.others[measure.weighed_by]
        rows = self.recipe.runtime.batch_size

        def scores(measured: Measured) -> tuple[BenchmarkScore, ...]:
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
                    weighed_by,
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

    def _router(self, arm: Arm, adapter: TrainedAdapter | None) -> TrainedRouter | None:
        """The stage that teaches what routes the arm's tokens, where that is learnt."""
        if arm.answer.learnt is None:
            return None
        to, router = arm.answer.learnt
        # The other model writes, and the arm's own would have written something else.
        reading = (to, EXPERT if adapter is None else ARM + arm.name)
        rollouts = self._sources.rollouts(labelled_by(to), CORRECTED)
        other, scores = self._reader(to), self._scores(reading, rollouts, CORRECTED)
        writer = None if to == EXPERT else other
        continuations = Continuations(
            self.expert, rollouts, router.continuing(reading), checked=False, scores=scores, writer=writer
        )
        return TrainedRouter(self.expert, adapter, other, continuations, router, self.recipe.seed)

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
        continuing: Continuing | Parting,
        source: Source,
        rollouts: RolloutSource,
        scores: Mapping[Reading, PairScores],
    ) -> Continuations | Attempts:
        """What becomes of rollouts, judged by the answer of the problem where that has chosen them."""
        if isinstance(continuing, Parting):
            return Attempts(self.expert, rollouts, continuing, source.is_right)
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
