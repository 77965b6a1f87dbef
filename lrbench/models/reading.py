"""Reading what a model's folder says of itself: ordinary files of bounded size, each with one meaning."""

from __future__ import annotations

import json
import math
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from lrbench.errors import ModelError, first_line

# As the safetensors library has it.
LARGEST_HEADER = 100_000_000
# Levels of nesting: the deepest configs in use have five, and libraries copy them recursively.
DEEPEST = 32

Shapes = dict[str, tuple[int, ...]]


def require_ordinary(name: str, path: Path) -> None:
    """Raise `ModelError` unless `path` is a file, or a link to one, that can be read.

    A pipe or a device would be waited for, or read, without end.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ModelError(f"{name}: {path.name} cannot be read ({_reason(error)})") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise ModelError(f"{name}: {path.name} is {kind}; put the model's own file there, or remove it")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{name}: {path.name} cannot be read (Permission denied)")


def read_object(name: str, path: Path, largest: int, strict: bool = True) -> dict[str, Any]:
    """The JSON object of a file of at most `largest` bytes.

    Raises `ModelError` for anything else; `strict`, also where a key is said twice in one object.
    """
    require_ordinary(name, path)
    size = path.stat().st_size
    if size > largest:
        raise ModelError(f"{name}: {path.name} has {size} bytes, more than the {largest} that lrbench reads")
    try:
        return _json_object(path.read_bytes(), strict)
    except OSError as error:
        raise ModelError(f"{name}: {path.name} cannot be read ({_reason(error)})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name}: {path.name} cannot be read as JSON: {_reason(error)}") from error


def tensor_shapes(name: str, path: Path) -> Shapes:
    """The shape of every tensor in a safetensors file, read from its header alone.

    A file's first eight bytes are the length of a header of JSON; the tensors follow without a gap. Raises
    `ModelError` where they do not, as in a file that was cut short.
    """
    require_ordinary(name, path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(LARGEST_HEADER, size - 8):
                raise ValueError(f"its header of {length} bytes does not fit into its {size} bytes")
            header = _json_object(file.read(length), strict=True)
        header.pop("__metadata__", None)
        spans = sorted(_span(header[tensor]) for tensor in header)
        end = 0
        for first, last in spans:
            if first != end:
                raise ValueError("its tensors overlap, or leave gaps")
            end = last
        if end != size - 8 - length:
            raise ValueError(f"its tensors take {end} bytes, and it holds {size - 8 - length} of them")
        return {tensor: tuple(header[tensor]["shape"]) for tensor in header}
    except OSError as error:
        raise ModelError(f"{name}: {path.name} cannot be read ({_reason(error)})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{name}: {path.name} is no whole safetensors file: {_reason(error)}; copy or fetch it again"
        ) from error


def is_count(value: object, least: int = 0) -> bool:
    """Whether `value` is a whole number of at least `least`; `true` is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _span(tensor: object) -> tuple[int, int]:
    """First and last byte of a tensor among those of its file."""
    known = isinstance(tensor, dict) and isinstance(tensor.get("dtype"), str)
    shape, span = (tensor.get("shape"), tensor.get("data_offsets")) if isinstance(tensor, dict) else (0, 0)
    if not (known and isinstance(shape, list) and isinstance(span, list) and len(span) == 2):
        raise ValueError("its header does not say type, shape and place of every tensor")
    if not all(is_count(number) for number in (*shape, *span)) or span[0] > span[1]:
        raise ValueError("its header holds shapes or places that are no sizes")
    # Numbers take from half a byte, for those packed in pairs, to 16.
    if not math.prod(shape) <= 2 * (span[1] - span[0]) <= 32 * math.prod(shape):
        raise ValueError("its header holds a shape that is not that of its bytes")
    return span[0], span[1]


def _json_object(content: bytes, strict: bool) -> dict[str, Any]:
    rules: dict[str, Any] = {"object_pairs_hook": _once, "parse_constant": _number} if strict else {}
    found = json.loads(content.decode("utf-8"), **rules)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice!r:.80} is there twice")
    return found


def _number(constant: str) -> float:
    """Infinity, which some architectures have as a limit; NaN is no number."""
    if constant == "NaN":
        raise ValueError("it holds NaN")
    return float(constant)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error)
