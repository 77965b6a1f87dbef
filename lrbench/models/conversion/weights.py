"""Which weight of a model each tensor of a GGUF file is, and what is done to it on the way.

Names and transforms are those of transformers' own loader, tensor by tensor instead of all at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrbench.errors import ModelError
from lrbench.models.conversion.gguf_file import EMBEDDING, OUTPUT, GgufFile

# Rows of embedding and output that are compared, and how alike they are where one matrix was quantised twice:
# 0.99 and more from four bits on, about 0.9 at two bits; two matrices are near 0.
COMPARED_ROWS = 512
SAME_MATRIX = 0.8
NAMED = 4


@dataclass(frozen=True)
class StoredTwice:
    """Embedding and output that are one matrix: which copy is kept, which is not, how alike they are."""

    kept: str
    dropped: str
    cosine: float


@dataclass(frozen=True)
class Weights:
    """The weights of a model by their names in it: tensor of the file, and shape.

    `stored_twice` is None where embedding and output are two matrices, or the file holds only one.
    """

    file: GgufFile
    sources: Mapping[str, str]
    tied: bool
    stored_twice: StoredTwice | None
    processor: Any

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight."""
        return self.file.shape(self.sources[name])

    def read(self, name: str, dtype: torch.dtype) -> Tensor:
        """A weight, dequantised. Raises `ModelError` where it is not finite."""
        source = self.sources[name]
        processed = self.processor.process(weights=self.file.dequantised(source), name=source)
        weight = torch.from_numpy(np.ascontiguousarray(processed.weights)).to(dtype)
        if not bool(torch.isfinite(weight).all()):
            wider = "" if dtype is not torch.float16 else ", or need a wider --dtype than float16"
            raise ModelError(
                f"{self.file.path}: {source} holds values that are not finite; it is damaged{wider}"
            )
        return weight


def find_weights(file: GgufFile, config: Any) -> Weights:
    """Match the file's tensors with the weights of a model of `config`.

    Raises `ModelError`, which names them, where tensors are missing, left over, or of other shapes.
    """
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    processor = TENSOR_PROCESSORS.get(file.architecture, TensorProcessor)(config=config.to_dict())
    names = get_gguf_hf_weights_map(model, processor)
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    _require_all(file, names, shapes)
    sources = {names[source]: source for source in file.tensors}
    twice = _stored_twice(file)
    tied = twice is not None or OUTPUT not in file.tensors
    if twice is not None:
        sources[names[EMBEDDING]] = twice.kept
    if tied:
        sources.pop(names[OUTPUT], None)
    return Weights(file, sources, tied, twice, processor)


def _require_all(file: GgufFile, names: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> None:
    left_over = [name for name in file.tensors if names.get(name) not in shapes]
    if left_over:
        raise ModelError(
            f"{file.path}: holds {_listed(left_over)}, which transformers' {file.architecture} has no place "
            "for, so that the model would compute something else"
        )
    # Without an output of its own a model uses its embedding.
    missing = [name for name in names if name not in file.tensors and name != OUTPUT]
    if missing or not file.tensors:
        raise ModelError(f"{file.path}: lacks {_listed(missing or [EMBEDDING])}; it holds no whole model")
    for name in file.tensors:
        if file.shape(name) != shapes[names[name]]:
            raise ModelError(
                f"{file.path}: {name} has the shape {file.shape(name)}, and by what the file says of the "
                f"model it would be {shapes[names[name]]}; it is damaged"
            )


def _stored_twice(file: GgufFile) -> StoredTwice | None:
    """Whether output and embedding were one matrix before they were quantised, each in its own way."""
    if OUTPUT not in file.tensors:
        return None
    count = file.shape(EMBEDDING)[0]
    rows = np.unique(np.linspace(0, count - 1, COMPARED_ROWS).astype(int))
    embedding_NH, output_NH = (file.rows(name, rows).astype(np.float64) for name in (EMBEDDING, OUTPUT))
    lengths_N = np.linalg.norm(embedding_NH, axis=1) * np.linalg.norm(output_NH, axis=1)
    used_N = lengths_N > 0
    if not used_N.any():
        return None
    cosine = float(np.mean((embedding_NH * output_NH).sum(axis=1)[used_N] / lengths_N[used_N]))
    if cosine < SAME_MATRIX:
        return None
    kept, dropped = sorted((OUTPUT, EMBEDDING), key=file.bits, reverse=True)
    return StoredTwice(kept, dropped, cosine)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more
