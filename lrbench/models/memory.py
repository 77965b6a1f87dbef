"""Memory that has run out: how it shows, and what to say about it."""

from __future__ import annotations

import torch

from lrbench.models.loading import Model


def out_of_memory(error: RuntimeError) -> bool:
    """Whether `error` is a failed allocation; on a CPU torch reports that as a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


def size_of(model: Model) -> str:
    """Where a model is and how large, for people: `a model of 1,544 million parameters in float32 on cpu`."""
    millions = sum(weight.numel() for weight in model.parameters()) / 1e6
    dtype = str(model.dtype).removeprefix("torch.")
    return f"a model of {millions:,.0f} million parameters in {dtype} on {model.device}"
