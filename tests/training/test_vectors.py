"""Steering vectors: nothing at zero, one for each layer, added to the residual stream, kept as an adapter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.errors import ModelError, RunError
from lrbench.models.layers import closing_layer
from lrbench.recipe.schema import Lora
from lrbench.training.adapters import (
    adapter_state,
    attach_adapter,
    changes_model,
    load_adapter,
    merge_adapter,
    write_adapter_config,
    write_adapter_weights,
)

IDS = torch.arange(8, 24).unsqueeze(0)
LAYERS, HIDDEN = 3, 32


@pytest.fixture
def model(tiny_model: Callable[..., Any]) -> Any:
    return tiny_model(seed=3, layers=LAYERS, hidden=HIDDEN)


def steered(model: Any) -> Any:
    return attach_adapter(model, Lora(), seed=1, steers=True)


def learning(adapted: Any) -> dict[str, torch.nn.Parameter]:
    return {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def saved(adapted: Any, folder: Path) -> Path:
    write_adapter_config(folder / "adapter_config.json", Lora(), "tiny", adapted)
    write_adapter_weights(folder / "adapter_model.safetensors", adapted)
    return folder


def test_identity_27_zero_vectors_are_the_expert(model: Any, tmp_path: Path) -> None:
    before = logits(model)
    adapted = steered(model)
    assert torch.equal(logits(adapted.eval()), before)
    assert not changes_model(saved(adapted, tmp_path))


def test_identity_27_as_many_numbers_learn_as_layers_times_width(model: Any) -> None:
    found = learning(steered(model))
    assert sum(weight.numel() for weight in found.values()) == LAYERS * HIDDEN
    assert len(found) == LAYERS


def test_a_vector_is_added_to_what_its_layer_gives(model: Any) -> None:
    """All of them are what a hook on every MLP would add."""
    expected_model = model
    vectors = torch.randn(LAYERS, HIDDEN, generator=torch.Generator().manual_seed(0))
    hooks = [
        layer.mlp.register_forward_hook(lambda _module, _inputs, output, vector=vector: output + vector)
        for layer, vector in zip(expected_model.model.layers, vectors, strict=True)
    ]
    expected = logits(expected_model)
    for hook in hooks:
        hook.remove()
    adapted = steered(model).eval()
    for weight, vector in zip(learning(adapted).values(), vectors, strict=True):
        weight.data.copy_(vector)
    torch.testing.assert_close(logits(adapted), expected)


def test_only_vectors_move_and_what_is_saved_is_what_is_loaded(
    model: Any, tiny_model: Callable[..., Any], tmp_path: Path
) -> None:
    adapted = steered(model)
    optimizer = torch.optim.SGD(learning(adapted).values(), lr=0.1)
    adapted(input_ids=IDS).logits[..., 5].sum().backward()
    optimizer.step()
    for name, tensor in adapter_state(adapted).items():
        assert bool(tensor.any()) == name.endswith("bias"), name
    folder = saved(adapted, tmp_path)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["lora_bias"], config["target_modules"]) == (True, ["down_proj"])
    assert changes_model(folder)
    again = load_adapter(tiny_model(seed=3, layers=LAYERS, hidden=HIDDEN), folder)
    assert torch.equal(logits(again), logits(adapted.eval()))


def test_they_cannot_be_merged(model: Any, tiny_model: Callable[..., Any], tmp_path: Path) -> None:
    adapted = steered(model)
    for weight in learning(adapted).values():
        weight.data.fill_(0.5)
    folder = saved(adapted, tmp_path)
    with pytest.raises(RunError, match="no part of any weight that the model has, so they cannot be merged"):
        merge_adapter(tiny_model(seed=3, layers=LAYERS, hidden=HIDDEN), folder)


def test_a_model_without_one_such_layer_each_is_refused(model: Any) -> None:
    model.model.layers[0].mlp.down_proj = torch.nn.Identity()
    with pytest.raises(ModelError, match="down_proj, fc2, dense_4h_to_h, fc_out is there once a layer"):
        closing_layer("tiny", model)
