"""Generation does not depend on the batch, ends at stop tokens, and samples the right distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TopPLogitsWarper

from lrbench.errors import RunError
from lrbench.sampling.engines.base import GREEDY, Decoding, Request, TokenRules
from lrbench.sampling.engines.choosing import nucleus
from lrbench.sampling.engines.refilling import can_refill
from lrbench.sampling.engines.room import CACHES
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.oracles.scoring import distribution

PROMPTS = [[9, 10, 11], [12, 13, 14, 15, 16, 17], [20], [21, 22, 23, 24]]


def cache_in(arguments: dict[str, Any]) -> Any:
    """What a model is given of the tokens it has read."""
    return next(arguments[name] for name in CACHES if name in arguments)


def greedy_oracle(model: Any, prompt: list[int], length: int, stops: set[int]) -> tuple[int, ...]:
    ids = list(prompt)
    for _ in range(length):
        ids.append(int(np.argmax(distribution(model, tuple(ids), 64))))
        if ids[-1] in stops:
            break
    return tuple(ids[len(prompt) :])


def generate(
    model: Any,
    prompts: Any,
    *,
    stop_ids: Any,
    batch_size: int,
    no_tokens: tuple[int, ...] = (),
    context: int = 256,
    temperature: float = 0.0,
    top_p: float = 1.0,
    **options: Any,
) -> Any:
    rules = TokenRules(tuple(stop_ids), no_tokens, context, 64)
    return TransformersEngine(model, rules, batch_size).complete(
        prompts, decoding=Decoding(temperature, top_p), **options
    )


@pytest.fixture(scope="module")
def model(tiny_model: Callable[..., Any]) -> Any:
    found = tiny_model(seed=5)
    assert can_refill(found)
    return found


@pytest.fixture(params=[True, False], ids=["refilled", "whole batches"], autouse=True)
def refilled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Every promise holds for both ways of writing."""
    refilled: bool = request.param
    if not refilled:
        monkeypatch.setattr("lrbench.sampling.engines.transformers.can_refill", lambda _: False)
    return refilled


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_greedy_takes_the_likeliest_token_whatever_the_batch(model: Any, batch_size: int) -> None:
    stops = {greedy_oracle(model, PROMPTS[0], 3, set())[-1]}
    found = generate(model, PROMPTS, max_new_tokens=8, stop_ids=sorted(stops), batch_size=batch_size)
    assert found == [greedy_oracle(model, prompt, 8, stops) for prompt in PROMPTS]


def test_a_stop_token_ends_the_completion_and_is_part_of_it(model: Any) -> None:
    stop = greedy_oracle(model, PROMPTS[0], 3, set())[-1]
    (found,) = generate(model, PROMPTS[:1], max_new_tokens=8, stop_ids=[stop], batch_size=1)
    assert found[-1] == stop
    assert stop not in found[:-1]


def test_a_rows_sample_depends_on_its_seed_and_not_on_its_batch(model: Any) -> None:
    options = {"max_new_tokens": 6, "stop_ids": [0], "temperature": 1.0}
    seeds = [1, 2, 3, 4]
    together = generate(model, PROMPTS, batch_size=4, seeds=seeds, **options)
    alone = generate(model, PROMPTS, batch_size=1, seeds=seeds, **options)
    others = generate(model, PROMPTS, batch_size=4, seeds=[5, 6, 7, 8], **options)
    assert together == alone
    assert together != others


def test_samples_follow_the_models_distribution(model: Any) -> None:
    count, temperature = 3000, 0.7
    found = generate(
        model,
        [PROMPTS[0]] * count,
        max_new_tokens=1,
        stop_ids=[0],
        batch_size=500,
        temperature=temperature,
        seeds=range(count),
    )
    p = np.array(distribution(model, tuple(PROMPTS[0]), 64)) ** (1 / temperature)
    p /= p.sum()
    seen = Counter(completion[0] for completion in found)
    for token in np.flatnonzero(p > 0.01):
        error = 4 * np.sqrt(p[token] * (1 - p[token]) / count)
        assert abs(seen[token] / count - p[token]) < error


def test_of_the_likeliest_tokens_those_are_sampled_that_hold_top_p(model: Any) -> None:
    count, top_p = 2000, 0.6
    options = {"max_new_tokens": 1, "stop_ids": [0], "temperature": 1.0, "seeds": range(count)}
    found = generate(model, [PROMPTS[0]] * count, batch_size=500, top_p=top_p, **options)
    p = np.array(distribution(model, tuple(PROMPTS[0]), 64))
    order = np.argsort(-p)
    likeliest = order[: int(np.searchsorted(np.cumsum(p[order]), top_p)) + 1]
    seen = Counter(completion[0] for completion in found)
    assert set(seen) <= set(likeliest.tolist())
    p /= p[likeliest].sum()
    for token in likeliest:
        error = 4 * np.sqrt(p[token] * (1 - p[token]) / count)
        assert abs(seen[token] / count - p[token]) < error
    # The batch has no say in it.
    alone = generate(model, [PROMPTS[0]] * 40, batch_size=1, top_p=top_p, **options | {"seeds": range(40)})
    assert alone == found[:40]


