"""What a plan is: the stages of every different model that a recipe asks for, and what stands beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from lrbench.evaluation.repeats import Repeats
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.failures import Cause
from lrbench.pipeline.stages.answering import AnsweredBy
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.validation import (
    overlap_text,
)
from lrbench.recipe.arms import Arm
from lrbench.recipe.expanding import Variant
from lrbench.recipe.schema import Recipe
from lrbench.results.identity import model_of
from lrbench.results.selection import Selection
from lrbench.store.keys import stable_hash


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


def with_inputs(stage: Stage) -> Iterator[Stage]:
    """The stage with everything behind it, inputs first; a stage may come more than once."""
    for needed in stage.inputs.values():
        yield from with_inputs(needed)
    yield stage
