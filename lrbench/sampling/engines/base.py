"""What every engine promises, checked in one place for all of them.

A completion is a tuple of token ids. It ends with its stop token where one came, holds no id that
stands for no token, and is cut where `max_new_tokens` or the model's context is full.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lrbench.errors import RunError
from lrbench.methods.answers import OWN
from lrbench.recipe.messages import found
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.repetition import Repetition, ended_length

# The strongest bias that vLLM and OpenAI's protocol have, for ids that stand for no token: it divides
# their odds by e^100, and one that is written all the same is found out by `Engine.complete`.
NEVER = -100.0
# A logarithm of a probability is at most 0; a softmax in float32 may round to a little more.
LEAST, ROUNDING = -sys.float_info.max, 1e-3
# An engine that cannot take requests while it writes is given so many at a time.
PORTION = 256
OWN_SETTINGS = (
    "A server has to be started with the model's whole context, and without generation settings of its own: "
    "vllm serve --generation-config vllm"
)


@dataclass(frozen=True)
class TokenRules:
    """What an engine has to know of a model's tokens.

    `stop_ids` end a completion, `no_tokens` are rows of the output layer that stand for no token, prompt and
    completion together hold at most `context` tokens, and `rows` is how many the output layer has: every id
    is below it. With `stop_repeats` a completion also ends where it has written the same tokens so many times
    in a row (`repetition`): an engine that does not see that is cut there.
    """

    stop_ids: tuple[int, ...]
    no_tokens: tuple[int, ...]
    context: int
    rows: int
    stop_repeats: int | None = None


@dataclass(frozen=True)
class Decoding:
    """How the next token is chosen: the likeliest at temperature 0, else a sample.

    Of the distribution at `temperature` only the likeliest tokens count that hold `top_p` of it together, the
    one included with which they do (nucleus sampling; Holtzman et al., 2020).
    """

    temperature: float = 0.0
    top_p: float = 1.0


GREEDY = Decoding()


@dataclass(frozen=True)
class Request:
    """One prompt to complete with 1 to `max_new_tokens` tokens; `seed` counts only above temperature 0.

    `stop_repeats` is as the engine's rules have it. An engine of this process also ends a completion where
    `until` holds of it.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    seed: int
    stop_repeats: int | None = None
    until: Callable[[Sequence[int]], bool] | None = None


