"""A GGUF file, proven before anything is made of it: what it is, whether it is whole, what it holds.

The format keeps no checksums, so a flipped bit of a weight cannot be seen; `card` says the file's hash.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrbench.errors import ModelError, UserError, first_line
from lrbench.models.reading import require_ordinary

MAGIC = b"GGUF"
# Held against transformers' own loader in the tests. Others need transforms of their own weights.
ARCHITECTURES = ("llama", "qwen2", "qwen3")
EMBEDDING = "token_embd.weight"
OUTPUT = "output.weight"
UNKNOWN_TYPE = re.compile(r"(\d+)\)? is not a valid GGMLQuantizationType")
# Rows that are dequantised together, since the library holds what it makes twice meanwhile.
ROWS = 4096
# What readers of damaged headers raise.
DAMAGE = (struct.error, ValueError, KeyError, IndexError, OverflowError, MemoryError, TypeError)


@dataclass(frozen=True)
class GgufFile:
    """What a file says of itself, and its tensors by the names they have there, none of them read yet."""

    path: Path
    architecture: str
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Any]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, as torch has it."""
        return tuple(int(size) for size in reversed(self.tensors[name].shape))

    def quantisation(self, name: str) -> str:
        """How a tensor is stored, such as `Q4_K`."""
        return str(self.tensors[name].tensor_type.name)

    def bits(self, name: str) -> float:
        """How many bits of the file each weight of a tensor takes."""
        tensor = self.tensors[name]
        return float(tensor.n_bytes * 8 / tensor.n_elements)

    def dequantised(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A tensor's weights in float32."""
        from gguf import dequantize

        tensor = self.tensors[name]
        if tensor.data.ndim < 2:
            return np.array(dequantize(tensor.data, tensor.tensor_type))
        weights = np.empty(self.shape(name), dtype=np.float32)
        for first in range(0, len(weights), ROWS):
            weights[first : first + ROWS] = dequantize(tensor.data[first : first + ROWS], tensor.tensor_type)
        return weights

    def rows(self, name: str, indices: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Some rows of a matrix in float32."""
        from gguf import dequantize

        tensor = self.tensors[name]
        return np.array(dequantize(tensor.data[indices], tensor.tensor_type))


def open_gguf(path: Path) -> GgufFile:
    """Open and prove the file at `path`; the weights themselves are not read.

    Raises `UserError` where the package that reads the format is missing, and `ModelError` for what is no
    GGUF file, is damaged or cut short, is of an architecture or a quantisation that is not known here.
    """
    require_ordinary(str(path.parent), path)
    with path.open("rb") as file:
        begins = file.read(len(MAGIC))
    if begins != MAGIC:
        raise ModelError(f"{path} is no GGUF file: it begins with {begins!r}, and those with {MAGIC!r}")
    try:
        import gguf
    except ImportError as error:
        raise UserError(
            "GGUF files are read with the package gguf, which is not installed here: "
            "pip install 'lrbench[convert]', or pip install gguf"
        ) from error
    metadata = _metadata(path)
    architecture = metadata["general.architecture"]
    if architecture not in ARCHITECTURES:
        raise ModelError(
            f"{path}: a model of the architecture {architecture!r} cannot be converted; "
            f"those that can are {', '.join(ARCHITECTURES)}"
        )
    scaling = metadata.get(f"{architecture}.rope.scaling.type", "none")
    if scaling != "none":
        raise ModelError(
            f"{path}: its positions are scaled ({architecture}.rope.scaling.type is {scaling!r}), which "
            "transformers does not take over from such a file, so the model would compute something else"
        )
    try:
        tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    except DAMAGE as error:
        unknown = UNKNOWN_TYPE.search(str(error))
        if unknown:
            raise ModelError(
                f"{path}: holds weights of quantisation type {unknown[1]}, which the package gguf does not "
                "know; a newer one may"
            ) from error
        raise _damaged(path, error) from error
    found = GgufFile(path, architecture, metadata, tensors)
    _check_types(found)
    return found


def _metadata(path: Path) -> dict[str, Any]:
    # gguf's own reader believes every count it reads, and would follow a damaged one for years.
    from transformers.integrations.gguf import read_gguf_metadata

    try:
        metadata: dict[str, Any] = read_gguf_metadata(str(path))[0]
    except DAMAGE as error:
        raise _damaged(path, error) from error
    if not isinstance(metadata["general.architecture"], str):
        raise _damaged(path, ValueError("general.architecture is no text"))
    return metadata


def _check_types(file: GgufFile) -> None:
    """Dequantise one row of each type, so that one that cannot be is told before anything is written."""
    from gguf import dequantize

    for name, tensor in {file.quantisation(name): each for name, each in file.tensors.items()}.items():
        try:
            dequantize(tensor.data[:1] if tensor.data.ndim > 1 else tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ModelError(
                f"{file.path}: {tensor.name} is quantised as {name}, which the package gguf cannot dequantise"
            ) from error


def _damaged(path: Path, error: BaseException) -> ModelError:
    return ModelError(
        f"{path}: damaged or cut short, it cannot be read as GGUF ({first_line(error)}); compare its size "
        "and hash with those of its source, and fetch it again"
    )
