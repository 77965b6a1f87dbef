"""What a model's `config.json` may say, judged beside its weights before anything is built from it.

Libraries believe a config: they build as many layers as it asks for, fetch kernels that it names and read
weights where it points. What is refused here is refused without importing any of them; whether they know the
architecture is found out by `loading.check_architecture`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lrbench.errors import ModelError
from lrbench.models.reading import DEEPEST, Shapes, is_count, read_object
from lrbench.models.weights import INDEX, RULE, SINGLE

CONFIG = "config.json"
LARGEST_CONFIG = 10_000_000
# The longest contexts claimed are of ten million tokens.
MOST_POSITIONS = 100_000_000

# Sizes are measured in the weights: none is larger than the longest side of a tensor.
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
WIDTHS = ("hidden_size", "n_embd", "d_model", "vocab_size")
POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length")
HEADS = ("num_attention_heads", "n_head")
GROUPS = ("num_key_value_heads", "num_kv_heads")
OTHERS = (
    "intermediate_size",
    "moe_intermediate_size",
    "ffn_dim",
    "n_inner",
    "num_heads",
    "num_labels",
)
SIZES = (*LAYERS, *EXPERTS, *WIDTHS, *POSITIONS, *HEADS, *GROUPS, *OTHERS)

TEXTS = ("model_type", "hidden_act", "hidden_activation", "activation_function")
DTYPE = re.compile(r"(torch\.)?(auto|(b?float|float)\d+|float8_\w+|double|half|float)")
ROPE_TYPES = ("rope_type", "type")
STRETCHES = ("factor", "short_factor", "long_factor", "low_freq_factor", "high_freq_factor", "rope_theta")
ATTENTIONS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
EXPERT_KERNELS = ("experts_implementation", "_experts_implementation", "_experts_implementation_internal")
LOCAL_ATTENTIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
OTHER_HEADS = re.compile(r"For(?!CausalLM|ConditionalGeneration)[A-Z]\w*")

FOREIGN = "kernels of the hub are code from elsewhere and are never fetched"
# Fields that make a library read other files, or run and fetch other code, than those identified.
REFUSED = {
    "transformers_weights": f"where weights are read from is not for it to say: {RULE}",
    "configuration_files": "another config would be read instead; keep the one that is meant",
    "quantization_config": "quantised weights are not supported; save them as float32, float16 or bfloat16",
    "use_kernels": f"{FOREIGN}; remove the field",
    "kernel_config": f"{FOREIGN}; remove the field",
    "fusion_config": "layers are computed as the architecture has them; remove the field",
    "attribute_map": "it would give fields other names; remove the field",
    "sub_configs": "it would change how the config is read; remove the field",
    "gguf_file": "weights of other formats are not read; remove the field",
}


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """The config of a folder. Raises `ModelError` for one that no model should have."""
    config = read_object(name, folder / CONFIG, LARGEST_CONFIG)
    for key, value in _fields(name, config):
        wrong = _fault(key, value)
        if wrong is not None:
            raise _refusal(name, key, value, wrong)
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        # A library would guess it from the folder's name.
        raise ModelError(f"{name}: {CONFIG} does not say model_type, so its architecture is not known")
    if not isinstance(config.get("text_config"), dict | None):
        raise _refusal(name, "text_config", config["text_config"], "it holds the text model's own fields")
    return config


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that describes what reads and writes text."""
    found: dict[str, Any] = config.get("text_config") or config
    return found


def check_sizes(name: str, config: dict[str, Any], shapes: Shapes) -> None:
    """Raise `ModelError` where a config asks for another model than these weights are of.

    Compares numbers alone, so that a config that asks for 10^9 layers costs nothing.
    """
    sides = {side for shape in shapes.values() for side in shape}
    longest = max(sides, default=0)
    for key, value in _fields(name, config):
        for size in value if isinstance(value, list) else [value]:
            if not is_count(size):
                continue
            if key in LAYERS and size > len(shapes):
                raise _refusal(name, key, size, f"the weights are {len(shapes)} tensors")
            if key in EXPERTS and size > len(shapes) and size not in sides:
                raise _refusal(name, key, size, "no weight has a side of that size")
            if key in SIZES and key not in POSITIONS and size > max(longest, len(shapes)):
                raise _refusal(name, key, size, f"the longest side of a weight is {longest}")
    text = text_config(config)
    for key in WIDTHS:
        if is_count(text.get(key)) and text[key] not in sides:
            raise _refusal(name, key, text[key], "no weight has a side of that size")


