"""Answers of which one model or the other writes all, by what the arm's own thinks of the first token."""

from __future__ import annotations

from dataclasses import dataclass

from lrbench.methods.answer import OWN
from lrbench.methods.answers import FirstToken
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.relays import Look, Relay, Seen, Turn


@dataclass(frozen=True)
class ByFirstToken:
    """Answers go to the model `to` where the rule holds of the first token, and else to the own model."""

    to: str
    rule: FirstToken

    def begin(self, request: Request) -> Relay:
        """The answer to one request; the look is a forward pass of its own."""
        seen: Seen = yield Look(OWN, request.prompt)
        by = self.to if self.rule.holds(getattr(seen, self.rule.signal)) else OWN
        written: Answered = yield Turn(by, request.prompt, request.max_new_tokens, request.seed)
        return Answered(passes={OWN: 1}).then(written)
