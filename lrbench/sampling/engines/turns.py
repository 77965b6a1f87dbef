"""Which program writes an answer that models write in turns."""

from __future__ import annotations

from collections.abc import Callable

from lrbench.errors import RunError
from lrbench.methods.answers import Answer, Route
from lrbench.methods.relays import Chain
from lrbench.methods.taking_over import Rewrite, TakeOver
from lrbench.sampling.engines.base import Request, TokenRules
from lrbench.sampling.engines.chains import Chaining
from lrbench.sampling.engines.first_token import ByFirstToken, nearest_of
from lrbench.sampling.engines.relays import Looks, Relay, Speech
from lrbench.sampling.engines.taking_over import AtCues, ByScore


def relay_of(
    answer: Answer, rules: TokenRules, speech: Speech | None, looks: Looks
) -> Callable[[Request], Relay]:
    """How models write an answer in turns. Raises `RunError` for one that no engine here knows."""
    assert speech is not None, "somebody has to read what models write in turns"
    stops = frozenset(rules.stop_ids)
    if isinstance(answer, Chain):
        return Chaining(answer, speech, stops, rules.context).begin
    if isinstance(answer, Route) and answer.route.first is not None:
        return ByFirstToken(answer.route.to, answer.route.first).begin
    if isinstance(answer, Route) and answer.route.nearest is not None:
        return nearest_of(answer.route.to, answer.route.nearest, speech, looks).begin
    if isinstance(answer, TakeOver):
        return AtCues(answer.take_over, speech, stops).begin
    if isinstance(answer, Rewrite):
        return ByScore(answer.rewrite, speech, stops).begin
    raise RunError(f"the engine hf does not know how to write an answer by `{answer.word}`")
