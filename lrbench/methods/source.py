"""What all sources have in common: they say where the rollouts come from that an arm learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrbench.methods.component import EXPERT, Component

# The names of stages that give rollouts.
GREEDY_STAGE, CHECKED_STAGE, REFERENCE_STAGE = "rollouts", "solutions", "reference"
WRITTEN_STAGE, AGREED_STAGE = "written", "agreed"
# Of those that read the rollouts of other stages, and have no model write.
SHAPED_STAGE, MIXED_STAGE, PAIRS_STAGE = "shaped", "mixed", "pairs"
# Of those that go on from the rollouts of others: at steps, and where lines stood.
CONTINUED_STAGE, SHORTENED_STAGE = "continuations", "shortenings"
CONTINUING = frozenset({CONTINUED_STAGE, SHORTENED_STAGE})
# Of those that say of every step what selectors go by, besides scores.
ATTEMPTS_STAGE = "attempts"
SEEN = frozenset({CONTINUED_STAGE, ATTEMPTS_STAGE})
WRITING = frozenset({GREEDY_STAGE, CHECKED_STAGE, REFERENCE_STAGE, WRITTEN_STAGE, AGREED_STAGE})


class Source(Component):
    """Base of all sources."""

    @property
    def stage(self) -> str:
        """The name of the stage that gives its rollouts."""
        raise NotImplementedError

    @property
    def label_field(self) -> str | None:
        """The field of a training problem that it cannot do without; None where it uses no label."""
        return None

    @property
    def is_right(self) -> bool:
        """Whether its rollouts were kept since their answers are right."""
        return False

    @property
    def draws(self) -> bool:
        """Whether solutions are sampled, as `sampling.solutions` has it but for what the source says."""
        return False

    @property
    def by_learner(self) -> bool:
        """Whether the expert writes them, so that the model in training can write them anew."""
        return False

    @property
    def first_problems(self) -> int | None:
        """How many of the training problems it takes, from the first one on; None for all."""
        return None

    @property
    def parts(self) -> tuple[Source, ...]:
        """The sources that it is mixed of; itself where it is not."""
        return (self,)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: the stage that makes the rollouts has an identity of its own."""
        return {}

    @property
    def models(self) -> frozenset[str]:
        """The expert, which writes the rollouts, or whose prompts come before them."""
        return frozenset({EXPERT})

    def unservable(self, engine: str) -> str | None:
        """Why the engine called `engine` cannot write its rollouts; None where it can."""
        return None
