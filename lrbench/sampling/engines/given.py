"""Answers that begin with given tokens, written by whatever engine there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lrbench.sampling.engines.answered import GIVEN, Answered
from lrbench.sampling.engines.base import Decoding, Engine, Request
from lrbench.sampling.engines.wrapping import WrappingEngine


class GivenEngine(WrappingEngine):
    """Every completion begins with the tokens `given`, and another engine goes on after them.

    They are part of the completion, and count among its tokens; a completion with less room is cut short.
    """

    def __init__(self, engine: Engine, given: Sequence[int]) -> None:
        super().__init__(engine)
        self.given = tuple(given)

    def answer_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[Answered]:
        """One answer per request, in the given order; what is given took no forward pass."""
        answers = [self._begun(request) for request in requests]
        left = {
            index: rest
            for index, request in enumerate(requests)
            if (rest := after(request, self.given)) is not None
        }
        written = self.engine.answer_requests(list(left.values()), decoding)
        for index, answered in zip(left, written, strict=True):
            answers[index] = answers[index].then(answered)
        return answers

    def _begun(self, request: Request) -> Answered:
        given = self.given[: request.max_new_tokens]
        return Answered(given, (GIVEN,) * len(given))


def after(request: Request, given: Sequence[int]) -> Request | None:
    """What is left to ask once `given` tokens begin the completion; None where they fill it."""
    room = request.max_new_tokens - len(given)
    return replace(request, prompt=(*request.prompt, *given), max_new_tokens=room) if room > 0 else None
