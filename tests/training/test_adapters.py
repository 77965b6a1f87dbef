"""An adapter that is not wholly applied is found out; a fresh one is rightly no change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from lrbench.errors import RunError
from lrbench.recipe.schema import Lora
from lrbench.training.adapters import (
    WEIGHTS_FILE,
    attach_adapter,
    changes_model,
    load_adapter,
    write_adapter_config,
    write_adapter_weights,
)

IDS = torch.arange(20).unsqueeze(0)


@pytest.fixture
def model(tiny_model: Callable[..., Any]) -> Any:
    return tiny_model(seed=3)


@pytest.fixture
def write_adapter(tiny_model: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Writes an adapter whose B holds `b` everywhere."""

    def write(b: float) -> Path:
        lora = Lora(dropout=0.0)
        adapted = attach_adapter(tiny_model(seed=3), lora, seed=1)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_B" in name:
                    parameter.fill_(b)
        write_adapter_config(tmp_path / "adapter_config.json", lora, "tiny")
        write_adapter_weights(tmp_path / WEIGHTS_FILE, adapted)
        return tmp_path

    return write


def test_a_loaded_adapter_changes_the_model(model: Any, write_adapter: Callable[..., Path]) -> None:
    before = model(IDS).logits
    folder = write_adapter(0.1)
    assert changes_model(folder)
    assert not torch.allclose(load_adapter(model, folder)(IDS).logits, before)


def test_a_fresh_adapter_is_no_change_and_no_error(model: Any, write_adapter: Callable[..., Path]) -> None:
    before = model(IDS).logits
    folder = write_adapter(0.0)
    assert not changes_model(folder)
    assert torch.equal(load_adapter(model, folder)(IDS).logits, before)


def test_an_adapter_that_is_dropped_stops_the_run(
    model: Any, write_adapter: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dropped(base: Any, folder: str) -> PeftModel:
        from peft import PeftConfig

        return get_peft_model(base, PeftConfig.from_pretrained(folder))

    folder = write_adapter(0.1)
    monkeypatch.setattr(PeftModel, "from_pretrained", dropped)
    with pytest.raises(RunError, match="the adapter was loaded but changes no logit of the model"):
        load_adapter(model, folder)


def test_an_adapter_with_weights_for_modules_the_model_has_not_stops_the_run(
    model: Any, write_adapter: Callable[..., Path]
) -> None:
    folder = write_adapter(0.1)
    tensors = load_file(folder / WEIGHTS_FILE)
    renamed = {name.replace("layers.1.", "layers.7."): tensor for name, tensor in tensors.items()}
    save_file(renamed, folder / WEIGHTS_FILE)
    with pytest.raises(RunError, match=r"the adapter is for other modules .*layers\.1\."):
        load_adapter(model, folder)
