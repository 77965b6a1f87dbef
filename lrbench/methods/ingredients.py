"""What an arm learns from and how: source x selector x target x objective x change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from lrbench.methods.arrays import np
from lrbench.methods.attempts import Parting
from lrbench.methods.changes import AnyChange, LowRank
from lrbench.methods.continued import Continuing
from lrbench.methods.objectives import AnyObjective, Distance, Forward
from lrbench.methods.readings import Reading, Support
from lrbench.methods.section import Section
from lrbench.methods.selectors import AnySelector
from lrbench.methods.sources import AnySource
from lrbench.methods.targets import AnyTarget, Targets

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Thresholds(Protocol):
    """What a recipe's `divergence` says of components that leave it open."""

    @property
    def alpha(self) -> float: ...

    @property
    def beta(self) -> float: ...


class Ingredients(Section):
    """The components of a trained arm. What a selector or target leaves to the recipe is open in it."""

    source: AnySource
    selector: AnySelector
    target: AnyTarget
    objective: AnyObjective = Forward()
    change: AnyChange = LowRank()

    @property
    def readings(self) -> frozenset[Reading]:
        """The views of the steps that have to be scored before anything can be learnt."""
        return self.selector.readings | self.target.readings

    @property
    def continuings(self) -> tuple[Continuing | Parting, ...]:
        """What has to be found out of the rollouts before steps can be selected, in one order."""
        return tuple(sorted(self.selector.continuings, key=lambda each: each.view))

    @property
    def models(self) -> frozenset[str]:
        """Every model that is read while the arm learns, by name."""
        return self.source.models | self.selector.models | self.target.models

    @property
    def needs_scores(self) -> bool:
        """Whether a second model has to be run at all."""
        return bool(self.readings)

    @property
    def thresholds(self) -> frozenset[str]:
        """The fields of `divergence` that the components take settings from."""
        return self.selector.thresholds | self.target.thresholds

    @property
    def distance(self) -> Distance | None:
        """What training makes small at a kept step; None for KL(target || model)."""
        return self.objective.distance(self.target)

    @property
    def of_targets(self) -> Mapping[str, Any]:
        """What the objective changes about them, as the identity of samples has it."""
        return {"rest": "counted"} if self.objective.counts_the_rest and self.target.covers else {}

    def targets(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """What is learnt at the kept steps: the target's `distributions`, or `outcomes` for the objective."""
        target = self.target
        find = target.outcomes if self.objective.counts_the_rest else target.distributions
        return find(own_ids, kept, scores)

    def completed(self, thresholds: Thresholds) -> Ingredients:
        """With the recipe's thresholds where the components have none of their own."""
        alpha, beta = thresholds.alpha, thresholds.beta
        return self.model_copy(
            update={"selector": self.selector.completed(beta), "target": self.target.completed(alpha)}
        )