@pytest.mark.parametrize("seed", range(40))
def test_the_nucleus_is_that_of_transformers(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores_BV, top_p = 3 * torch.randn(3, 50, generator=generator), float(torch.rand(1, generator=generator))
    expected_BV = TopPLogitsWarper(top_p)(torch.zeros(3, 1), scores_BV)
    assert nucleus(scores_BV, top_p).tolist() == expected_BV.tolist()


def test_prompt_and_completion_together_end_where_the_context_is_full(model: Any) -> None:
    options = {"max_new_tokens": 8, "stop_ids": [63], "batch_size": 4}
    whole = generate(model, PROMPTS, **options)
    assert {len(completion) for completion in whole} == {8}
    found = generate(model, PROMPTS, context=9, **options)
    assert found == [row[: 9 - len(prompt)] for row, prompt in zip(whole, PROMPTS, strict=True)]
    assert generate(model, PROMPTS, context=6, **options)[1] == ()


# What a GPU and a CPU raise.
FULL = [
    torch.OutOfMemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
]


class SmallMemory:
    """A model whose memory holds the states of so many tokens, all rows together."""

    def __init__(self, model: Any, patch: pytest.MonkeyPatch, rows: int, full: RuntimeError) -> None:
        self.real = model.forward
        self.rows = rows
        self.full = full
        self.read: list[int] = []
        patch.setattr(model, "forward", self.forward)

    def forward(self, **arguments: Any) -> Any:
        rows, tokens = arguments["input_ids"].shape
        if tokens > 1 or cache_in(arguments).get_seq_length() == 0:
            self.read.append(rows)
        if rows > self.rows:
            raise self.full
        return self.real(**arguments)


@pytest.mark.parametrize("full", FULL)
def test_rows_that_do_not_fit_are_halved_for_good_and_write_the_same(
    model: Any, monkeypatch: pytest.MonkeyPatch, full: RuntimeError
) -> None:
    options = {"max_new_tokens": 4, "stop_ids": [0], "batch_size": 4}
    expected = generate(model, PROMPTS, **options)
    memory = SmallMemory(model, monkeypatch, 1, full)
    assert generate(model, PROMPTS, **options) == expected
    assert memory.read == [4, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("refilled", [True], indirect=True)
def test_completions_that_were_done_before_memory_ran_out_are_kept(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = TokenRules((0,), (), 256, 64)
    requests = [Request(tuple(prompt), room, 0) for prompt, room in zip(PROMPTS, (9, 1, 2, 8), strict=True)]
    expected = TransformersEngine(model, rules, 4).complete_requests(requests, GREEDY)
    real, calls, read = model.forward, [], []

    def forward(**arguments: Any) -> Any:
        calls.append(len(arguments["input_ids"]))
        if cache_in(arguments).get_seq_length() == 0:
            read.append(calls[-1])
        if len(calls) == 4:
            raise FULL[0]
        return real(**arguments)

    monkeypatch.setattr(model, "forward", forward)
    engine = TransformersEngine(model, rules, 4)
    assert engine.complete_requests(requests, GREEDY) == expected
    # All four are read; one is done after its first token and one after its second. The others begin anew.
    assert read == [4, 2]
    assert engine.batch_size == 2


@pytest.mark.parametrize("full", FULL)
def test_one_row_that_does_not_fit_is_an_error_with_the_sizes(
    model: Any, monkeypatch: pytest.MonkeyPatch, full: RuntimeError
) -> None:
    SmallMemory(model, monkeypatch, 0, full)
    sizes = r"million parameters in float32 on cpu cannot complete one prompt of 6 tokens with up to 4 new"
    with pytest.raises(RunError, match=sizes):
        generate(model, PROMPTS, max_new_tokens=4, stop_ids=[0], batch_size=4)


def test_memory_that_runs_out_in_the_trial_is_no_verdict_on_the_model(
    tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    with monkeypatch.context() as patch:
        SmallMemory(model, patch, 0, FULL[0])
        with pytest.raises(RunError, match="out of memory"):
            generate(model, PROMPTS, max_new_tokens=4, stop_ids=[0], batch_size=4)
    assert can_refill(model)


def test_other_failures_are_not_taken_for_full_memory(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    SmallMemory(model, monkeypatch, 0, failure)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        generate(model, PROMPTS, max_new_tokens=4, stop_ids=[0], batch_size=4)


def test_ids_that_stand_for_no_token_are_never_written(model: Any) -> None:
    options = {"max_new_tokens": 8, "stop_ids": [63], "batch_size": 4}
    favourite = generate(model, PROMPTS[:1], **options)[0][0]
    found = generate(model, PROMPTS, no_tokens=(favourite, 60, 61, 62, 63), **options)
    assert all(token < 60 and token != favourite for completion in found for token in completion)