def _fault(key: str, value: Any) -> str | None:
    """What is wrong with a field at any depth; None where nothing is."""
    found: str | None = None
    if key in REFUSED and value not in (None, False, {}, []):
        found = REFUSED[key]
        if key == "transformers_weights" and value in (SINGLE, INDEX):
            found = f"{value} is read without being named; remove the field"
    elif key in TEXTS and not isinstance(value, str | None):
        found = "it is a name"
    elif key in SIZES:
        found = _size_fault(value)
    elif key in ATTENTIONS:
        found = _local(value, LOCAL_ATTENTIONS)
    elif key in EXPERT_KERNELS:
        found = _local(value, None)
    elif key in CHECKS:
        found = CHECKS[key](value)
    return found


def _size_fault(value: Any) -> str | None:
    sizes = value if isinstance(value, list) else [value]
    if not all(size is None or is_count(size, least=1) for size in sizes):
        return "it is a whole number of at least 1"
    if any(size is not None and size > MOST_POSITIONS for size in sizes):
        return f"the most is {MOST_POSITIONS}"
    return None


def _local(value: Any, known: tuple[str, ...] | None) -> str | None:
    """What is wrong with the name of an implementation, or with those of several parts of a model."""
    names = list(value.values()) if isinstance(value, dict) else [value]
    for name in names:
        if name is not None and not isinstance(name, str):
            return "it is a name"
        if name is not None and ("/" in name or (known is not None and name not in known)):
            return f"{FOREIGN}; remove the field"
    return None


def _dtype_fault(value: Any) -> str | None:
    names = list(value.values()) if isinstance(value, dict) else [value]
    if all(name is None or (isinstance(name, str) and DTYPE.fullmatch(name)) for name in names):
        return None
    return "it is the type of the weights, such as float32 or bfloat16"


def _rope_fault(value: Any) -> str | None:
    """Positions are rotated by positive numbers; what else a kind of them needs is for its library to say."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return "it is an object with a rope_type"
    for key, found in value.items():
        if isinstance(found, dict):
            fault = _rope_fault(found)
            if fault is not None:
                return fault
        if isinstance(found, str) != (key in ROPE_TYPES):
            return f"its {key} is a {'name' if key in ROPE_TYPES else 'number'}"
        for number in found if isinstance(found, list) else [found]:
            if not _is_number(number, above=0 if key in STRETCHES else -1):
                return f"its {key} is a positive number"
    return None


def _is_number(value: Any, above: float) -> bool:
    """Whether `value`, where it is meant as a number, is finite, at least 0 and more than `above`."""
    if value is None or isinstance(value, bool | dict | str):
        return True
    return isinstance(value, int | float) and max(above, -1e-300) < value < math.inf


def _architectures_fault(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return "it is a list of names"
    if value and all(OTHER_HEADS.search(name) for name in value):
        return "that is no model which continues text"
    return None


def _number_fault(value: Any) -> str | None:
    """What is wrong with a number that states are rotated with or divided by."""
    known = not isinstance(value, bool | dict | str) and _is_number(value, above=-1)
    return None if known else "it is a number of at least 0"


def _flag_fault(value: Any) -> str | None:
    return None if isinstance(value, bool | None) else "it is true or false"


CHECKS: dict[str, Callable[[Any], str | None]] = {
    "torch_dtype": _dtype_fault,
    "dtype": _dtype_fault,
    "rope_scaling": _rope_fault,
    "rope_parameters": _rope_fault,
    "architectures": _architectures_fault,
    "rope_theta": _number_fault,
    "rms_norm_eps": _number_fault,
    "layer_norm_eps": _number_fault,
    "layer_norm_epsilon": _number_fault,
    "initializer_range": _number_fault,
    "tie_word_embeddings": _flag_fault,
}


def _fields(name: str, config: dict[str, Any], depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Every field at any depth, objects before what is in them; heads are proven to divide on the way."""
    if depth > DEEPEST:
        raise ModelError(f"{name}: {CONFIG} is nested deeper than {DEEPEST} levels")
    _check_heads(name, config)
    for key, value in config.items():
        yield key, value
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from _fields(name, inner, depth + 1)
            elif isinstance(inner, list):
                yield from _fields(name, {key: inner}, depth + 1)


def _check_heads(name: str, config: dict[str, Any]) -> None:
    """Raise `ModelError` where heads cannot be shared out; their width is for architectures to say."""
    heads = next((config[key] for key in HEADS if is_count(config.get(key), least=1)), None)
    if heads is None:
        return
    for key in GROUPS:
        groups = config.get(key)
        if is_count(groups, least=1) and heads % groups:
            raise _refusal(name, key, groups, f"{heads} heads cannot be shared among as many")


def _refusal(name: str, key: str, value: Any, reason: str) -> ModelError:
    return ModelError(f"{name}: {CONFIG}: {key} is {value!r:.80}: {reason}")
