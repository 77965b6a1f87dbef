"""Adapters: attached to a model in memory, kept as safetensors and JSON in PEFT's format.

Steering vectors are the bias of a LoRA adapter whose matrices are zero and stay so: what the last layer of
every MLP gives is added to the residual stream, and so is a bias of it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor

from lrbench.errors import RunError
from lrbench.models.layers import adapted_modules, adapts_output, closing_layer, untie
from lrbench.models.loading import Model
from lrbench.recipe.schema import Lora

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"


def attach_adapter(
    model: Model, lora: Lora, seed: int, start: Path | None = None, steers: bool = False
) -> PeftModel:
    """Attach an adapter: A random from `seed`, B zero, so that it begins as no change at all.

    One that `steers` is a vector for each layer in the place of A and B, and nothing else of it learns.

    From the folder `start` it begins as the adapter there, which has to be of the same shape. Of a model that
    sees or hears as well, the layers that read text have one. Raises `RunError` when `start` is of others.
    """
    torch.manual_seed(seed)
    config = _steering(model) if steers else _config(lora, adapted_modules(model, lora.target_modules))
    with _known_warnings():
        adapted = get_peft_model(model, config)
    if steers:
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.requires_grad_(name.endswith("bias"))
                weight.data.zero_()
    if start is not None:
        state = load_file(start / WEIGHTS_FILE)
        if other := state.keys() ^ adapter_state(adapted).keys():
            raise RunError(f"{start}: the adapter to begin from is for other modules: {min(other)}")
        restore_adapter(adapted, state)
    return adapted


def adapter_state(adapted: PeftModel) -> dict[str, Tensor]:
    """The adapter's tensors by name, in a stable order."""
    with _known_warnings():
        state: dict[str, Tensor] = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    return {name: state[name].detach().contiguous() for name in sorted(state)}


def restore_adapter(adapted: PeftModel, state: dict[str, Tensor]) -> None:
    """Put tensors of `adapter_state` back."""
    set_peft_model_state_dict(adapted, state)


def write_adapter_config(path: Path, lora: Lora, base_model: str, adapted: PeftModel | None = None) -> None:
    """Write PEFT's adapter_config.json. Modules are sorted, since PEFT keeps them in a set.

    `adapted` says which of those that `lora` names have the adapter, where not all of them do.
    """
    own = None if adapted is None else adapted.peft_config["default"]
    steers = own is not None and own.lora_bias
    chosen: Any = own if steers else _config(lora)
    config = chosen.to_dict() | {"base_model_name_or_path": base_model, "inference_mode": True}
    pattern = None if own is None else own.target_modules
    names = chosen.target_modules if steers else lora.target_modules
    config["target_modules"] = pattern if isinstance(pattern, str) else sorted(names)
    path.write_text(json.dumps(config, indent=2, sort_keys=True, default=_plain) + "\n")


def write_adapter_weights(path: Path, adapted: PeftModel) -> None:
    """Write the adapter's tensors as safetensors."""
    save_file(adapter_state(adapted), path)


def load_adapter(model: Model, folder: Path) -> PeftModel:
    """`model` with the adapter of `folder` applied, in evaluation mode.

    Raises `RunError` when the adapter is only partly taken over, or changes nothing: an evaluation of it
    would measure something else.
    """
    probe_BT = torch.arange(16, device=model.device).unsqueeze(0)
    with torch.no_grad():
        before = model(input_ids=probe_BT).logits
        with _known_warnings():
            adapted = PeftModel.from_pretrained(model, str(folder)).eval()
        after = model(input_ids=probe_BT).logits
    missing = load_file(folder / WEIGHTS_FILE).keys() ^ adapter_state(adapted).keys()
    if missing:
        raise RunError(f"{folder}: the adapter is for other modules than the model has: {min(missing)}")
    if torch.equal(before, after) and changes_model(folder):
        raise RunError(f"{folder}: the adapter was loaded but changes no logit of the model")
    return adapted


def merge_adapter(model: Model, folder: Path) -> Model:
    """`model` with the adapter of `folder` added into its weights, in their dtype.

    Raises as `load_adapter` does, and `RunError` for what no weight can hold.
    """
    adapted = load_adapter(model, folder)
    check_mergeable(adapted, folder)
    if adapts_output(adapted.get_base_model()):
        untie(adapted.get_base_model())
    merged: Model = adapted.merge_and_unload()
    return merged.eval()


def check_mergeable(adapted: PeftModel, folder: Path) -> None:
    """Raise `RunError` for steering vectors: the layers whose output they are added to have no bias."""
    if adapted.peft_config["default"].lora_bias:
        raise RunError(
            f"{folder}: steering vectors are no part of any weight that the model has, so they cannot be "
            "merged; they are loaded beside the model, as an adapter in PEFT's format"
        )


def changes_model(folder: Path) -> bool:
    """Whether the adapter of `folder` is any change at all; a fresh one, whose B is zero, is none."""
    tensors = load_file(folder / WEIGHTS_FILE)
    return any(tensor.any() for name, tensor in tensors.items() if "lora_B" in name)


@contextmanager
def _known_warnings() -> Iterator[None]:
    """PEFT warns of an adapter of an output layer that shares its table, and a merge here unties it first.

    It also warns of a bias where the layer has none, since that cannot be merged, and nothing here tries to.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")
        warnings.filterwarnings("ignore", message="`lora_bias=True` was passed")
        warnings.filterwarnings("ignore", message=".* LoRA tensor\\(s\\) have invalid shape: .*bias")
        yield


def _config(lora: Lora, modules: list[str] | str | None = None) -> LoraConfig:
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) if modules is None else modules,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _steering(model: Model) -> LoraConfig:
    return LoraConfig(
        r=1,
        lora_alpha=1,
        lora_dropout=0.0,
        target_modules=adapted_modules(model, [closing_layer("the model", model)]),
        lora_bias=True,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set) else str(value)
