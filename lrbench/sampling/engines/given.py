"""Answers that begin with given tokens, written by whatever engine there is."""

from __future__ import annotations

from collections.abc import Sequence

from lrbench.sampling.engines.answered import GIVEN, Answered
from lrbench.sampling.engines.base import Decoding, Engine, Request


class GivenEngine(Engine):
    """Every completion begins with the tokens `given`, and another engine goes on after them.

    They are part of the completion, and count among its tokens; a completion with less room is cut short.
    """

    def __init__(self, engine: Engine, given: Sequence[int]) -> None:
        self.engine = engine
        self.given = tuple(given)
        self.name = engine.name
        self.rules = engine.rules

    @property
    def title(self) -> str:
        """That of the engine that goes on."""
        return self.engine.title

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """As many as the engine that goes on."""
        return self.engine.rows_at_once(requests)

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        """One completion per request, in the given order."""
        return [answered.completion for answered in self.answer_requests(requests, decoding)]

    def answer_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[Answered]:
        """One answer per request, in the given order; what is given took no forward pass."""
        answers = [self._begun(request) for request in requests]
        left = {
            index: Request(request.prompt + self.given, room, request.seed)
            for index, request in enumerate(requests)
            if (room := request.max_new_tokens - len(self.given)) > 0
        }
        written = self.engine.answer_requests(list(left.values()), decoding)
        for index, answered in zip(left, written, strict=True):
            answers[index] = answers[index].then(answered)
        return answers

    def log_probabilities_of(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Those of the engine that goes on, also of what is given."""
        return self.engine.log_probabilities_of(prompts, completions)

    def _begun(self, request: Request) -> Answered:
        given = self.given[: request.max_new_tokens]
        return Answered(given, (GIVEN,) * len(given))
