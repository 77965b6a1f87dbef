"""Sources: where the rollouts come from that an arm learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from lrbench.methods.component import EXPERT, Component
from lrbench.methods.families import Family


class Source(Component):
    """Base of all sources.

    `stage` is the name of the stage that makes its rollouts. `label_field` is the field of a training problem
    that it cannot do without, None where it uses no label. `samples` says whether the expert writes several
    solutions, as `sampling.solutions` has it.
    """

    stage: ClassVar[str]
    label_field: ClassVar[str | None] = None
    samples: ClassVar[bool] = False

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: the stage that makes the rollouts has an identity of its own."""
        return {}

    @property
    def models(self) -> frozenset[str]:
        """The expert, which writes the rollouts, or whose prompts come before them."""
        return frozenset({EXPERT})


class Greedy(Source):
    """The expert's own greedy rollouts of at most `sampling.max_new_tokens` tokens."""

    word: ClassVar[str] = "greedy"
    stage: ClassVar[str] = "rollouts"


class Solutions(Source):
    """Full solutions that the expert samples, those whose answer is right."""

    word: ClassVar[str] = "solutions"
    stage: ClassVar[str] = "solutions"
    label_field: ClassVar[str | None] = "answer"
    samples: ClassVar[bool] = True


class GroundTruth(Source):
    """The solutions of the data set itself."""

    word: ClassVar[str] = "ground_truth"
    stage: ClassVar[str] = "reference"
    label_field: ClassVar[str | None] = "solution"


SOURCES: tuple[type[Source], ...] = (Greedy, Solutions, GroundTruth)

SOURCE = Family(SOURCES, base=Source, closed="rollouts are written and stored by lrbench's own stages")
AnySource = Annotated[Source, SOURCE]
