"""Training on rollouts that the model in training writes again every few updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrbench.pipeline.stages.online import OnlineAdapter
from lrbench.pipeline.stages.samples import input_name
from lrbench.pipeline.stages.tasks import Known, Scoring, Several, Task
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.pipeline.stages.writing_anew import Anew


@dataclass(frozen=True)
class RewritingAdapter(OnlineAdapter):
    """The LoRA adapter of an arm whose rollouts are written by the model in training itself.

    Other models read them as they are there, and selector and target make of them what they make of stored
    ones.
    """

    @property
    def problems_per_update(self) -> int:
        """As `training.rollouts_per_update` has it."""
        assert self.training.rollouts_per_update is not None
        return self.training.rollouts_per_update

    @property
    def drawable(self) -> int:
        """All that the source asks."""
        return self.samples.rollouts.size

    @property
    def completions_per_update(self) -> float:
        """As often as the source samples each problem."""
        return self.problems_per_update * self.samples.rollouts.samples_per_problem

    @property
    def completions_at_once(self) -> float:
        """Those of all updates until rollouts are written anew."""
        every = self.samples.ingredients.objective.rewritten_every
        assert every is not None
        return min(every, self.size) * self.completions_per_update

    def task(self, known: Known) -> Task:
        """Also what the models of every reading read."""
        written = super().task(known)
        assert isinstance(written, Several)
        rollouts = self.size * self.completions_per_update
        mean = self.samples.rollouts.mean_steps(known)
        per_shard = max(1, round(self.completions_at_once))
        scored = [
            Scoring((scores.expert, scores.amateur), rollouts, mean, per_shard)
            for _, scores in self.samples.readings
        ]
        return Several((*written.tasks, *scored))

    def along(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, problems: int | None
    ) -> Anew:
        """Rollouts of the first so many problems, and what their models make of them."""
        from lrbench.pipeline.stages.writing_anew import Anew

        every = self.samples.ingredients.objective.rewritten_every
        assert every is not None
        pairs = {}
        for reading, scores in self.samples.readings:
            ending = f" of {input_name(reading)}"
            own = {name.removesuffix(ending): each for name, each in inputs.items() if name.endswith(ending)}
            pairs[reading] = scores.pair(own, workspace)
        limits, training = self.limits(inputs)
        return Anew(
            self.samples,
            pairs,
            every,
            self.problems_per_update,
            training.updates,
            draft,
            workspace,
            self.seed,
            training.lora,
            limits.get("problems"),
        )
