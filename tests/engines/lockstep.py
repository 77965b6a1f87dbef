"""Random models by name, prompts, and what an answer writes with them, in lockstep or alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrbench.methods.answers import (
    OWN,
    Answer,
    Lead,
    Mix,
    Route,
    TokenBudget,
)
from lrbench.methods.cache_shift import CacheShift
from lrbench.methods.relays import Chain
from lrbench.methods.taking_over import Rewrite, TakeOver
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.relays import Speech
from lrbench.sampling.engines.transformers import TransformersEngine

Ids = tuple[int, ...]
STOPS = tuple(range(1, 9))
NO_TOKENS = (0, 40, 63)
RULES = TokenRules(STOPS, NO_TOKENS, 256, 64)
TOKENS = 12
PROMPTS: list[Ids] = [
    tuple((7 * place + 5 * row) % 60 + 1 for place in range(2 + 3 * row)) for row in range(7)
]
SEEDS = {OWN: 5, "expert": 5, "amateur": 6, "peer": 7, "tuned": 8, "teacher": 9}
# No divergence or entropy is above it, and every one is above -1.
BEYOND = 1e300


def last(completion: Ids) -> str | None:
    """What a completion says: its last token, where that is even."""
    return str(completion[-1]) if completion and completion[-1] % 2 == 0 else None


def encoded(text: str) -> Ids:
    """The tests' tokens are spelt as their ids."""
    return tuple(map(int, text.split()))


def spelt(ids: Sequence[int]) -> str:
    """The text of token ids."""
    return " ".join(map(str, ids))


# Questions are whole prompts: nothing closes them.
SPEECH = Speech(encoded, spelt, last, (), encoded)


def answers_by(
    models: dict[str, Any], answer: Answer, prompts: Sequence[Ids] = PROMPTS, batch_size: int = 4
) -> list[Answered]:
    engine = LockstepEngine(models, answer, RULES, batch_size, token_of=int, speech=SPEECH)
    return engine.answer(prompts, TOKENS)


def written_by(models: dict[str, Any], answer: Answer, batch_size: int = 4) -> list[Ids]:
    return [answered.completion for answered in answers_by(models, answer, batch_size=batch_size)]


def alone(model: Any, prompts: Sequence[Ids] = PROMPTS, tokens: int = TOKENS) -> list[Ids]:
    """What the engine of one model writes."""
    return TransformersEngine(model, RULES, 4).complete(prompts, tokens)


def mix(when: dict[str, Any] | None = None, alpha: float | None = None, **weights: float) -> Mix:
    return Mix.model_validate({"mix": weights, "alpha": alpha, "when": when})


def route(**when: Any) -> Route:
    return Route.model_validate({"route": {"to": "teacher", "when": when}})


def lead(tokens: int | None, share: float = 1.0) -> Lead:
    return Lead.model_validate({"lead": {"by": "teacher", "tokens": tokens, "share": share}})


def budget(**limits: int) -> TokenBudget:
    return TokenBudget.model_validate({"budget": limits})


def take_over(**settings: Any) -> TakeOver:
    return TakeOver.model_validate({"take_over": {"by": "teacher", **settings}})


def rewrite(**settings: Any) -> Rewrite:
    return Rewrite.model_validate({"rewrite": {"by": "teacher", **settings}})


def cache_shift(**settings: Any) -> CacheShift:
    return CacheShift.model_validate({"cache_shift": settings})


def chain(planner: str, solver: str, **settings: Any) -> Chain:
    return Chain.model_validate({"chain": [planner, solver], **settings})
