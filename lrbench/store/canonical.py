"""One text for one value: canonical JSON, its hash, and records that carry their own checksum."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

CHECKSUM = "checksum"
# `json.dumps` would make one for every value, which for the rows of data sets takes longer than writing them.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: keys sorted, no whitespace, ASCII only, floats by their shortest repr.

    `1`, `1.0` and `true` stay different texts; a tuple is an array, as in the standard library.

    Raises:
        TypeError: something in `value` is no JSON type; the message gives its place, as `models[0].dtype`.
        ValueError: a float is NaN or infinite.
    """
    _refuse_other_types(value, "")
    return _ENCODER.encode(value)


def leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of nested mappings that is none itself, by its dotted path."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from leaves(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def stable_hash(value: Any) -> str:
    """SHA-256 of `canonical_json(value)`, as 64 lower-case hex digits; the same in every process."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def seal(record: dict[str, Any], indent: int | None = None) -> str:
    """`record` as JSON text with its own checksum inside; `unseal` reads it back or refuses it."""
    sealed = {**record, CHECKSUM: stable_hash(record)}
    if indent is None:
        return canonical_json(sealed)
    return json.dumps(sealed, sort_keys=True, indent=indent, allow_nan=False) + "\n"


def unseal(data: bytes, indent: int | None = None) -> dict[str, Any]:
    """The record that `seal` wrote with the same `indent`.

    The text is compared with a fresh sealing, so that even a change that JSON would not notice, such
    as a blank turned into a tab, is refused.

    Raises:
        ValueError: not one byte for byte intact sealed record.
    """
    try:
        record = json.loads(data)
        if not isinstance(record, dict) or CHECKSUM not in record:
            raise ValueError("not a sealed record")
        del record[CHECKSUM]
        if seal(record, indent).encode("ascii") != data:
            raise ValueError("checksum differs")
    except RecursionError as error:
        raise ValueError("nested deeper than any record") from error
    return record


def _refuse_other_types(value: Any, place: str) -> None:
    if value is None or isinstance(value, str | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place or 'the value'} is {value!r}, which JSON cannot hold")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_other_types(item, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{place or 'the value'} has the key {key!r}; JSON keys are strings")
            _refuse_other_types(item, f"{place}.{key}" if place else key)
    else:
        raise TypeError(f"{place or 'the value'} is a {type(value).__name__}, which JSON cannot hold")
