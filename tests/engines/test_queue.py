"""One queue behind portions: the same answers, in fewer forward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrbench.methods.answers import Lead, Mix
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import GREEDY, Decoding, Engine, Request, TokenRules
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.queue import QueuedEngine
from lrbench.sampling.engines.transformers import TransformersEngine

RULES = TokenRules((0,), (), 256, 64)


class Portioned(Engine):
    """Knows of no requests but those of one call."""

    name = "portioned"
    rules = RULES

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        self.sizes.append(len(requests))
        return [(len(request.prompt),) * (request.max_new_tokens - 1) + (0,) for request in requests]


def portions(requests: Sequence[Request], size: int) -> list[Sequence[Request]]:
    return [requests[start : start + size] for start in range(0, len(requests), size)]


def requests_of(sizes: Sequence[tuple[int, int, int]]) -> list[Request]:
    return [
        Request(tuple((7 * place + seed) % 63 + 1 for place in range(length)), room, seed)
        for length, room, seed in sizes
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=14
    ),
    portion=st.integers(1, 6),
    at_once=st.integers(1, 5),
    temperature=st.sampled_from([0.0, 0.8]),
)
def test_portions_of_a_queue_have_the_answers_they_would_have_alone(
    tiny_model: Callable[..., Any],
    sizes: list[tuple[int, int, int]],
    portion: int,
    at_once: int,
    temperature: float,
) -> None:
    requests, decoding = requests_of(sizes), Decoding(temperature)
    engine = TransformersEngine(tiny_model(), RULES, at_once)
    queued = QueuedEngine(engine, decoding, iter(requests))
    found = [one for part in portions(requests, portion) for one in queued.answer_requests(part, decoding)]
    assert found == engine.answer_requests(requests, decoding)


def test_free_rows_take_what_the_next_portion_asks(tiny_model: Callable[..., Any]) -> None:
    rooms = [2, 2, 2, 20] * 4
    requests = [Request((9,) * 4, room, 0) for room in rooms]

    def forwards(queue: bool) -> int:
        counted = Counting()
        engine: Engine = TransformersEngine(tiny_model(), TokenRules((), (), 256, 64), 4, counted)
        if queue:
            engine = QueuedEngine(engine, GREEDY, iter(requests))
        for portion in portions(requests, 4):
            answers = engine.answer_requests(portion, GREEDY)
            assert [len(answer.completion) for answer in answers] == [2, 2, 2, 20]
        return counted.forwards

    assert forwards(queue=True) < forwards(queue=False) / 2


class Counting(Padding):
    """Counts forward passes too."""

    forwards = 0

    def forward(self, *sizes: int, columns: int) -> None:
        super().forward(*sizes, columns=columns)
        self.forwards += 1


def test_what_was_not_announced_is_written_when_it_is_asked(tiny_model: Callable[..., Any]) -> None:
    engine = TransformersEngine(tiny_model(), RULES, 2)
    first, second, third = requests_of([(4, 5, 0), (7, 3, 0), (2, 6, 1)])
    queued = QueuedEngine(engine, GREEDY, iter([first, second]))
    assert queued.answer_requests([second, third, first], GREEDY) == engine.answer_requests(
        [second, third, first], GREEDY
    )
    sampled = Decoding(0.9)
    assert queued.answer_requests([third], sampled) == engine.answer_requests([third], sampled)
    assert (queued.name, queued.rules, queued.title) == (engine.name, engine.rules, engine.title)


def test_an_engine_that_takes_portions_is_given_large_ones() -> None:
    engine = Portioned()
    requests = requests_of([(length % 9 + 1, 3, 0) for length in range(300)])
    queued = QueuedEngine(engine, GREEDY, iter(requests))
    found: list[Answered] = []
    for portion in portions(requests, 100):
        found += queued.answer_requests(portion, GREEDY)
    assert [answer.completion[0] for answer in found] == [len(request.prompt) for request in requests]
    assert engine.sizes == [256, 44]


@pytest.mark.parametrize(
    "answer",
    [
        Mix.model_validate({"mix": {"own": 1, "other": -1}, "alpha": 0.2}),
        Lead.model_validate({"lead": {"by": "other", "tokens": 2}}),
    ],
)
def test_models_in_lockstep_have_a_queue_too(tiny_model: Callable[..., Any], answer: Mix | Lead) -> None:
    models = {"own": tiny_model(), "other": tiny_model(seed=1)}
    engine = LockstepEngine(models, answer, RULES, 3)
    requests = requests_of([(3, 6, 0), (9, 2, 0), (5, 8, 0), (4, 1, 0), (12, 7, 0)])
    queued = QueuedEngine(engine, GREEDY, iter(requests))
    found = [one for portion in portions(requests, 2) for one in queued.answer_requests(portion, GREEDY)]
    assert found == engine.answer_requests(requests, GREEDY)
