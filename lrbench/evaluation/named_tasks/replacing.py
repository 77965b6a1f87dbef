"""What modules of libraries hold, replaced for a while: lm-eval takes it there and cannot be given it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(holder: Any, name: str, value: object) -> Iterator[None]:
    """`value` in the place of what `holder` has under `name`, within the block."""
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)
