"""Rows that leave and join write what they write in one batch of transformers' own `generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.embedded.assets import model_folder, problems
from lrbench.models.loading import load_model, load_tokenizer
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.models.turn_marks import turn_marks
from lrbench.recipe.schema import ModelReference
from lrbench.sampling.engines.base import GREEDY, Decoding, Request, TokenRules
from lrbench.sampling.engines.choosing import Choice
from lrbench.sampling.engines.decoding import Decoder, Group
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.store.keys import FileHashes
from tests.oracles.generation import Ids, generated

NEW_TOKENS = 40


class Written:
    """An embedded model with prompts of 20 to 330 tokens, and what `generate` writes after them."""

    def __init__(self, name: str) -> None:
        located = locate(ModelReference(model=str(model_folder(name))), FileHashes())
        tokenizer = load_tokenizer(located)
        self.model = load_model(located, torch.device("cpu"))
        self.stop_ids = turn_marks(located).stops
        texts = [
            problems(kind, "test")[place]["problem"] for place in range(18) for kind in ("hard", "one_step")
        ]
        asked = [tuple(render_prompt(tokenizer, text, None)) for text in texts]
        # Questions asked one after the other make a prompt of another length each time.
        self.prompts = [
            tuple(chain.from_iterable(asked[place : place + 1 + place % 5])) for place in range(32)
        ]
        self.seeds = [17 * place for place in range(32)]
        self._expected: dict[float, list[Ids]] = {}

    def expected(self, temperature: float) -> list[Ids]:
        """The completions by `generate`, eight rows at a time."""
        if temperature not in self._expected:
            self._expected[temperature] = [
                completion
                for start in range(0, 32, 8)
                for completion in generated(
                    self.model,
                    self.prompts[start : start + 8],
                    NEW_TOKENS,
                    self.stop_ids,
                    temperature=temperature,
                    seeds=self.seeds[start : start + 8],
                )
            ]
        return self._expected[temperature]

    def found(self, temperature: float, batch_size: int, padding: Padding) -> list[Ids]:
        """The completions by the engine."""
        rules = TokenRules(self.stop_ids, (), 512, self.model.config.vocab_size)
        engine = TransformersEngine(self.model, rules, batch_size, padding)
        return engine.complete(self.prompts, NEW_TOKENS, Decoding(temperature), self.seeds)


@pytest.fixture(scope="module", params=["expert", "amateur"])
def written(request: pytest.FixtureRequest) -> Written:
    return Written(request.param)


@pytest.mark.parametrize("temperature", [0.0, 1.0], ids=["greedy", "sampled"])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_the_embedded_pair_writes_what_generate_writes(
    written: Written, batch_size: int, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = written.expected(temperature)
    assert len({len(completion) for completion in expected}) > 5
    assert max(map(len, written.prompts)) > 5 * min(map(len, written.prompts))
    monkeypatch.setattr(written.model, "generate", None)
    padding = Padding()
    assert written.found(temperature, batch_size, padding) == expected
    needed = sum(
        len(prompt) + len(completion) - 1
        for prompt, completion in zip(written.prompts, expected, strict=True)
    )
    assert padding.needed == needed
    # One row at a time pads nothing, and rows that are done cost nothing.
    assert padding.computed == needed if batch_size == 1 else needed < padding.computed < 1.2 * needed


@cache
def alone(build: Callable[..., Any], prompt: Ids, temperature: float, seed: int) -> Ids:
    (found,) = generated(
        model_of(build), [prompt], 12, STOPS, no_tokens=NO_TOKENS, temperature=temperature, seeds=[seed]
    )
    return found


@cache
def model_of(build: Callable[..., Any]) -> Any:
    return build(seed=5)


STOPS = (1, 2, 3, 4, 5, 6)
NO_TOKENS = (0, 40, 63)


@settings(max_examples=30)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 30), st.integers(0, 3), st.integers(1, 12)), min_size=1, max_size=12
    ),
    at_once=st.integers(1, 5),
    temperature=st.sampled_from([0.0, 0.8]),
)
def test_a_row_is_the_same_whatever_comes_and_goes_beside_it(
    tiny_model: Callable[..., Any], rows: list[tuple[int, int, int]], at_once: int, temperature: float
) -> None:
    prompts = [tuple((7 * place + seed) % 64 for place in range(length)) for length, seed, _ in rows]
    requests = {
        index: Request(prompt, room, seed)
        for index, (prompt, (_, seed, room)) in enumerate(zip(prompts, rows, strict=True))
    }
    choice = Choice(NO_TOKENS, Decoding(temperature), torch.device("cpu"))
    decoder = Decoder([model_of(tiny_model)], STOPS, choice, at_once, Padding())
    found = dict(decoder.complete(requests.items()))
    for index, (prompt, (_, seed, room)) in enumerate(zip(prompts, rows, strict=True)):
        assert found[index] == alone(tiny_model, prompt, temperature, seed)[:room]


class Watched(Decoder):
    """Notes how many rows go forward in each step."""

    def __init__(self, model: Any, at_once: int) -> None:
        super().__init__([model], (), Choice((), GREEDY, torch.device("cpu")), at_once, Padding())
        self.steps: list[int] = []
        self.widths: list[int] = []

    def step(self, group: Group) -> None:
        super().step(group)
        self.steps.append(len(group.rows))
        self.widths.append(group.mask.shape[1])


def rooms(*new_tokens: int, prompt: int = 3) -> dict[int, Request]:
    return {index: Request((9,) * prompt, room, 0) for index, room in enumerate(new_tokens)}


def watched(model: Any, requests: dict[int, Request], at_once: int) -> Watched:
    decoder = Watched(model, at_once)
    found = dict(decoder.complete(requests.items()))
    assert {index: len(ids) for index, ids in found.items()} == {
        index: request.max_new_tokens for index, request in requests.items()
    }
    return decoder


def test_a_row_that_is_done_costs_nothing_more(tiny_model: Callable[..., Any]) -> None:
    assert watched(tiny_model(), rooms(1, 2, 4, 7), at_once=4).steps == [3, 2, 2, 1, 1, 1]


def test_waiting_prompts_join_once_a_quarter_of_the_rows_is_free(tiny_model: Callable[..., Any]) -> None:
    # Eight rows; one is done after the first token, another after the second: then two of four join.
    steps = watched(tiny_model(), rooms(1, 2, *[6] * 10), at_once=8).steps
    assert steps[:3] == [7, 8, 8]
    # When all that wait fit in, they do not wait for others.
    assert watched(tiny_model(), rooms(1, *[6] * 8), at_once=8).steps[:1] == [8]


def test_columns_that_no_row_needs_any_more_are_let_go(tiny_model: Callable[..., Any]) -> None:
    requests = {0: Request((9,) * 40, 2, 0), 1: Request((9,) * 4, 6, 0)}
    assert watched(tiny_model(), requests, at_once=2).widths == [41, 6, 7, 8, 9]


def test_prompts_are_read_in_forwards_of_bounded_size(
    tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, read = tiny_model(), []
    real = model.forward

    def forward(**arguments: Any) -> Any:
        read.append(arguments["input_ids"].shape)
        return real(**arguments)

    monkeypatch.setattr(model, "forward", forward)
    monkeypatch.setattr("lrbench.sampling.engines.decoding.TOKENS_PER_FORWARD", {"cpu": 100})
    watched(model, rooms(*[2] * 5, prompt=40), at_once=5)
    assert read == [(2, 40), (2, 40), (1, 40), (5, 1)]
    read.clear()
    watched(model, rooms(2, prompt=150), at_once=5)
    assert read == [(1, 150), (1, 1)]


def counted(model: Any, prompts: Sequence[int], rooms: Sequence[int]) -> Padding:
    choice, padding = Choice((), GREEDY, torch.device("cpu")), Padding()
    requests = {
        index: Request((9,) * length, room, 0)
        for index, (length, room) in enumerate(zip(prompts, rooms, strict=True))
    }
    dict(Decoder([model], (), choice, 8, padding).complete(requests.items()))
    return padding


def test_padding_is_what_was_computed_and_not_needed(tiny_model: Callable[..., Any]) -> None:
    padding = counted(tiny_model(), prompts=(6, 3), rooms=(4, 4))
    assert (padding.computed, padding.needed) == (2 * 6 + 3 * 2, 6 + 3 + 3 + 3)
    assert (padding.read, padding.of_use) == (2 * (6 + 7 + 8 + 9), (6 + 7 + 8 + 9) + (3 + 4 + 5 + 6))
    assert padding.facts == {"padding": "17% of 18 tokens", "padding_of_cache": "20%"}


def test_rows_of_one_length_pad_nothing(tiny_model: Callable[..., Any]) -> None:
    padding = counted(tiny_model(), prompts=(6, 6), rooms=(4, 2))
    assert padding.facts == {"padding": "0% of 16 tokens", "padding_of_cache": "0%"}
    assert Padding().facts == {}
