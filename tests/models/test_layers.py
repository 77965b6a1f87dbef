"""An adapter changes the layers that read text, and a merge changes what its adapter changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.errors import ModelError
from lrbench.models.forward import check_output_layer
from lrbench.models.layers import adapts_output, language_layers, untie
from lrbench.models.loading import check_architecture, check_target_modules, load_model
from lrbench.models.source import LocatedModel, locate
from lrbench.recipe.schema import Lora, ModelReference
from lrbench.store.keys import FileHashes
from lrbench.training.adapters import (
    WEIGHTS_FILE,
    adapter_state,
    attach_adapter,
    load_adapter,
    write_adapter_config,
    write_adapter_weights,
)

CPU = torch.device("cpu")
IDS = torch.arange(20).unsqueeze(0)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> LocatedModel:
    """A random model that sees and reads, as Gemma 3 does, whose two parts have layers of the same names."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": 64, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 256}
    config = Gemma3Config(
        text_config=sizes | text,
        vision_config=sizes | {"image_size": 28, "patch_size": 14},
        image_token_id=60,
    )
    folder = tmp_path_factory.mktemp("seeing")
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    return located(folder)


def located(folder: Path) -> LocatedModel:
    return locate(ModelReference(model=str(folder)), FileHashes())


def trained(model: Any, lora: Lora) -> Any:
    adapted = attach_adapter(model, lora, seed=1).eval()
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
    return adapted


def test_of_a_model_that_sees_the_layers_that_read_text_are_adapted(
    seeing: LocatedModel, tmp_path: Path
) -> None:
    check_architecture(seeing)
    model = load_model(seeing, CPU)
    check_output_layer(model, "seeing")
    assert any("vision_tower" in name and name.endswith("q_proj") for name, _ in model.named_modules())

    lora = Lora(r=2, dropout=0.0, target_modules=("q_proj", "lm_head"))
    adapted = trained(model, lora)
    parts = {name.split(".lora_")[0].removeprefix("base_model.model.") for name in adapter_state(adapted)}
    assert parts == {*(f"model.language_model.layers.{n}.self_attn.q_proj" for n in (0, 1)), "lm_head"}

    expected = adapted(IDS).logits
    write_adapter_config(tmp_path / "adapter_config.json", lora, "seeing", adapted)
    write_adapter_weights(tmp_path / WEIGHTS_FILE, adapted)
    assert torch.equal(load_adapter(load_model(seeing, CPU), tmp_path)(IDS).logits, expected)


def test_a_model_of_text_alone_has_the_adapter_it_had(tiny_model: Callable[..., Any], tmp_path: Path) -> None:
    model = tiny_model(seed=3)
    assert language_layers("tiny", model).keys() == dict(model.named_modules()).keys()
    adapted = attach_adapter(model, Lora(), seed=1)
    for given in ({}, {"adapted": adapted}):
        write_adapter_config(tmp_path / "adapter_config.json", Lora(), "tiny", **given)
        written = json.loads((tmp_path / "adapter_config.json").read_text())
        assert written["target_modules"] == ["q_proj", "v_proj"]


def test_layers_that_only_see_are_no_targets(seeing: LocatedModel) -> None:
    with pytest.raises(
        ModelError, match=r"no linear layers named 'fc1' that read text \(its other parts have"
    ):
        check_target_modules(seeing, ["fc1"])


def test_targets_that_are_no_linear_layers_are_named_for_what_they_are(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=64, n_embd=32, n_layer=1, n_head=2)
    ).save_pretrained(tmp_path)
    model = located(tmp_path)
    for target, kind in (("c_attn", "Conv1D"), ("wte", "Embedding")):
        with pytest.raises(
            ModelError, match=rf"named '{target}' \(there it is {kind}, which adapters here do"
        ):
            check_target_modules(model, [target])
    with pytest.raises(
        ModelError, match=r"named 'attn' \(there it is GPT2Attention, which is no single layer"
    ):
        check_target_modules(model, ["attn"])


@pytest.mark.parametrize("seen", [False, True])
def test_an_adapter_of_a_tied_output_layer_is_merged_into_a_table_of_its_own(
    tiny_model: Callable[..., Any], seeing: LocatedModel, tmp_path: Path, seen: bool
) -> None:
    model = load_model(seeing, CPU) if seen else tiny_model(seed=3)
    embeddings = model.get_input_embeddings().weight.clone()
    adapted = trained(model, Lora(r=2, dropout=0.0, target_modules=("q_proj", "lm_head")))
    expected = adapted(IDS).logits
    assert adapts_output(adapted.get_base_model())
    untie(adapted.get_base_model())
    merged = adapted.merge_and_unload(safe_merge=True)
    assert torch.allclose(merged(IDS).logits, expected, atol=1e-5)

    merged.save_pretrained(tmp_path / "merged")
    written = load_model(located(tmp_path / "merged"), CPU)
    assert torch.allclose(written(IDS).logits, expected, atol=1e-5)
    assert torch.equal(written.get_input_embeddings().weight, embeddings)
