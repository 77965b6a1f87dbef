"""Models whose caches cannot lose rows read along too, each with the cache that it has, or with none."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrbench.methods.answers import OWN, Mix, Plain, TokenBudget
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.refilling import can_refill
from lrbench.sampling.engines.row_batches import Reader
from tests.engines.test_refilling import OTHER, PROMPTS, built
from tests.oracles.generation import generated
from tests.oracles.mixing import mixed

STOPS = (63, 7)
RULES = TokenRules(STOPS, (), 256, 64)


@pytest.fixture(scope="module", params=OTHER)
def unusual(request: pytest.FixtureRequest) -> Any:
    model = built(request.param, **OTHER[request.param])
    assert not can_refill(model)
    return model


def test_one_of_them_writes_as_generate_does(unusual: Any) -> None:
    expected = [generated(unusual, [prompt], 12, STOPS)[0] for prompt in PROMPTS]
    for batch_size in (1, 2, 5):
        padding = Padding()
        engine = LockstepEngine({OWN: unusual}, Plain(), RULES, batch_size, padding, int)
        assert engine.complete(PROMPTS, 12) == expected
        needed = sum(len(prompt) + len(ids) - 1 for prompt, ids in zip(PROMPTS, expected, strict=True))
        assert padding.needed == needed <= padding.computed


@pytest.mark.parametrize("second", ["Qwen2", "Mamba"])
def test_they_are_mixed_with_others_as_defined(unusual: Any, second: str) -> None:
    models = {"expert": unusual, "amateur": built(second, **OTHER.get(second, {}))}
    answer = Mix(mix={"expert": 1.0, "amateur": -0.5}, alpha=0.1)
    found = LockstepEngine(models, answer, RULES, 2, token_of=int).complete(PROMPTS, 8)
    assert found == [mixed(models, answer.mix, prompt, 8, STOPS, alpha=0.1) for prompt in PROMPTS]


def test_a_rule_holds_for_them_too(unusual: Any) -> None:
    answer = TokenBudget.model_validate({"budget": {"at_least": 6, "at_most": 6}})
    found = LockstepEngine({OWN: unusual}, answer, RULES, 2, token_of=int).complete(PROMPTS, 12)
    assert all(len(ids) == 6 and ids[-1] in STOPS for ids in found)


def test_a_model_without_any_cache_reads_all_of_a_row_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = built("Qwen2")
    monkeypatch.setattr("lrbench.sampling.engines.row_batches.CACHES", ())
    reader, read = Reader(model), []
    real = model.forward

    def forward(**inputs: Any) -> Any:
        read.append(inputs["input_ids"].shape[1])
        return real(**inputs)

    monkeypatch.setattr(model, "forward", forward)
    ids_BT = torch.tensor([[5, 6, 7]])
    first = reader.last_logits(ids_BT, torch.ones_like(ids_BT))
    longer = torch.tensor([[5, 6, 7, 8]])
    reader.last_logits(longer, torch.ones_like(longer))
    assert read == [3, 4]
    torch.testing.assert_close(first, model(input_ids=ids_BT).logits[:, -1])
