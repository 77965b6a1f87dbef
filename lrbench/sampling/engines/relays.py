"""Answers that models write in turns: each is a small program that asks for what it needs next.

A relay is a generator: it gives what it asks for, a `Turn`, a `Reading` or a `Look`, is sent what came of
that, and returns the whole answer. Those of many questions go on together, with one model at a time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from torch import Tensor

from lrbench.errors import RunError
from lrbench.methods.answer import SEED_BYTES
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import PORTION, Decoding, Request

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Speech:
    """How texts become token ids and ids texts.

    `read` says which answer the grader reads in token ids, None where it reads none; `closing` are the tokens
    that stand between a question and its answer in every prompt. `ask` makes a prompt of a question.
    """

    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]
    read: Callable[[Ids], str | None]
    closing: Ids
    ask: Callable[[str], Sequence[int]]

    def asked_with(self, prompt: Ids, text: str) -> Ids:
        """The prompt with more text at the end of its question.

        Raises `RunError` for one that does not end as prompts do.
        """
        if not text:
            return prompt
        end = len(prompt) - len(self.closing)
        if prompt[end:] != self.closing:
            raise RunError(
                "an answer adds to the question, and the model's chat template does not end every prompt in "
                "the same way, so that nobody can say where the question ends; let the plan begin the answer "
                "(`place: answer`) or use another model"
            )
        return (*prompt[:end], *self.encode(text), *self.closing)


@dataclass(frozen=True)
class Turn:
    """The model `by` writes at most `tokens` tokens after `prompt`, or up to where `until` holds of them.

    `decoding` is None where they are chosen as the whole answer is asked to be.
    """

    by: str
    prompt: Ids
    tokens: int
    seed: int
    until: Callable[[Sequence[int]], bool] | None = None
    decoding: Decoding | None = None

    @property
    def together(self) -> tuple[Any, ...]:
        """What turns have in common that are written together."""
        return (Turn, self.by, self.decoding)


@dataclass(frozen=True)
class Reading:
    """How likely the model `by` finds each of the tokens `written` after `prompt`: logarithms, in nats."""

    by: str
    prompt: Ids
    written: Ids

    @property
    def together(self) -> tuple[Any, ...]:
        """What readings have in common that are read together."""
        return (Reading, self.by)


@dataclass(frozen=True)
class Look:
    """What the model `by` thinks of the token that comes after `prompt`."""

    by: str
    prompt: Ids

    @property
    def together(self) -> tuple[Any, ...]:
        """What looks have in common that are taken together."""
        return (Look, self.by)


@dataclass(frozen=True)
class Seen:
    """What a look has found: log-probabilities, float32, of all tokens (V) there are, by id."""

    log_ps: Tensor

    @property
    def log_p(self) -> float:
        """Of the likeliest token, in nats."""
        return self.log_ps.max().item()

    @property
    def entropy(self) -> float:
        """Of the distribution, in nats."""
        return -(self.log_ps.exp() * self.log_ps).sum().item()


Asked = Turn | Reading | Look
Relay = Generator[Asked, Any, Answered]
# What came of each of several turns, or readings, by the numbers of their questions, as soon as it is there.
Turns = Callable[[Mapping[int, Turn]], Iterable[tuple[int, Answered]]]
Readings = Callable[[Mapping[int, Reading]], Iterable[tuple[int, list[float]]]]
Looks = Callable[[Mapping[int, Look]], Iterable[tuple[int, Seen]]]


def relayed(
    requests: Iterable[tuple[int, Request]],
    begin: Callable[[Request], Relay],
    write: Turns,
    read: Readings,
    look: Looks,
    at_once: int,
) -> Iterator[tuple[int, Answered]]:
    """The answer to every request, as soon as it is done; they are taken a portion at a time."""
    coming = iter(requests)
    while portion := dict(islice(coming, max(PORTION, at_once))):
        relays = {index: begin(request) for index, request in portion.items()}
        asked: dict[int, Asked] = {}
        for index, relay in relays.items():
            if (done := _advance(relay, asked, index, None)) is not None:
                yield index, done
        while asked:
            # What most of them wait for comes first, so that as many as can go on together.
            kinds = Counter(each.together for each in asked.values())
            kind = max(kinds, key=lambda each: kinds[each])
            chosen = {index: each for index, each in asked.items() if each.together == kind}
            found: Iterable[tuple[int, Any]]
            if kind[0] is Turn:
                found = write({index: each for index, each in chosen.items() if isinstance(each, Turn)})
            elif kind[0] is Look:
                found = look({index: each for index, each in chosen.items() if isinstance(each, Look)})
            else:
                found = read({index: each for index, each in chosen.items() if isinstance(each, Reading)})
            for index, came in found:
                del asked[index]
                if (done := _advance(relays[index], asked, index, came)) is not None:
                    yield index, done


def _advance(relay: Relay, asked: dict[int, Asked], index: int, came: Any) -> Answered | None:
    """Send a relay what came of what it asked for; the answer, or None where it asks for more."""
    try:
        asked[index] = relay.send(came)
    except StopIteration as ended:
        answer: Answered = ended.value
        return answer
    return None


def spent(answered: Answered) -> Answered:
    """What it took to write something that is no part of the answer."""
    return replace(answered, completion=(), origins=())


def turn_seed(seed: int, turn: int) -> int:
    """The seed of a turn by its number: that of the answer for the first, others for all others."""
    if turn == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{turn}".encode()).digest()[:SEED_BYTES])
