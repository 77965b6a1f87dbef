"""The stages that write what an arm learns from, as its source says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrbench.errors import DataError
from lrbench.methods.checks import Agreement, Anything
from lrbench.methods.fidelity import CORRECTED, Fidelity
from lrbench.methods.pairs import Paired
from lrbench.methods.rewards import GroupPolicy
from lrbench.methods.shapes import Shape
from lrbench.methods.source import Source
from lrbench.methods.writers import Mixture, Written
from lrbench.models.source import LocatedModel
from lrbench.pipeline.stages.agreed import AgreedRollouts
from lrbench.pipeline.stages.answering import Reader
from lrbench.pipeline.stages.pairs import PairedAnswers
from lrbench.pipeline.stages.rewritten import MixedRollouts, ShapedRollouts
from lrbench.pipeline.stages.rollouts import GreedyRollouts, ReferenceRollouts, RolloutSource
from lrbench.pipeline.stages.shortenings import Shortenings
from lrbench.pipeline.stages.solutions import CheckedSolutions
from lrbench.pipeline.stages.written import WrittenRollouts
from lrbench.recipe.schema import Recipe, Sampling
from lrbench.recipe.writing import sampling_of, written_out
from lrbench.sampling.problems import Problems


@dataclass(frozen=True)
class Sources:
    """Of one variant of a recipe; `reader` gives a model by the name under which a source speaks of it."""

    recipe: Recipe
    expert: LocatedModel
    problems: Problems | None
    reader: Callable[[str], Reader]

    def rollouts(
        self, source: Source, fidelity: Fidelity, policy: GroupPolicy | None = None
    ) -> RolloutSource:
        """Those of a source; with a `policy` they are written in groups, as it says."""
        given = fidelity if source.stage == GreedyRollouts.name else CORRECTED
        if isinstance(source, Paired):
            return self._paired(source, given)
        parts = tuple(self._part(part, given, policy) for part in source.parts)
        if not isinstance(source, Mixture) or len(parts) == 1:
            return parts[0]
        assert self.problems is not None
        shares = tuple(part.share for part in source.parts)
        sampling = sampling_of(source, self.recipe.sampling)
        return MixedRollouts(self.expert, self.problems, sampling, parts, shares, self.recipe.seed)

    def _paired(self, source: Paired, fidelity: Fidelity) -> RolloutSource:
        """Pairs of what both sides write."""
        chosen, rejected = (self._part(side, fidelity, None) for side in source.sides)
        problems = self._labelled(source)
        sampling = sampling_of(source, self.recipe.sampling)
        return PairedAnswers(
            self.expert, problems, sampling, chosen, rejected, source.at_most, self.recipe.seed
        )

    def _part(self, source: Source, fidelity: Fidelity, policy: GroupPolicy | None) -> RolloutSource:
        """The rollouts of one source that is no mixture."""
        problems = self._labelled(source)
        sampling = sampling_of(source, self.recipe.sampling)
        if policy is not None:
            solutions = sampling.solutions.model_copy(update=policy.sampling)
            sampling = sampling.model_copy(update={"solutions": solutions})
        if not isinstance(source, Written):
            return self._written(source.stage, None, problems, sampling, fidelity)
        whole = written_out(source, self.recipe.sampling)
        check = source.check
        rollouts = self._written(source.written_by, whole, problems, sampling, fidelity)
        if isinstance(check, Agreement):
            other, longest = self.reader(check.agree_with), whole.max_new_tokens or 0
            rollouts = AgreedRollouts(self.expert, problems, sampling, rollouts, other, check, longest)
        if source.shape is not None:
            rollouts = self._shaped(source, source.shape, problems, sampling, rollouts)
        return rollouts

    def _shaped(
        self, source: Written, shape: Shape, problems: Problems, sampling: Sampling, rollouts: RolloutSource
    ) -> ShapedRollouts:
        """Rollouts in a shape, of which shorter ones are judged by the answer where that has chosen them."""
        shortenings = None
        if shape.shortening is not None:
            shortenings = Shortenings(self.expert, rollouts, shape.shortening, source.is_right)
        return ShapedRollouts(self.expert, problems, sampling, rollouts, shape, shortenings)

    def _written(
        self, stage: str, source: Written | None, problems: Problems, sampling: Sampling, fidelity: Fidelity
    ) -> RolloutSource:
        """What is written, before a model has to agree with it and before it is shaped."""
        if stage == CheckedSolutions.name:
            return CheckedSolutions(self.expert, problems, sampling, self.recipe.seed)
        if stage == GreedyRollouts.name:
            return GreedyRollouts(self.expert, problems, sampling, fidelity)
        if stage == ReferenceRollouts.name or source is None:
            return ReferenceRollouts(self.expert, problems, sampling)
        writer = self.reader(source.writer)
        if isinstance(source.check, Agreement):
            source = source.model_copy(update={"check": Anything()})
        judge = None if source.accept is None else self.reader(source.accept.by)
        return WrittenRollouts(self.expert, problems, sampling, writer, source, self.recipe.seed, judge)

    def _labelled(self, source: Source) -> Problems:
        """The training problems that a source asks, of which some have the label that it needs."""
        problems = self._asked(source.first_problems)
        if source.label_field is not None and not any(problems.labels(source.label_field)):
            raise DataError(
                f'{self.recipe.data.label}: no problem has an "{source.label_field}", which arms with the '
                f"source {source.word} learn from; add them or leave those arms out"
            )
        return problems

    def _asked(self, first: int | None) -> Problems:
        """The training problems, or the first ones."""
        assert self.problems is not None
        if first is None or first >= len(self.problems.ids):
            return self.problems
        return self.problems.only(range(first))