class Engine(ABC):
    """Completes prompts with one model, with or without an adapter. `name` is the recipe's word for it.

    One that `adds` to prompts may have less room in the context than the prompts it is given leave.
    """

    name: str
    rules: TokenRules
    adds: bool = False

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"the engine {self.name}"

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        decoding: Decoding = GREEDY,
        seeds: Sequence[int] = (),
    ) -> list[tuple[int, ...]]:
        """Complete every prompt (token ids), in the given order.

        Where it is sampled, row i is so with `seeds[i]` alone. A prompt that fills
        the context has an empty completion. Raises `RunError` when the engine breaks its promise, or a prompt
        holds a token that the model has no row for.
        """
        requests = self._requests(prompts, max_new_tokens, seeds)
        written = self.complete_requests(list(requests.values()), decoding)
        completions: list[tuple[int, ...]] = [()] * len(prompts)
        for (index, request), completion in zip(requests.items(), written, strict=True):
            completions[index] = completion[: self._checked_length(request, completion)]
        return completions

    def answer(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        decoding: Decoding = GREEDY,
        seeds: Sequence[int] = (),
    ) -> list[Answered]:
        """As `complete`, with the origin of every token and what it took."""
        requests = self._requests(prompts, max_new_tokens, seeds)
        written = self.answer_requests(list(requests.values()), decoding)
        answers = [Answered()] * len(prompts)
        for (index, request), answered in zip(requests.items(), written, strict=True):
            answers[index] = answered.cut(self._checked_length(request, answered.completion))
        return answers

    @abstractmethod
    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        """One completion per request, in the given order."""

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """How many of the requests the engine would write at once: all, where it holds none back."""
        return len(requests)

    def complete_narrowly(
        self, requests: Sequence[Request], decoding: Decoding, rows: int
    ) -> list[tuple[int, ...]]:
        """As `complete_requests`, with at most `rows` at once: so many, then the next.

        An engine that can keep as many going is quicker by itself.
        """
        portions = (requests[start : start + rows] for start in range(0, len(requests), rows))
        return [row for portion in portions for row in self.complete_requests(portion, decoding)]

    def answer_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[Answered]:
        """As `complete_requests`, with the origin of every token; an engine of one model knows it."""
        return [Answered.alone(OWN, completion) for completion in self.complete_requests(requests, decoding)]

    def stream_requests(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding
    ) -> Iterator[tuple[int, Answered]]:
        """An answer per request, by its number, each as soon as it is done.

        Requests are taken when there is room to write them, about in their order.
        """
        waiting = iter(requests)
        while portion := dict(islice(waiting, PORTION)):
            yield from zip(portion, self.answer_requests(list(portion.values()), decoding), strict=True)

    def log_probabilities(self, ids: Sequence[int]) -> list[float]:
        """The log-probability, nats, of every id but the first, given those before it."""
        raise NotImplementedError

    def log_probabilities_of(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """The log-probability, nats, of every token of each completion after its prompt, under the own model.

        It is that of the model alone, at temperature 1, whatever has chosen the token. An engine that asks
        for another token whenever it reads a text leaves out the last one of a full context.
        """
        return [self._after(*asked) for asked in self._askable(prompts, completions)]

    def _after(self, prompt: Sequence[int], completion: Sequence[int]) -> list[float]:
        return self.log_probabilities([*prompt, *completion])[len(prompt) - 1 :] if completion else []

    def _askable(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[tuple[Sequence[int], Sequence[int]]]:
        """Prompts with as much of their completions as leaves room for one more token."""
        return [
            (prompt, completion[: self.rules.context - 1 - len(prompt)])
            for prompt, completion in zip(prompts, completions, strict=True)
        ]

    def _requests(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, seeds: Sequence[int]
    ) -> dict[int, Request]:
        """A request for every prompt that has room left in the context, by the prompt's place."""
        row_seeds = seeds or [0] * len(prompts)
        requests = (
            self.request(prompt, max_new_tokens, seed)
            for prompt, seed in zip(prompts, row_seeds, strict=True)
        )
        return {index: request for index, request in enumerate(requests) if request is not None}

    def request(self, prompt: Sequence[int], max_new_tokens: int, seed: int = 0) -> Request | None:
        """What is asked of the engine; None where the prompt leaves no room in the context.

        Raises `RunError` for a token that the model has no row for.
        """
        highest = max(prompt, default=0)
        if highest >= self.rules.rows:
            raise RunError(
                f"a prompt holds the token {highest}, and the model has rows for tokens up to "
                f"{self.rules.rows - 1}: its chat template writes a token that it was not made with"
            )
        room = min(max_new_tokens, self.rules.context - len(prompt))
        return Request(tuple(prompt), room, seed, self.rules.stop_repeats) if room > 0 else None

    def _checked_length(self, request: Request, completion: tuple[int, ...]) -> int:
        """How much of a completion counts; raises `RunError` where that breaks a promise."""
        length = ended_length(completion, self.rules.stop_repeats)
        self._check(request, completion)
        return length

    def _check(self, request: Request, completion: tuple[int, ...]) -> None:
        for place, token in enumerate(completion):
            # `true` is an int of Python's, and 5.0 finds the same row of a table as 5.
            if type(token) is not int or not 0 <= token < self.rules.rows:
                raise RunError(
                    f"{self.title} wrote {found(token)} as token {place + 1}, and ids of the "
                    f"model are whole numbers from 0 to {self.rules.rows - 1}"
                )
        stops = [position for position, token in enumerate(completion) if token in self.rules.stop_ids]
        if any(position != len(completion) - 1 for position in stops):
            raise RunError(f"{self.title} went on after a stop token: {_tail(completion)}")
        if len(completion) > request.max_new_tokens:
            wanted = request.max_new_tokens
            raise RunError(f"{self.title} wrote {len(completion)} tokens where {wanted} were asked")
        times = self.rules.stop_repeats
        repeated = times is not None and Repetition(times).ends(completion)
        if not stops and not repeated and not self.adds and len(completion) < request.max_new_tokens:
            raise RunError(
                f"{self.title} stopped after {len(completion)} of {request.max_new_tokens} tokens "
                f"without a stop token of the model ({_tail(completion)}). {OWN_SETTINGS}"
            )
        if not set(completion).isdisjoint(self.rules.no_tokens):
            raise RunError(f"{self.title} wrote an id that stands for no token: {_tail(completion)}")

    def _check_reason(self, reason: object, request: Request, completion: tuple[int, ...]) -> None:
        """Raise `RunError` unless why a completion ended, as the engine says it, is what its ids say."""
        stopped = bool(completion) and completion[-1] in self.rules.stop_ids
        if reason == "stop" and not stopped:
            raise RunError(
                f"{self.title} says that it stopped (`stop`), and wrote {len(completion)} of "
                f"{request.max_new_tokens} tokens without a stop token of the model at the end "
                f"({_tail(completion)}). {OWN_SETTINGS}"
            )
        if reason == "length" and len(completion) != request.max_new_tokens:
            raise RunError(
                f"{self.title} says that it wrote as much as was asked (`length`), and wrote "
                f"{len(completion)} of {request.max_new_tokens} tokens ({_tail(completion)}). {OWN_SETTINGS}"
            )
        if reason not in ("stop", "length"):
            raise RunError(
                f"{self.title} ended a completion for the reason {found(reason)}; a whole one ends "
                "with `stop` or `length`. Its log may say what went wrong"
            )

    def _check_log_probabilities(self, values: Sequence[object], ids: Sequence[int]) -> list[float]:
        """`values`, one for every id but the first; raises `RunError` for what is no log-probability."""
        if len(values) != len(ids) - 1:
            raise RunError(
                f"{self.title} gave {len(values)} log-probabilities where {len(ids) - 1} were asked"
            )
        checked = []
        for place, value in enumerate(values, start=2):
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not LEAST <= value <= ROUNDING
            ):
                raise RunError(
                    f"{self.title} gave {found(value)} as the log-probability of token {place}, "
                    "allowed is a finite number that is not above 0"
                )
            checked.append(float(value))
        return checked


class StreamingEngine(Engine):
    """An engine that takes requests while it writes: its `stream_requests` is all that it needs."""

    @abstractmethod
    def stream_requests(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding
    ) -> Iterator[tuple[int, Answered]]:
        """An answer per request, by its number, each as soon as it is done."""

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        """One completion per request, in the given order."""
        return [answered.completion for answered in self.answer_requests(requests, decoding)]

    def answer_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[Answered]:
        """One answer per request, in the given order."""
        answers = dict(self.stream_requests(self.ordered(requests), decoding))
        return [answers[index] for index in range(len(requests))]

    def ordered(self, requests: Sequence[Request]) -> Iterable[tuple[int, Request]]:
        """The requests with their numbers, in the order in which they are best written."""
        return enumerate(requests)


def _tail(completion: tuple[int, ...]) -> str:
    return f"its last ids are {', '.join(map(str, completion[-5:]))}" if completion else "it is empty"
