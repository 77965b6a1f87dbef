"""Training by rewards for what the model in training writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from lrbench.methods.rewards import GroupPolicy
from lrbench.pipeline.stages.online import OnlineAdapter
from lrbench.pipeline.stages.solutions import CheckedSolutions
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.pipeline.stages.writing_groups import Groups


@dataclass(frozen=True)
class PolicyAdapter(OnlineAdapter):
    """The LoRA adapter of an arm that answers problems in groups, and is rewarded for right answers."""

    @property
    def policy(self) -> GroupPolicy:
        """How much is written, and what is rewarded."""
        policy = self.samples.ingredients.objective.policy
        assert policy is not None
        return policy

    @property
    def drawable(self) -> int:
        """Those that have an answer to check by."""
        return len(self._source.problems.answerable)

    @property
    def _source(self) -> CheckedSolutions:
        # Groups are rewarded by the answers of problems; recipes are held to that.
        return cast("CheckedSolutions", self.samples.rollouts)

    @property
    def completions_per_update(self) -> float:
        """A group for each problem that is drawn."""
        return self.policy.completions

    @property
    def rereadings(self) -> int:
        """Where the divergence from the expert counts, the expert reads; and whose certainty counts does."""
        return int(self.policy.kl > 0) + int(self.policy.entropy_top < 1)

    def along(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, problems: int | None
    ) -> Groups:
        """Groups of answers to those of the problems that have one to check by."""
        from lrbench.pipeline.stages.writing_groups import Groups

        return Groups(
            self._source, self.samples.ingredients, self.policy, draft, workspace, self.seed, problems
        )
