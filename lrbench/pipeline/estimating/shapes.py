"""What decides the cost of a model: read from its config and the headers of its weights."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lrbench.models.source import LocatedModel

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# As safetensors calls them.
_STORED_BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}
LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder: `parameters` in all, `key_values` are the key numbers of one token and layer.

    `tied` says that the output layer is the table of embeddings, so that it is counted once.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    key_values: int
    vocabulary: int
    tied: bool

    @property
    def head(self) -> int:
        """Parameters of the output layer."""
        return self.vocabulary * self.hidden

    @property
    def body(self) -> int:
        """Parameters that every token is multiplied with, besides the output layer."""
        return self.parameters - self.head * (1 if self.tied else 2)


def shape_of(model: LocatedModel) -> Shape | None:
    """The model's shape; None where it is neither here nor among the published ones, or says too little."""
    if not model.here:
        return published_shapes().get(model.name)
    try:
        config = json.loads((model.folder / "config.json").read_text())
        sizes = [_parameters(path) for path in sorted(model.folder.glob("*.safetensors"))]
        shape = _shape(config.get("text_config", config), sum(sizes))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, struct.error):
        # A run says what is wrong with the model; a plan merely knows less.
        return None
    sound = min(shape.layers, shape.hidden, shape.intermediate, shape.key_values, shape.vocabulary) > 0
    return shape if sound and shape.body > 0 else None


def layers_of(model: LocatedModel) -> int | None:
    """How many layers the model has; None where it is neither here nor published, or its config is silent."""
    if not model.here:
        published = published_shapes().get(model.name)
        return None if published is None else published.layers
    try:
        config = json.loads((model.folder / "config.json").read_text())
        layers = config.get("text_config", config)["num_hidden_layers"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return layers if isinstance(layers, int) else None


@cache
def published_shapes() -> dict[str, Shape]:
    """The shapes of `shapes.yaml` by hub id."""
    found = yaml.safe_load(Path(__file__).with_name("shapes.yaml").read_text())
    return {name: Shape(**sizes) for name, sizes in found.items()}


def _shape(config: dict[str, Any], parameters: int) -> Shape:
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    return Shape(
        parameters=parameters,
        layers=int(config["num_hidden_layers"]),
        hidden=int(config["hidden_size"]),
        intermediate=int(config["intermediate_size"]),
        key_values=int((config.get("num_key_value_heads") or heads) * width),
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def stored_bytes(weights: Path) -> int:
    """Bytes of the numbers in a safetensors file. Raises `ValueError` or `KeyError` where it is none."""
    return sum(
        math.prod(tensor["shape"]) * _STORED_BYTES[tensor["dtype"]]
        for name, tensor in _header(weights).items()
        if name != "__metadata__"
    )


def _parameters(weights: Path) -> int:
    """Numbers in a safetensors file."""
    return sum(
        math.prod(tensor["shape"]) for name, tensor in _header(weights).items() if name != "__metadata__"
    )


def _header(weights: Path) -> dict[str, Any]:
    """What a safetensors file holds: its first eight bytes are the length of a header of JSON."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > LARGEST_HEADER:
            raise ValueError(f"{weights}: no safetensors header")
        header: dict[str, Any] = json.loads(file.read(length))
    return header
