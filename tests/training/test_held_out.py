"""Held-out perplexity equals its definition, one forward a rollout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lrbench.models import forward
from lrbench.training import held_out
from lrbench.training.held_out import perplexity
from tests.training.conftest import VOCABULARY, random_rollouts


def by_definition(model: Any, rollouts: list[Any]) -> float:
    keep = [token for token in range(VOCABULARY.size) if token not in VOCABULARY.unused]
    terms = []
    for rollout in rollouts:
        logits = model(input_ids=torch.tensor([rollout.token_ids])).logits[0]
        for step, token in enumerate(rollout.completion_ids):
            log_p = torch.log_softmax(logits[len(rollout.prompt_ids) - 1 + step, keep].double(), dim=-1)
            terms.append(log_p[keep.index(token)].item())
    return math.exp(-sum(terms) / len(terms))


@pytest.mark.parametrize("tokens", [1, 20, 10_000])
@pytest.mark.parametrize("chunk", [1, 7, 256])
def test_perplexity_is_its_definition_whatever_is_in_memory_at_once(
    tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tokens: int, chunk: int
) -> None:
    monkeypatch.setitem(forward.TOKENS_PER_FORWARD, "cpu", tokens)
    monkeypatch.setattr(held_out, "chunk_size", lambda _vocabulary: chunk)
    model, rollouts = tiny_model(seed=1), random_rollouts(9)
    found = perplexity(model, VOCABULARY, rollouts)
    assert found == pytest.approx(by_definition(model, rollouts), rel=1e-5)


def test_a_model_that_knows_nothing_has_the_perplexity_of_the_vocabulary(
    tiny_model: Callable[..., Any],
) -> None:
    model = tiny_model(seed=1)
    model.model.norm.weight.data.zero_()
    assert perplexity(model, VOCABULARY, random_rollouts(4)) == pytest.approx(60, rel=1e-6)


def test_a_mean_too_large_to_be_raised_is_infinite(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model(seed=1)
    model.model.norm.weight.data.mul_(1e6)
    assert perplexity(model, VOCABULARY, random_rollouts(4)) == math.inf
