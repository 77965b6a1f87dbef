"""From a recipe to the stages it needs, shared where they are the same work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lrbench.errors import DataError
from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.suites import SUITES
from lrbench.models.source import LocatedModel, locate
from lrbench.pipeline.data import measured_items
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.rollouts import CheckedSolutions, GreedyRollouts, ReferenceRollouts
from lrbench.pipeline.stages.samples import ArmSamples, PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.recipe.arms import Arm, resolve_arms
from lrbench.recipe.schema import Recipe
from lrbench.sampling.problems import Problems, load_held_out, load_problems
from lrbench.store.keys import FileHashes

HASH_CACHE = "file-hashes.json"


@dataclass(frozen=True)
class ArmPlan:
    """The stages that make and measure one arm; `adapter` is None for the untrained expert."""

    arm: Arm
    adapter: TrainedAdapter | None
    scores: tuple[BenchmarkScore, ...]

    def stages(self) -> Iterator[Stage]:
        """Every stage of the arm, inputs first; a stage may come more than once."""
        for score in self.scores:
            yield from _with_inputs(score)


@dataclass(frozen=True)
class Plan:
    """All the work of one recipe. `amateur` is None when no arm needs one."""

    recipe: Recipe
    expert: LocatedModel
    amateur: LocatedModel | None
    arms: tuple[ArmPlan, ...]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Every distinct stage, each after its inputs."""
        distinct = {stage.key: stage for arm in self.arms for stage in arm.stages()}
        return tuple(distinct.values())


def plan_recipe(recipe: Recipe, runs: Path) -> Plan:
    """The work `recipe` asks for. Hashes model files (once, cached under `runs`); loads no weights.

    Public data that is not here is fetched. Raises `ModelError` or `DataError` when a model or data
    cannot be found.
    """
    hashes = FileHashes(runs / HASH_CACHE)
    arms = resolve_arms(recipe)
    needs_amateur = any(arm.ingredients is not None and arm.ingredients.needs_scores for arm in arms)
    expert = locate(recipe.pair.expert, hashes)
    amateur = locate(recipe.pair.amateur, hashes) if needs_amateur and recipe.pair.amateur else None
    trained = any(arm.ingredients is not None for arm in arms)
    problems = load_problems(recipe.data, recipe.runtime.data_root) if trained else None
    held_out = None
    if trained and recipe.data.held_out:
        solutions = load_held_out(recipe.data, recipe.runtime.data_root)
        held_out = ReferenceRollouts(expert, solutions, recipe.sampling)
    builder = _Builder(recipe, arms, expert, amateur, problems, held_out, measured_items(recipe))
    return Plan(recipe, expert, amateur, tuple(builder.arm(arm) for arm in arms))


@dataclass(frozen=True)
class _Builder:
    recipe: Recipe
    arms: tuple[Arm, ...]
    expert: LocatedModel
    amateur: LocatedModel | None
    problems: Problems | None
    held_out: ReferenceRollouts | None
    items: tuple[ItemSet, ...]

    def arm(self, arm: Arm) -> ArmPlan:
        adapter = self._adapter(arm)
        suite = SUITES[self.recipe.evaluation.suite]
        engine = self.recipe.evaluation.engine
        scores = tuple(
            BenchmarkScore(arm.name, self.expert, adapter, suite, items, engine) for items in self.items
        )
        return ArmPlan(arm, adapter, scores)

    def _adapter(self, arm: Arm) -> TrainedAdapter | None:
        if arm.ingredients is None:
            return None
        rollouts = self._rollouts(arm.ingredients.source)
        scores = None
        if arm.ingredients.needs_scores:
            assert self.amateur is not None
            scores = PairScores(self.expert, self.amateur, rollouts, self.recipe.divergence.alpha_min)
        samples = ArmSamples(rollouts, scores, arm.ingredients, arm.divergence)
        return TrainedAdapter(
            arm.name,
            self.expert,
            samples,
            arm.training,
            self.recipe.seed,
            self.held_out,
            self._matched(arm.training.budget.match),
        )

    def _matched(self, name: str | None) -> TrainedAdapter | None:
        """The adapter of the arm called `name`, whose budget is taken."""
        return next((self._adapter(arm) for arm in self.arms if arm.name == name), None)

    def _rollouts(self, source: str) -> Stage:
        assert self.problems is not None
        labels = {"solutions": self.problems.answers, "ground_truth": self.problems.solutions}.get(source)
        if labels is not None and not any(labels):
            field = "answer" if source == "solutions" else "solution"
            raise DataError(
                f'{self.recipe.data.train}: no problem has an "{field}", which arms with the source {source} '
                "learn from; add them or leave those arms out"
            )
        if source == "greedy":
            return GreedyRollouts(self.expert, self.problems, self.recipe.sampling)
        if source == "solutions":
            return CheckedSolutions(self.expert, self.problems, self.recipe.sampling, self.recipe.seed)
        return ReferenceRollouts(self.expert, self.problems, self.recipe.sampling)


def _with_inputs(stage: Stage) -> Iterator[Stage]:
    for needed in stage.inputs.values():
        yield from _with_inputs(needed)
    yield stage
