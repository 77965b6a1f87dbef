"""Shapes: what is made of a written answer before it is learnt from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from lrbench.methods.component import Component
from lrbench.methods.families import Family


class Shape(Component):
    """Base of all shapes."""

    @property
    def needs_answers(self) -> bool:
        """Whether it compares what is written with the answers of the training problems."""
        return False


class Prune(Shape):
    """Without the sentences whose numbers nothing that is left goes on from: checks, dead ends."""

    word: ClassVar[str] = "prune"


class Equations(Shape):
    """The equations alone, one a line, and the final answer."""

    word: ClassVar[str] = "equations"


class AnswerOnly(Shape):
    """The final answer alone."""

    word: ClassVar[str] = "answer_only"


class Correction(Shape):
    """Right answers behind a wrong one to the same problem, which is read and not learnt."""

    word: ClassVar[str] = "correction"

    @property
    def needs_answers(self) -> bool:
        """They say what is wrong and what is right."""
        return True


class LongerThan(Shape):
    """Whole answers of more than `longer_than` tokens, shorter ones left out."""

    word: ClassVar[str] = "longer"

    longer_than: Annotated[int, Field(ge=1, le=10**15)]

    @property
    def label(self) -> str:
        """For people: `longer than 12`."""
        return f"longer than {self.longer_than}"


SHAPES: tuple[type[Shape], ...] = (Prune, Equations, AnswerOnly, Correction, LongerThan)

SHAPE = Family(SHAPES)
AnyShape = Annotated[Shape, SHAPE]
