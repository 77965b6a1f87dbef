"""Answers of which one model or the other writes all, by what the arm's own thinks of the first token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrbench.methods.answer import OWN
from lrbench.methods.answers import FirstToken, Nearest
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.relays import Look, Looks, Relay, Seen, Speech, Turn


@dataclass(frozen=True)
class ByFirstToken:
    """Answers go to the model `to` where the rule holds of the first token, and else to the own model."""

    to: str
    rule: FirstToken

    def begin(self, request: Request) -> Relay:
        """The answer to one request."""
        seen: Seen = yield Look(OWN, request.prompt)
        return (yield from _whole(request, self.to, self.rule.holds(getattr(seen, self.rule.signal))))


@dataclass(frozen=True)
class ByNearest:
    """Answers go to the model `to` where most of the `k` nearest questions did, and else to the own model.

    `known` (N, V) are log-probabilities of what their answers begin with, `others` which of them went there.
    """

    to: str
    k: int
    known: Tensor
    others: tuple[bool, ...]

    def begin(self, request: Request) -> Relay:
        """The answer to one request."""
        seen: Seen = yield Look(OWN, request.prompt)
        distance_N = (self.known - seen.log_ps).square().sum(-1)
        nearest = [self.others[place] for place in distance_N.argsort(stable=True)[: self.k].tolist()]
        return (yield from _whole(request, self.to, 2 * sum(nearest) > len(nearest)))


def nearest_of(to: str, rule: Nearest, speech: Speech, looks: Looks) -> ByNearest:
    """The rule, once its questions were looked at."""
    asked = enumerate((*rule.own, *rule.other))
    seen = dict(looks({place: Look(OWN, tuple(speech.ask(question))) for place, question in asked}))
    known_NV = torch.stack([seen[place].log_ps for place in range(len(seen))])
    return ByNearest(to, rule.k, known_NV, (False,) * len(rule.own) + (True,) * len(rule.other))


def _whole(request: Request, to: str, routed: bool) -> Relay:
    """All of an answer by one of both; the look at its first token was a forward pass of its own."""
    by = to if routed else OWN
    written: Answered = yield Turn(by, request.prompt, request.max_new_tokens, request.seed)
    return Answered(passes={OWN: 1}).then(written)
