"""Answers that a better model takes over where what was written asks for it: at cues, or by a score."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from lrbench.methods.answer import OWN
from lrbench.methods.taking_over import Rewriting, TakingOver
from lrbench.sampling.engines.answered import GIVEN, Answered
from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.relays import Ids, Reading, Relay, Speech, Turn, spent, turn_seed
from lrbench.sampling.engines.repetition import Repetition

# At least so many of the last tokens are looked at for what ends a paragraph.
LOOKED_AT = 5


class Growing:
    """An answer as it is written by turns."""

    def __init__(self, request: Request, stops: Collection[int]) -> None:
        self.request = request
        self.answer = Answered()
        self._stops = stops
        self._turns = 0
        self._repeats = None if request.stop_repeats is None else Repetition(request.stop_repeats)

    @property
    def prompt(self) -> Ids:
        """All that is there: what was asked, and what was written."""
        return self.request.prompt + self.answer.completion

    @property
    def is_done(self) -> bool:
        """Whether its last token ends it, its room is full, or it repeats itself."""
        completion = self.answer.completion
        if len(completion) == self.request.max_new_tokens or completion[-1] in self._stops:
            return True
        return self._repeats is not None and self._repeats.ends(completion)

    def turn(
        self, by: str, tokens: int | None = None, until: Callable[[Sequence[int]], bool] | None = None
    ) -> Turn:
        """The next text, of at most so many `tokens`; None for as many as there is room for."""
        left = self.request.max_new_tokens - len(self.answer.completion)
        seed = turn_seed(self.request.seed, self._turns)
        self._turns += 1
        return Turn(by, self.prompt, left if tokens is None else min(left, tokens), seed, until)

    def add(self, part: Answered) -> None:
        """Go on with a text, or with as much of it as there is room for."""
        left = self.request.max_new_tokens - len(self.answer.completion)
        self.answer = self.answer.then(part.cut(min(left, len(part.completion))))

    def spend(self, part: Answered) -> None:
        """Count what it took to write a text that is no part of the answer."""
        self.answer = self.answer.then(spent(part))


@dataclass(frozen=True)
class Paragraphs:
    """Where paragraphs end: with the text `after`."""

    after: str
    speech: Speech

    def ends(self, written: Sequence[int]) -> bool:
        """Whether the text ends with the last of these tokens."""
        # A text has no more tokens than bytes.
        most = max(LOOKED_AT, len(self.after.encode()))
        return self.after in self.speech.decode(written[-most:])

    def first(self, written: Sequence[int]) -> int | None:
        """How many tokens it takes until one has ended; None where none has."""
        lengths = range(1, len(written) + 1)
        return next((length for length in lengths if self.ends(written[:length])), None)


@dataclass(frozen=True)
class AtCues:
    """How answers are written that another model takes over at cues; `stops` end them."""

    how: TakingOver
    speech: Speech
    stops: Collection[int]

    def begin(self, request: Request) -> Relay:
        """The answer to one request."""
        how, growing = self.how, Growing(request, self.stops)
        paragraphs = Paragraphs(how.after, self.speech)
        recap = how.recap
        doubts = 0
        patience, length = (0, 0) if recap is None else (recap.after, recap.tokens)
        while True:
            growing.add((yield growing.turn(OWN, until=paragraphs.ends)))
            at_end = True
            while at_end and not growing.is_done:
                if recap is not None and doubts >= patience:
                    words = tuple(self.speech.encode(recap.text)) if recap.text else ()
                    growing.add(Answered(words, (GIVEN,) * len(words)))
                    if not growing.is_done:
                        growing.add((yield growing.turn(how.by, length)))
                    doubts = 0
                    patience = min(patience + recap.later, recap.latest)
                    length = min(length + recap.more, recap.most)
                    break
                draft = yield growing.turn(OWN, how.draft)
                if how.cues.mood(self.speech.decode(draft.completion)) == 0:
                    # What the own model would go on with anyway, up to where it is to be looked at again.
                    ended = paragraphs.first(draft.completion)
                    growing.add(draft if ended is None else draft.cut(ended))
                    at_end = ended is not None
                    continue
                growing.spend(draft)
                instead = yield growing.turn(how.by, how.draft)
                growing.add(instead)
                text = self.speech.decode(instead.completion)
                doubts += how.cues.mood(text) < 0
                if how.cues.verifies(text) and not growing.is_done:
                    growing.add((yield growing.turn(how.by, how.verify)))
                break
            if growing.is_done:
                return growing.answer


@dataclass(frozen=True)
class ByScore:
    """How answers are written of which another model rewrites the steps it finds unlikely."""

    how: Rewriting
    speech: Speech
    stops: Collection[int]

    def begin(self, request: Request) -> Relay:
        """The answer to one request."""
        growing = Growing(request, self.stops)
        ends = Paragraphs(self.how.after, self.speech).ends
        while True:
            step = yield growing.turn(OWN, until=ends)
            likely = yield Reading(self.how.by, growing.prompt, step.completion)
            growing.spend(Answered(passes={self.how.by: 1}))
            if fmean(likely) < self.how.below:
                growing.spend(step)
                step = yield growing.turn(self.how.by, until=ends)
            growing.add(step)
            if growing.is_done:
                return growing.answer
