"""What the plans of all variants are made of: models, problems and items, each found once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lrbench.errors import LrbenchError
from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.repeats import Repeats
from lrbench.methods.component import AMATEUR
from lrbench.models.source import LocatedModel, expect, locate
from lrbench.models.turn_marks import begin_turn_marks
from lrbench.pipeline.arm_plans import ArmPlans, Measured
from lrbench.pipeline.data import measured_items
from lrbench.pipeline.expecting import (
    absent_hub_sets,
    absent_sets,
    absent_tasks,
    expected_items,
    expected_problems,
    expected_validation,
)
from lrbench.pipeline.failures import ends_run
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.repeating import repeats_of
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.rollouts import GreedyRollouts, ReferenceRollouts
from lrbench.pipeline.validation import (
    overlaps,
    repeats_in_validation,
    validation_benchmarks,
)
from lrbench.recipe.arms import Arm, resolve_arms
from lrbench.recipe.schema import Data, Evaluation, ModelReference, Recipe
from lrbench.sampling.problem_sources import is_absent
from lrbench.sampling.problems import Problems, load_held_out, load_problems, load_validation
from lrbench.store.keys import FileHashes
from lrbench.suites.suite import Benchmark, measured_benchmarks


@dataclass(frozen=True)
class Materials:
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

    def _builder(self, recipe: Recipe, arms: tuple[Arm, ...]) -> ArmPlans:
        """What makes the plans of one variant's arms."""
        needs_amateur = any(AMATEUR in arm.models for arm in arms)
        trained = any(arm.ingredients or arm.edit or arm.answer.learnt for arm in arms)
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
        return ArmPlans(
            recipe, arms, expert, amateur, derived, others, problems, held_out, measured, validation, lacking
        )

    def _measured(self, recipe: Recipe, evaluation: Evaluation, problems: Problems | None) -> Measured:
        find = measured_items if self.fetch else expected_items
        items = self._once(evaluation, lambda: find(evaluation, self.data_root))
        repeats = self._repeats(recipe, evaluation, items, problems)
        return Measured(measured_benchmarks(evaluation), evaluation.engine, items, repeats)

    def _validation(self, recipe: Recipe, measured: Measured, problems: Problems | None) -> Measured | None:
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
        return Measured(benchmarks, measured.engine, items, repeats)

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
