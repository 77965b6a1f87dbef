"""What every engine promises, checked in one place for all of them.

A completion is a tuple of token ids. It ends with its stop token where one came, holds no id that
stands for no token, and is cut where `max_new_tokens` or the model's context is full.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from lrbench.errors import RunError

# The strongest bias that vLLM and OpenAI's protocol have, for ids that stand for no token: it divides
# their odds by e^100, and one that is written all the same is found out by `Engine.complete`.
NEVER = -100.0


@dataclass(frozen=True)
class TokenRules:
    """What an engine has to know of a model's tokens.

    `stop_ids` end a completion, `no_tokens` are rows of the output layer that stand for no token, and
    prompt and completion together hold at most `context` tokens.
    """

    stop_ids: tuple[int, ...]
    no_tokens: tuple[int, ...]
    context: int


@dataclass(frozen=True)
class Request:
    """One prompt to complete with 1 to `max_new_tokens` tokens; `seed` counts only above temperature 0."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    seed: int


class Engine(ABC):
    """Completes prompts with one model, with or without an adapter. `name` is the recipe's word for it."""

    name: str
    rules: TokenRules

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        temperature: float = 0.0,
        seeds: Sequence[int] = (),
    ) -> list[tuple[int, ...]]:
        """Complete every prompt (token ids), in the given order.

        Greedy at temperature 0; otherwise row i is sampled with `seeds[i]` alone. A prompt that fills
        the context has an empty completion. Raises `RunError` when the engine breaks its promise.
        """
        row_seeds = seeds or [0] * len(prompts)
        requests = {
            index: Request(tuple(prompt), room, seed)
            for index, (prompt, seed) in enumerate(zip(prompts, row_seeds, strict=True))
            if (room := min(max_new_tokens, self.rules.context - len(prompt))) > 0
        }
        found = self.complete_requests(list(requests.values()), temperature)
        completions: list[tuple[int, ...]] = [()] * len(prompts)
        for (index, request), completion in zip(requests.items(), found, strict=True):
            self._check(request, completion)
            completions[index] = completion
        return completions

    @abstractmethod
    def complete_requests(self, requests: Sequence[Request], temperature: float) -> list[tuple[int, ...]]:
        """One completion per request, in the given order."""

    def _check(self, request: Request, completion: tuple[int, ...]) -> None:
        stops = [position for position, token in enumerate(completion) if token in self.rules.stop_ids]
        if any(position != len(completion) - 1 for position in stops):
            raise RunError(f"the engine {self.name} went on after a stop token: {_tail(completion)}")
        if len(completion) > request.max_new_tokens:
            wanted = request.max_new_tokens
            raise RunError(f"the engine {self.name} wrote {len(completion)} tokens where {wanted} were asked")
        if not stops and len(completion) < request.max_new_tokens:
            raise RunError(
                f"the engine {self.name} stopped after {len(completion)} of {request.max_new_tokens} tokens "
                f"without a stop token of the model ({_tail(completion)}). A server has to be started with "
                "the model's whole context, and without generation settings of its own: "
                "vllm serve --generation-config vllm"
            )
        if not set(completion).isdisjoint(self.rules.no_tokens):
            raise RunError(
                f"the engine {self.name} wrote an id that stands for no token: {_tail(completion)}"
            )


def _tail(completion: tuple[int, ...]) -> str:
    return f"its last ids are {', '.join(map(str, completion[-5:]))}" if completion else "it is empty"
