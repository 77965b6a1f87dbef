"""From sizes to seconds and bytes: a small model of what forwards cost.

A piece of work takes

    forwards x overhead + operations / (peak x share reached) + bytes / (bandwidth x share reached)

seconds: what is spent on every forward whatever its size, multiplying, and reading memory. Generation is
mostly the first and last, training and scoring mostly the second. Attention's own quadratic part is left
out: at the lengths of the paper it is some percent. The constants are ours; runs correct them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from lrbench.models.fitting import Widths
from lrbench.pipeline.estimating.devices import Device
from lrbench.pipeline.estimating.shapes import DTYPE_BYTES, Shape

# What transformers spends on one layer and on one forward before anything is computed; vLLM spends less.
SECONDS_PER_LAYER = {"hf": 0.8e-3, "vllm": 0.4e-3}
SECONDS_PER_FORWARD = 2e-3
# A cache that grows by one token is read and written anew, and read by attention.
CACHE_PASSES = 3
# Reads and writes of float32 numbers as wide as the vocabulary, for each scored or trained position.
SCORING_PASSES = 20
TRAINING_PASSES = 20
# At most so many tensors as wide as the vocabulary are held at once.
TENSORS_PER_CHUNK = 4
# What Python, torch and all else take before any weight is loaded, and CUDA's own part of a GPU.
BASE_BYTES = {"cpu": 600 * 2**20, "cuda": 500 * 2**20}
# The share of a GPU's memory that vLLM takes, whatever it needs.
VLLM_SHARE = 0.9
# Importing everything, and reading weights from disk.
SECONDS_TO_START = 10.0
WEIGHT_BYTES_PER_SECOND = 1e9


@dataclass(frozen=True)
class Cost:
    """Seconds of work and the most bytes held, weights included and the framework left out."""

    seconds: float
    bytes: float


@dataclass(frozen=True)
class Loaded:
    """A model on a device in the dtype that its recipe declares."""

    shape: Shape
    dtype: str
    device: Device

    @property
    def number(self) -> int:
        """Bytes of one number."""
        return DTYPE_BYTES[self.dtype]

    @property
    def widths(self) -> Widths:
        """What a token and a row take in memory."""
        shape = self.shape
        return Widths(
            shape.layers, shape.hidden, shape.intermediate, shape.key_values, shape.vocabulary, self.number
        )

    @property
    def weights(self) -> int:
        """Bytes of all weights."""
        return self.shape.parameters * self.number

    def cache(self, tokens: float) -> float:
        """Bytes of the keys and values of `tokens`."""
        return self.widths.cache(tokens)

    def layer_states(self, tokens: float) -> float:
        """Bytes that one layer holds of `tokens` that it reads."""
        return self.widths.layer_states(tokens)

    def seconds(self, forwards: float, multiplications: float, moved: float, engine: str = "hf") -> float:
        """Time of `forwards` with so many multiplications in all, which move so many bytes."""
        overhead = self.shape.layers * SECONDS_PER_LAYER[engine] + SECONDS_PER_FORWARD
        device = self.device
        computing = 2 * multiplications / (device.operations[self.dtype] * device.operations_reached)
        return forwards * overhead + computing + moved / (device.bandwidth * device.bandwidth_reached)


def chunk_bytes(vocabulary: int, positions: int) -> float:
    """Of the tensors as wide as the vocabulary that are held at once."""
    return TENSORS_PER_CHUNK * positions * vocabulary * 4


def writing(
    model: Loaded,
    *,
    rows: int,
    shards: int,
    batches: float,
    prompt: float,
    written: float,
    longest: float,
    engine: str,
) -> Cost:
    """`rows` completions of on average `written` tokens, `longest` at most, in `shards` of full `batches`.

    Rows that are done leave and others take their place; a shard ends with its longest completion. Without a
    shard of its own it fills rows that other work leaves free, and a part of a batch counts as such.
    """
    shape = model.shape
    if not rows:
        return Cost(0.0, model.weights)
    width = rows / batches
    forwards = shards * longest + (batches - shards) * written
    passes = CACHE_PASSES if engine == "hf" else 1
    # The rows that are under way while so many forwards write all that is written.
    under_way = rows * written / max(1.0, forwards)
    moved = forwards * (model.weights + passes * model.cache(under_way * (prompt + written / 2)))
    multiplications = rows * (prompt * shape.body + written * (shape.body + shape.head))
    held = (
        model.weights
        + 2 * model.cache(width * (prompt + longest))
        + model.layer_states(width * prompt)
        + 3 * width * shape.vocabulary * 4
    )
    if engine == "vllm" and model.device.memory is not None:
        held = max(held, VLLM_SHARE * model.device.memory)
    return Cost(model.seconds(forwards, multiplications, moved, engine), held)


def scoring(
    models: Sequence[Loaded],
    *,
    tokens: float,
    steps: float,
    at_once: float,
    positions: int,
    forwards: int,
) -> Cost:
    """All models read `tokens` once and give distributions at `steps` of them, `positions` at a time."""
    seconds = 0.0
    for model in models:
        shape = model.shape
        wide = SCORING_PASSES / 2 * steps * shape.vocabulary * 4
        moved = forwards * model.weights + wide
        seconds += model.seconds(forwards, tokens * shape.body + steps * shape.head, moved)
    first = models[0]
    held = (
        sum(model.weights for model in models)
        + first.layer_states(at_once)
        + chunk_bytes(first.shape.vocabulary, positions)
    )
    return Cost(seconds, held)


def training(
    model: Loaded,
    *,
    updates: int,
    tokens: float,
    kept: float,
    at_once: int,
    positions: int,
    rank: int,
    checkpointing: bool,
    rereadings: int = 0,
) -> Cost:
    """Updates that each read `tokens` and learn at `kept` of them; the frozen weights need no gradient.

    Going back costs as much as going forward; with `checkpointing` layers go forward twice, and so does the
    output layer always. `rereadings` go forward alone.
    """
    shape = model.shape
    forwards = max(1, ceil(tokens / at_once))
    body, head = (3 if checkpointing else 2) + rereadings, 3 + rereadings
    multiplications = body * tokens * shape.body + head * kept * shape.head
    passes = TRAINING_PASSES + rereadings * SCORING_PASSES / 2
    moved = forwards * (2 + rereadings) * model.weights + passes * kept * shape.vocabulary * 4
    seconds = updates * model.seconds((3 + rereadings) * forwards, multiplications, moved)
    read = min(tokens, at_once)
    states = read * (12 * shape.hidden + 4 * shape.intermediate) * model.number
    layers = (
        states + read * shape.layers * shape.hidden * model.number if checkpointing else states * shape.layers
    )
    adapter = 16 * rank * 4 * shape.hidden * shape.layers
    return Cost(seconds, model.weights + layers + adapter + chunk_bytes(shape.vocabulary, positions))
