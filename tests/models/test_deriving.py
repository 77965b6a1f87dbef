"""A model of another's first layers: the same up to there, and of its own from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.errors import ModelError
from lrbench.models.deriving import derivable_layers, keep_layers, learning_weights
from lrbench.models.source import LocatedModel, locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


def all_hidden_states(model: Any) -> tuple[torch.Tensor, ...]:
    states: tuple[torch.Tensor, ...] = model(input_ids=IDS, output_hidden_states=True).hidden_states
    return states


def test_the_layers_that_are_kept_compute_what_they_did(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model(layers=4)
    kept = keep_layers(model, 2)
    whole, part = all_hidden_states(model), all_hidden_states(kept)
    assert len(part) == 3
    torch.testing.assert_close(part[1], whole[1], rtol=0, atol=0)
    # What a model returns last has been through the final norm.
    torch.testing.assert_close(part[2], model.base_model.norm(whole[2]), rtol=0, atol=0)


def test_the_model_itself_stays_as_it_is(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model(layers=3)
    before = model(input_ids=IDS).logits
    kept = keep_layers(model, 1)
    for weight in learning_weights(kept).values():
        weight.data.zero_()
    torch.testing.assert_close(model(input_ids=IDS).logits, before, rtol=0, atol=0)
    assert model.config.num_hidden_layers == 3
    assert not any(weight.requires_grad for weight in model.parameters())


def test_it_is_made_in_float32_and_can_be_saved_and_loaded(
    tiny_model: Callable[..., Any], tmp_path: Path
) -> None:
    model = tiny_model(layers=3)
    for weight in model.parameters():
        weight.data = weight.data.bfloat16()
    kept = keep_layers(model, 2)
    kept.save_pretrained(tmp_path)
    loaded = type(kept).from_pretrained(tmp_path, dtype=torch.float32)
    assert {weight.dtype for weight in kept.parameters()} == {torch.float32}
    assert len(loaded.config.layer_types) == loaded.config.num_hidden_layers == 2
    torch.testing.assert_close(loaded(input_ids=IDS).logits, kept(input_ids=IDS).logits, rtol=0, atol=0)


def test_only_layers_and_the_final_norm_learn(tiny_model: Callable[..., Any]) -> None:
    names = learning_weights(keep_layers(tiny_model(layers=3), 2))
    assert {name.split(".")[1] for name in names} == {"layers", "norm"}
    assert {name.split(".")[2] for name in names if ".layers." in name} == {"0", "1"}


def test_the_layers_that_there_are_can_be_counted_without_weights() -> None:
    assert derivable_layers(locate(ModelReference(model="embedded/expert"), FileHashes())) == 4


def test_an_architecture_without_a_list_of_layers_is_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config

    GPT2Config(n_layer=2, n_head=2, n_embd=8, vocab_size=16).save_pretrained(tmp_path)
    model = LocatedModel("other/model", Path(), "", "float32", ())
    with pytest.raises(ModelError, match=r"other/model keeps its layers in no list .*pair\.amateur\.model"):
        derivable_layers(replace(model, folder=tmp_path))
