"""Memory: how much is free, how it shows that it has run out, and what to say about it."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lrbench.models.fitting import free_on_machine
from lrbench.models.loading import Model


def out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether `error` is a failed allocation; on a CPU torch reports that as a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


def size_of(model: Model) -> str:
    """Where a model is and how large, for people: `a model of 1,544 million parameters in float32 on cpu`."""
    millions = sum(weight.numel() for weight in model.parameters()) / 1e6
    dtype = str(model.dtype).removeprefix("torch.")
    return f"a model of {millions:,.0f} million parameters in {dtype} on {model.device}"


def free_bytes(device: torch.device) -> int:
    """Bytes that can still be allocated on `device`, what torch holds in reserve included."""
    if device.type == "cuda":
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserve
    return free_on_machine()


def release_cached(device: torch.device) -> None:
    """Give back what torch keeps of a GPU's memory for later, so that other processes can have it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def held_on_gpu(device: torch.device, models: Iterable[Model]) -> dict[str, str]:
    """What torch holds on a GPU and what of it is the weights of `models`, in GiB; nothing on a CPU.

    An engine that runs in this process, such as vLLM, holds its cache there besides.
    """
    if device.type != "cuda":
        return {}
    weights = {
        weight.data_ptr(): weight.nbytes
        for model in models
        for weight in model.parameters()
        if weight.device.type == "cuda"
    }
    found = {"gpu_gib_held": torch.cuda.memory_allocated(device), "gpu_gib_of_models": sum(weights.values())}
    return {name: f"{held / 2**30:.3f}" for name, held in found.items()}
