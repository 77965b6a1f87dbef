"""Whether a pair fits on its device together, or its models have to take turns there."""

from __future__ import annotations

from lrbench.models.fitting import SHARE_OF_FREE, Widths
from lrbench.models.pieces import TOKENS_PER_FORWARD, chunk_positions
from lrbench.models.source import LocatedModel
from lrbench.pipeline.estimating.costs import chunk_bytes
from lrbench.pipeline.estimating.shapes import DTYPE_BYTES, Shape, shape_of


def fits_beside(expert: LocatedModel, amateur: LocatedModel, free: float) -> bool:
    """Whether the amateur's weights and the work of scoring fit in `free` bytes, with the expert in memory.

    Counts the numbers in the safetensors files in the dtype that the recipe declares. Where a model's files
    say too little the pair is taken to fit: running out of memory is then told as such.
    """
    shapes = [(shape_of(model), DTYPE_BYTES[model.dtype]) for model in (expert, amateur)]
    known = [(shape, number) for shape, number in shapes if shape is not None]
    if len(known) < len(shapes):
        return True
    weights = known[1][0].parameters * known[1][1]
    vocabulary = max(shape.vocabulary for shape, _ in known)
    chunks = chunk_bytes(vocabulary, chunk_positions(vocabulary))
    forward = max(_widths(*model).layer_states(TOKENS_PER_FORWARD["cuda"]) for model in known)
    return weights + chunks + forward <= SHARE_OF_FREE["cuda"] * free


def _widths(shape: Shape, number: int) -> Widths:
    return Widths(shape.layers, shape.hidden, shape.intermediate, shape.key_values, shape.vocabulary, number)
