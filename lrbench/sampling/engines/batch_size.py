"""How many rows are written at once where a recipe leaves it to the machine."""

from __future__ import annotations

from collections.abc import Sequence

from lrbench.models.fitting import Widths, rows_at_once
from lrbench.models.loading import Model
from lrbench.models.memory import free_bytes
from lrbench.sampling.engines.base import Request


def rows_that_fit(model: Model, requests: Sequence[Request]) -> int:
    """How many of the requests `model` can write at once in the memory that is free now; 1 at least."""
    return rows_at_once(
        widths_of(model),
        tokens=max(len(request.prompt) + request.max_new_tokens for request in requests),
        free=free_bytes(model.device),
        device="cuda" if model.device.type == "cuda" else "cpu",
    )


def widths_of(model: Model) -> Widths:
    """The sizes of a loaded model that its cache, logits and activations come from."""
    config = model.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Widths(
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        key_values=(getattr(config, "num_key_value_heads", None) or heads) * head_dim,
        vocabulary=config.vocab_size,
        number=model.dtype.itemsize,
    )
