"""Shapes: what is made of a written answer before it is learnt from."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_serializer

from lrbench.methods.component import Component
from lrbench.methods.continued import Continuing
from lrbench.methods.families import Family

Way = Literal["lines", "end"]
Count = Annotated[int, Field(ge=1, le=10**15)]


class Shape(Component):
    """Base of all shapes."""

    @property
    def needs_answers(self) -> bool:
        """Whether it compares what is written with the answers of the training problems."""
        return False

    @property
    def ends_right(self) -> bool:
        """Whether answers in this shape end with the right one, whatever they were before."""
        return False

    @property
    def shortening(self) -> Shortening | None:
        """What of the answers is tried before it is known what is left of them, where something is."""
        return None


class Shortening(Continuing):
    """Which shorter answers are tried, at which lines, and how far the expert goes on from their beginnings.

    `way` is `lines`, each by itself, or the `end` from a line on. Every `stride`-th line is tried, and of all
    these no more than `cap`.
    """

    way: Way

    @property
    def label(self) -> str:
        """For people: `lines`, or `ends, every 4 lines`."""
        tried = "lines" if self.way == "lines" else "ends"
        return tried if self.stride == 1 else f"{tried}, every {self.stride} lines"


class Prune(Shape):
    """Without the sentences whose numbers nothing that is left goes on from: checks, dead ends."""

    word: ClassVar[str] = "prune"


class PruneByTrying(Shape):
    """Without the lines that the expert comes to the same answer without: it goes on from where they stood.

    `prune: lines` tries line after line, and `prune: end` all lines from one on, by halving. A shorter
    answer is begun up to its first token that is another one than that of the longer, and the expert writes
    at most `tokens` more, null for as many as an answer may have. It has to come to the right answer where
    answers were chosen by that, and else to that of the whole. Every `stride`-th line is tried, of all no
    more than `cap`; what is not tried stays.
    """

    word: ClassVar[str] = "prune_by_trying"

    prune: Way
    tokens: Count | None = None
    stride: Count | None = None
    cap: Count | None = None

    @model_serializer(mode="wrap")
    def _given(self, handler: Any) -> Any:
        # A stride of 1 is what is tried where nothing is said.
        return {
            name: value
            for name, value in handler(self).items()
            if value is not None and (name, value) != ("stride", 1)
        }

    @property
    def label(self) -> str:
        """For people: `prune lines by trying`."""
        return f"prune {self.shortening.label} by trying"

    @property
    def shortening(self) -> Shortening:
        """With nothing left open."""
        return Shortening(way=self.prune, tokens=self.tokens, stride=self.stride or 1, cap=self.cap)


class Equations(Shape):
    """The equations alone, one a line, and the final answer."""

    word: ClassVar[str] = "equations"


class AnswerOnly(Shape):
    """The final answer alone."""

    word: ClassVar[str] = "answer_only"


class Corrected(Shape):
    """Base of shapes that take right answers and wrong ones, and end with a right one."""

    @property
    def needs_answers(self) -> bool:
        """They say what is wrong and what is right."""
        return True

    @property
    def ends_right(self) -> bool:
        """They do."""
        return True


class Correction(Corrected):
    """Right answers behind a wrong one to the same problem, which is read and not learnt."""

    word: ClassVar[str] = "correction"


class WithAttempts(Corrected):
    """Right answers as they are, and wrong ones, of which it is then said so, with a right one behind.

    All of it is one answer, of which every token can be learnt.
    """

    word: ClassVar[str] = "attempts"


class LongerThan(Shape):
    """Whole answers of more than `longer_than` tokens, shorter ones left out."""

    word: ClassVar[str] = "longer"

    longer_than: Annotated[int, Field(ge=1, le=10**15)]

    @property
    def label(self) -> str:
        """For people: `longer than 12`."""
        return f"longer than {self.longer_than}"


SHAPES: tuple[type[Shape], ...] = (
    Prune,
    PruneByTrying,
    Equations,
    AnswerOnly,
    Correction,
    WithAttempts,
    LongerThan,
)

SHAPE = Family(SHAPES)
AnyShape = Annotated[Shape, SHAPE]
