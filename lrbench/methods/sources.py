"""Sources: where the rollouts come from that an arm learns from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from lrbench.methods.families import Family
from lrbench.methods.pairs import Chosen, RightWrong
from lrbench.methods.source import CHECKED_STAGE, GREEDY_STAGE, REFERENCE_STAGE, Source
from lrbench.methods.writers import Mixture, Written


class Greedy(Source):
    """The expert's own greedy rollouts of at most `sampling.max_new_tokens` tokens."""

    word: ClassVar[str] = "greedy"

    @property
    def stage(self) -> str:
        """That of greedy rollouts."""
        return GREEDY_STAGE

    @property
    def by_learner(self) -> bool:
        """The expert writes them."""
        return True


class Solutions(Source):
    """Full solutions that the expert samples, those whose answer is right."""

    word: ClassVar[str] = "solutions"

    @property
    def stage(self) -> str:
        """That of checked solutions."""
        return CHECKED_STAGE

    @property
    def by_learner(self) -> bool:
        """The expert writes them."""
        return True

    @property
    def label_field(self) -> str:
        """The answer, which says what is right."""
        return "answer"

    @property
    def is_right(self) -> bool:
        """They are."""
        return True

    @property
    def draws(self) -> bool:
        """They are sampled."""
        return True


class GroundTruth(Source):
    """The solutions of the data set itself."""

    word: ClassVar[str] = "ground_truth"

    @property
    def stage(self) -> str:
        """That of the reference solutions."""
        return REFERENCE_STAGE

    @property
    def label_field(self) -> str:
        """The solution."""
        return "solution"


SOURCES: tuple[type[Source], ...] = (
    Greedy,
    Solutions,
    GroundTruth,
    RightWrong,
    Chosen,
    Written,
    Mixture,
)

SOURCE = Family(SOURCES, base=Source, closed="rollouts are written and stored by lrbench's own stages")
AnySource = Annotated[Source, SOURCE]
