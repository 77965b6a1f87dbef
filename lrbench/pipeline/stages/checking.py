"""What can be found out before any work, so that it does not stop a stage hours later."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import IntEnum, auto


class About(IntEnum):
    """What a check is about, in the order of looking: what is cheap or explains the rest comes first."""

    DEVICE = auto()
    EXPERT = auto()
    AMATEUR = auto()
    ENGINE = auto()
    TOKENS = auto()
    LAYERS = auto()
    MODULES = auto()
    TOKENIZER = auto()
    TEMPLATE = auto()
    TEXTS = auto()


@dataclass(frozen=True)
class Check:
    """`run` raises `LrbenchError` for what would stop a stage; checks about the same thing are run once.

    `of` tells those apart that are about the same: an engine, a system prompt, the key of a stage.
    """

    about: About
    of: Hashable
    run: Callable[[], object] = field(compare=False)
