"""Engines around another engine: what they do not change is that one's."""

from __future__ import annotations

from collections.abc import Sequence

from lrbench.sampling.engines.base import Decoding, Engine, Request


class WrappingEngine(Engine):
    """Asks another `engine`, whose name, rules and probabilities it has."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = engine.name
        self.rules = engine.rules
        self.adds = engine.adds

    @property
    def title(self) -> str:
        """That of the other engine."""
        return self.engine.title

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """As many as the other engine."""
        return self.engine.rows_at_once(requests)

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        """One completion per request, in the given order."""
        return [answered.completion for answered in self.answer_requests(requests, decoding)]

    def log_probabilities_of(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Those of the other engine."""
        return self.engine.log_probabilities_of(prompts, completions)
