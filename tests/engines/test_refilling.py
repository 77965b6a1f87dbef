"""Only models with a plain cache are written with refill; all others are written as `generate` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from transformers import GenerationConfig

from lrbench.sampling.engines import refilling
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.refilling import can_refill
from lrbench.sampling.engines.room import CACHES
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.oracles.generation import generated

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
PLAIN = {
    "Qwen2": {},
    "Qwen3": {},
    "Llama": {},
    "Mistral": {"sliding_window": None},
    "Phi3": {},
    "Gemma": {},
    "Olmo2": {},
    "GPT2": {"n_positions": 256, "n_embd": 32, "n_layer": 2, "n_head": 2},
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "original_max_position_embeddings": 128}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
OTHER = {
    "Mistral": {"sliding_window": 8},
    "Gemma2": {"sliding_window": 8},
    "Llama": {"rope_parameters": DYNAMIC},
    "Bloom": {"n_layer": 2, "n_head": 2},
    "Mamba": {"state_size": 4},
}


def built(name: str, **settings: Any) -> Any:
    torch.manual_seed(3)
    config = getattr(transformers, f"{name}Config")(**(SIZES | settings))
    model = getattr(transformers, f"{name}ForCausalLM" if name != "GPT2" else "GPT2LMHeadModel")(config)
    model.generation_config = GenerationConfig()
    return model.eval().requires_grad_(False)


PROMPTS = [tuple((5 * place + length) % 64 for place in range(length)) for length in (3, 21, 9, 14, 1)]


def writes_as_generate(model: Any) -> bool:
    engine = TransformersEngine(model, TokenRules((63, 7), (), 256, 64), batch_size=2)
    expected = [generated(model, [prompt], 12, (63, 7))[0] for prompt in PROMPTS]
    assert len(set(expected)) > 2
    return engine.complete(PROMPTS, 12) == expected


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_cache_is_refilled(name: str) -> None:
    model = built(name, **PLAIN[name])
    assert can_refill(model)
    assert writes_as_generate(model)


def test_rotations_that_are_scaled_once_are_plain() -> None:
    model = built("Llama", rope_parameters=YARN)
    assert can_refill(model)
    assert writes_as_generate(model)


@pytest.mark.parametrize("name", OTHER)
def test_other_caches_are_not_and_write_all_the_same(name: str) -> None:
    model = built(name, **OTHER[name])
    assert not can_refill(model)
    assert writes_as_generate(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_uses_padding_fails_the_trial(
    tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    model = tiny_model().to(dtype)
    real = model.forward

    def forward(**arguments: Any) -> Any:
        if set(CACHES) & set(arguments) and arguments["attention_mask"].dim() == 4:
            arguments["attention_mask"] = torch.zeros_like(arguments["attention_mask"])
        return real(**arguments)

    monkeypatch.setattr(model, "forward", forward)
    assert not can_refill(model)


def test_a_model_is_tried_once_with_all_its_adapters(
    tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import LoraConfig, get_peft_model

    model = tiny_model()
    assert can_refill(model)
    monkeypatch.setattr(refilling, "_trial", None)
    assert can_refill(model)
    lora = LoraConfig(
        r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False
    )
    adapted = get_peft_model(model, lora).eval()
    assert can_refill(adapted)
    assert writes_as_generate(adapted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_plain_cache_is_known_in_half_precision_too(
    tiny_model: Callable[..., Any], dtype: torch.dtype
) -> None:
    for seed in range(5):
        model = tiny_model(seed=seed).to(dtype)
        assert can_refill(model)
        engine = TransformersEngine(model, TokenRules((63,), (), 256, 64), batch_size=3)
        assert {len(completion) for completion in engine.complete(PROMPTS, 12)} <= set(range(1, 13))
