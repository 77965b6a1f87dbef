"""Statistics that take long are computed once: kept by what they are made from, where a caller has a memory.

The functions stay pure: with a memory or without, equal arguments give equal numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args, get_type_hints

Found = TypeVar("Found")


class Memory(Protocol):
    """Where results are kept, each under a key that is the hash of all that it follows from."""

    def recall(self, key: str) -> Any:
        """What was kept under `key`, as JSON has it; None where nothing was."""
        ...

    def keep(self, key: str, value: Any) -> None:
        """Keep a `value` that JSON can hold."""
        ...


_memories: list[Memory] = []


@contextmanager
def remembering(memory: Memory) -> Iterator[None]:
    """Within the block, what `once` computes is kept in `memory`, and taken from there."""
    _memories.append(memory)
    try:
        yield
    finally:
        _memories.remove(memory)


def once(kind: type[Found], function: Callable[..., Found], *arguments: object) -> Found:
    """What `function` makes of `arguments`, an instance of the dataclass `kind`."""
    if not _memories:
        return function(*arguments)
    memory = _memories[-1]
    text = json.dumps([code_identity(), function.__qualname__, arguments], default=_plain)
    key = hashlib.sha256(text.encode()).hexdigest()
    known = memory.recall(key)
    if known is not None:
        rebuilt: Found = _rebuilt(kind, known)
        return rebuilt
    found = function(*arguments)
    memory.keep(key, json.loads(json.dumps(found, default=_plain)))
    return found


@lru_cache
def code_identity() -> str:
    """Changes with every change of this package's code, and with the libraries that draw and integrate."""
    from importlib.metadata import version

    digest = hashlib.sha256(f"{version('numpy')} {version('scipy')}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value)]
    raise TypeError(f"{type(value).__name__} is nothing that a result can follow from")


def _rebuilt(kind: Any, values: Any) -> Any:
    """The dataclass whose fields, in their order, have these values."""
    return kind(
        *(
            value if part is None or value is None else _rebuilt(part, value)
            for part, value in zip(_parts(kind), values, strict=True)
        )
    )


@lru_cache
def _parts(kind: type[Any]) -> list[Any]:
    """Of every field the dataclass that it holds, None where it holds none."""
    hints = get_type_hints(kind)
    held = ((hints[field.name], *get_args(hints[field.name])) for field in fields(kind))
    return [next(filter(is_dataclass, options), None) for options in held]
