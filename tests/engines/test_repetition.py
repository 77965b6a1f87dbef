"""Answers that go round in a circle end where a slow and obvious rule says, in every way of writing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import RunError
from lrbench.models.loading import Model
from lrbench.sampling.engines.base import Decoding, Request, TokenRules
from lrbench.sampling.engines.narrowed import NarrowedEngine
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.repetition import Repetition, ended_length
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.engines.test_base import STOP, Scripted

LEAST = 16


def obvious_length(completion: Sequence[int], times: int) -> int:
    """Of every beginning, every period: are its last tokens one run over and over?"""
    for length in range(1, len(completion) + 1):
        for period in range(1, length + 1):
            last = max(times * period, LEAST)
            tail = completion[length - last : length]
            if last <= length and all(tail[place] == tail[place % period] for place in range(last)):
                return length
    return len(completion)


@st.composite
def circles(draw: st.DrawFn) -> list[int]:
    """Tokens of which some runs come again and again, whole or broken off."""
    tokens = st.integers(0, 3)
    written: list[int] = []
    for _ in range(draw(st.integers(1, 4))):
        run = draw(st.lists(tokens, min_size=1, max_size=9))
        count = draw(st.integers(1, 12))
        written += (run * count)[: draw(st.integers(1, len(run) * count))]
    return written


@given(circles(), st.integers(2, 6))
def test_an_answer_ends_where_the_obvious_rule_says(completion: list[int], times: int) -> None:
    expected = obvious_length(completion, times)
    assert ended_length(completion, times) == expected
    assert ended_length(completion, None) == len(completion)
    # Token by token, as while it is written, and in leaps.
    watch, leaping = Repetition(times), Repetition(times)
    ended = [watch.ends(completion[: length + 1]) for length in range(len(completion))]
    assert sum(not one for one in ended) in (expected - 1, expected)
    assert leaping.ends(completion) == ended[-1]


@pytest.mark.parametrize(
    ("completion", "length"),
    [
        ([7] * 40, 16),
        ([1, 2, 3] * 20, 16),
        ([9, 8, *[1, 2, 3, 4, 5] * 20], 22),
        ([*range(60)] * 4, 240),
        ([*range(60)] * 3, 180),
    ],
)
def test_four_times_in_a_row_and_sixteen_tokens_at_least(completion: list[int], length: int) -> None:
    assert ended_length(completion, 4) == length


def test_what_an_engine_did_not_see_is_cut_and_nothing_else_may_end_early() -> None:
    engine = Scripted(lambda request: (5, 6) * (request.max_new_tokens // 2))
    engine.rules = TokenRules((STOP,), (), 100, 64, stop_repeats=4)
    assert engine.complete([[9]], 40) == [(5, 6) * 8]
    (answered,) = NarrowedEngine(engine, int).answer([[9]], 40)
    assert answered.completion == (5, 6) * 8
    # It took all that was written.
    assert answered.written == sum(answered.passes.values()) == 40
    early = Scripted(lambda _: (5, 6, 7))
    early.rules = TokenRules((STOP,), (), 100, 64, stop_repeats=4)
    with pytest.raises(RunError, match="stopped after 3 of 40 tokens"):
        early.complete([[9]], 40)


def small_model() -> Model:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    return Qwen2ForCausalLM(config).eval()


@pytest.mark.parametrize("refilled", [True, False])
def test_in_this_process_a_row_leaves_as_soon_as_it_goes_round(
    refilled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.sampling.engines.transformers.can_refill", lambda _: refilled)
    model, prompts = small_model(), [[place, place + 7] for place in range(12)]

    def written(times: int | None) -> tuple[list[tuple[int, ...]], Padding]:
        padding = Padding()
        rules = TokenRules((), (), 512, 40, stop_repeats=times)
        engine: Any = TransformersEngine(model, rules, 12, padding)
        return engine.complete(prompts, 120, Decoding()), padding

    whole, all_steps = written(None)
    found, steps = written(4)
    expected = [row[: ended_length(row, 4)] for row in whole]
    # A model of random weights soon says the same over and over.
    assert found == expected
    assert sum(map(len, found)) < 0.6 * sum(map(len, whole))
    if refilled:
        assert steps.computed < 0.6 * all_steps.computed


def test_requests_say_it_to_whoever_writes_them() -> None:
    engine = Scripted(lambda request: (5,) * request.max_new_tokens)
    engine.rules = TokenRules((STOP,), (), 100, 64, stop_repeats=3)
    engine.complete([[9]], 20)
    assert engine.asked == [Request((9,), 20, 0, stop_repeats=3)]
