"""What every engine promises is checked, so that one that breaks its promise is found out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from lrbench.errors import RunError
from lrbench.sampling.engines.base import Decoding, Engine, Request, TokenRules

STOP, NO_TOKEN = 2, 60


class Scripted(Engine):
    """Answers every request by a rule of the test's own."""

    name = "scripted"

    def __init__(self, answer: Callable[[Request], tuple[int, ...]], context: int = 100) -> None:
        self.answer = answer
        self.rules = TokenRules((STOP,), (NO_TOKEN,), context, 64)
        self.asked: list[Request] = []

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        self.asked += requests
        return [self.answer(request) for request in requests]


def test_completions_come_in_the_order_of_their_prompts_with_the_seeds_of_their_rows() -> None:
    engine = Scripted(lambda request: (request.prompt[0], request.seed, STOP))
    assert engine.complete([[7], [8], [9]], 5, Decoding(1.0), seeds=[30, 10, 20]) == [
        (7, 30, STOP),
        (8, 10, STOP),
        (9, 20, STOP),
    ]


def test_a_row_is_asked_for_no_more_than_the_context_holds() -> None:
    engine = Scripted(lambda request: (9,) * request.max_new_tokens, context=6)
    found = engine.complete([[5], [5] * 4, [5] * 6, [5] * 9], 4)
    assert [len(completion) for completion in found] == [4, 2, 0, 0]
    assert [len(request.prompt) for request in engine.asked] == [1, 4]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((9, STOP, 9, 9), "went on after a stop token: its last ids are 9, 2, 9, 9"),
        ((9, 9, 9, 9, 9), "wrote 5 tokens where 4 were asked"),
        ((9, 9), "stopped after 2 of 4 tokens without a stop token of the model (its last ids are 9, 9)"),
        ((), "stopped after 0 of 4 tokens without a stop token of the model (it is empty)"),
        ((9, NO_TOKEN, 9, STOP), "wrote an id that stands for no token: its last ids are 9, 60, 9, 2"),
    ],
)
def test_a_broken_promise_stops_the_run(answer: tuple[int, ...], message: str) -> None:
    with pytest.raises(RunError) as error:
        Scripted(lambda _: answer).complete([[5]], 4)
    assert f"the engine scripted {message}" in str(error.value)


def test_a_seed_is_needed_for_every_row() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Scripted(lambda _: (STOP,)).complete([[5], [6]], 4, Decoding(1.0), seeds=[1])
