"""Answers of the arm's own model that a better one takes over, where what was written asks for it.

The settings of `take_over` are those published with Speculative Thinking (arXiv 2504.12329).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from lrbench.methods.answer import OWN, Answer, Count, ModelName
from lrbench.methods.section import Section

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]


class Cues(Section):
    """Texts that say what a paragraph is about to do, in letters of any case: affirm, doubt or check."""

    affirm: Texts = ("yeah", "yes", "final answer", "confident")
    reflect: Texts = ("wait", "alternatively", "hold on", "another")
    verify: Texts = ("verify", "think again", "recap", "check")

    def mood(self, text: str) -> int:
        """1 where a text affirms, -1 where it doubts or checks at least as often, 0 where it does neither."""
        lower = text.lower()
        affirmed = sum(lower.count(cue.lower()) for cue in self.affirm)
        doubted = sum(lower.count(cue.lower()) for cue in (*self.reflect, *self.verify))
        return 0 if affirmed == doubted == 0 else 1 if affirmed > doubted else -1

    def verifies(self, text: str) -> bool:
        """Whether a text is about to check something."""
        return any(cue.lower() in text.lower() for cue in self.verify)


class Recap(Section):
    """After so many doubting paragraphs the other model looks back, beginning with a given `text`.

    It does so `after` 15 of them for 125 `tokens`; each time it takes `later` more of them, up to `latest`,
    and it has `more` tokens, up to `most`.
    """

    text: str = "Let me check whether there are some wrong steps:"
    after: Count = 15
    later: Annotated[int, Field(ge=0)] = 5
    latest: Count = 30
    tokens: Count = 125
    more: Annotated[int, Field(ge=0)] = 25
    most: Count = 200


class TakingOver(Section):
    """The model `by` takes over at paragraphs, which `after` ends, by what the next one is about to do.

    The first `draft` tokens of a paragraph are looked at. Where they hold one of the `cues`, `by` writes as
    many in their place; where those check something, also the next `verify` tokens. `recap` null never looks
    back.
    """

    by: ModelName
    after: Text = "\n\n"
    cues: Cues = Cues()
    draft: Count = 20
    verify: Count = 125
    recap: Recap | None = Recap()


class TakeOver(Answer):
    """The arm's own model, until it affirms, doubts or checks something: another one writes that."""

    word: ClassVar[str] = "take_over"
    drawn: ClassVar[bool] = True

    take_over: TakingOver

    @property
    def in_turns(self) -> bool:
        """They do."""
        return True

    @property
    def models(self) -> frozenset[str]:
        """The arm's own and the other."""
        return frozenset({OWN, self.take_over.by})

    @property
    def label(self) -> str:
        """For people: `teacher at cues`."""
        return f"{self.take_over.by} at cues"


class Rewriting(Section):
    """A step, which ends with `after`, is written anew by the model `by` where that finds it unlikely.

    It is where the mean of its tokens' log p under `by` is below `below`, in nats.
    """

    by: ModelName
    below: float
    after: Text = "\n\n"


class Rewrite(Answer):
    """The arm's own model step by step; a step that another one finds unlikely is written anew by that."""

    word: ClassVar[str] = "rewrite"
    drawn: ClassVar[bool] = True

    rewrite: Rewriting

    @property
    def in_turns(self) -> bool:
        """They do."""
        return True

    @property
    def models(self) -> frozenset[str]:
        """The arm's own and the other."""
        return frozenset({OWN, self.rewrite.by})

    @property
    def label(self) -> str:
        """For people: `teacher where its mean log p of a step < -1`."""
        return f"{self.rewrite.by} where its mean log p of a step < {self.rewrite.below:g}"
