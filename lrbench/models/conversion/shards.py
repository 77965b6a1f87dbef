"""Weights into safetensors files one after the other, so that never more than a part is in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from lrbench.store.files import give_usual_mode

SHARD_BYTES = 500_000_000
INDEX = "model.safetensors.index.json"


def write_shards(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    dtype: torch.dtype,
    read: Callable[[str], Tensor],
) -> None:
    """Write every weight of `shapes`, as `read` gives it, in files of `SHARD_BYTES` or one weight."""
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save_file

    planned = {name: torch.empty(shape, dtype=dtype, device="meta") for name, shape in shapes.items()}
    split = split_torch_state_dict_into_shards(planned, max_shard_size=SHARD_BYTES)
    for file, names in split.filename_to_tensors.items():
        save_file({name: read(name) for name in names}, folder / file, metadata={"format": "pt"})
        give_usual_mode(folder / file)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
