"""One entry of a question's cache is moved once: by nothing it is the model itself, else as defined."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from lrbench.errors import RunError
from lrbench.methods.answers import OWN
from lrbench.methods.cache_shift import CacheShift
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.room import remembered
from tests.engines.lockstep import (
    NO_TOKENS,
    PROMPTS,
    RULES,
    SPEECH,
    STOPS,
    TOKENS,
    Ids,
    alone,
    answers_by,
    cache_shift,
    written_by,
)

QUESTIONS = ["20 21 22", "30 31"]
TOWARDS = "9 10 {question} 11 12"


def last_but_one(model: Any, ids: Ids) -> list[Tensor]:
    """Keys and values of the last entry but one, by layer, from a cache of transformers' own."""
    cache = DynamicCache(config=model.config)
    model(input_ids=torch.tensor([ids]), **remembered(model, cache))
    return [part[0, :, -2] for layer in cache.layers for part in (layer.keys, layer.values)]


def moved(model: Any, prompt: Ids, answer: CacheShift) -> Ids:
    """Greedy, with the cache moved by hand: the slow way, one row at a time."""
    shifting = answer.cache_shift
    with torch.no_grad():
        differences = []
        for towards, away in shifting.pairs:
            both = [last_but_one(model, SPEECH.ask(text)) for text in (towards, away)]
            differences.append([one - other for one, other in zip(*both, strict=True)])
        means = [sum(each) / len(each) for each in zip(*differences, strict=True)]
        cache = DynamicCache(config=model.config)
        model(input_ids=torch.tensor([prompt[:-1]]), **remembered(model, cache))
        for place, layer in enumerate(cache.layers):
            layer.keys[0, :, -1] += shifting.keys * means[2 * place]
            layer.values[0, :, -1] += shifting.values * means[2 * place + 1]
        written: list[int] = []
        following = prompt[-1]
        while len(written) < TOKENS and (not written or written[-1] not in STOPS):
            logits = model(input_ids=torch.tensor([[following]]), **remembered(model, cache)).logits[0, -1]
            logits[list(NO_TOKENS)] = -torch.inf
            following = int(logits.argmax())
            written.append(following)
    return tuple(written)


@pytest.mark.parametrize(
    "nothing",
    [{"keys": 0.0, "values": 0.0}, {"towards": "{question}", "keys": 2.0}],
    ids=["no strength", "the same question"],
)
def test_a_cache_that_is_moved_by_nothing_leaves_the_base(
    models: dict[str, Any], nothing: dict[str, Any]
) -> None:
    settings = {"towards": TOWARDS, "questions": QUESTIONS, **nothing}
    found = answers_by(models, cache_shift(**settings))
    assert [answered.completion for answered in found] == alone(models[OWN])
    for answered in found:
        count = len(answered.completion)
        assert (answered.passes, answered.written) == ({OWN: count}, count)


@pytest.mark.parametrize("strengths", [{"values": 3.0}, {"keys": 3.0, "values": 0.0}, {"keys": 1.0}])
def test_one_entry_is_moved_by_the_mean_difference_and_nothing_else_is(
    models: dict[str, Any], strengths: dict[str, float]
) -> None:
    answer = cache_shift(towards=TOWARDS, questions=QUESTIONS, **strengths)
    expected = [moved(models[OWN], prompt, answer) for prompt in PROMPTS]
    assert written_by(models, answer) == written_by(models, answer, batch_size=1) == expected
    assert expected != alone(models[OWN])


def test_it_takes_a_cache_that_keeps_every_token(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.sampling.engines.lockstep.can_refill", lambda _: False)
    answer = cache_shift(towards=TOWARDS, questions=QUESTIONS)
    with pytest.raises(RunError, match="does not keep one for every token in every layer"):
        LockstepEngine(models, answer, RULES, 4, speech=SPEECH).answer(PROMPTS, TOKENS)


def test_a_model_whose_arguments_have_no_names_is_given_its_cache_as_before() -> None:
    """As one that hands all of them on."""

    class HandsOn(torch.nn.Module):
        def forward(self, **given: Any) -> None: ...

    cache: Any = object()
    given: Any = HandsOn()
    assert remembered(given, cache) == {"past_key_values": cache}
