"""What a result file says: outcomes of items, gathered so that mistakes are told with their place."""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrbench.errors import DataError
from lrbench.results.text import plain

LONGEST_NAME = 200
_LONGEST_SHOWN = 60
_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class Outcome:
    """One answer to one item: `value` in [0, 1], 1 is right; None where the file has no verdict on it.

    `draw` counts the samples of one item from 0 and `group` names items that belong together. `text` is a
    hash of what was asked, begun by a word for what was hashed; equal ids with different ones of the same
    word are different items. None where the file does not say what was asked.
    """

    item: str
    value: float | None
    draw: int = 0
    group: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where outcomes come from. `protocol` is all that the file says of how they were measured.

    `metric` is what counts as the outcome, `others` are those that could; `remarks` are for the reader.
    """

    format: str
    path: Path
    sha256: str
    protocol: Mapping[str, Any] = field(default_factory=dict)
    metric: str | None = None
    others: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One system on one benchmark, its outcomes by item and draw."""

    system: str
    benchmark: str
    outcomes: tuple[Outcome, ...]
    origin: Origin


class Gathering:
    """The outcomes of one file, by system and benchmark; what cannot be is refused where it stands."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[tuple[str, str], dict[tuple[str, int], Outcome]] = defaultdict(dict)
        self._places: dict[tuple[str, str, str, int], str] = {}

    def add(self, place: str, system: str, benchmark: str, outcome: Outcome) -> None:
        """Take one outcome, found at `place` (a line of a file, a member of an archive).

        Raises `DataError` for an item that is there already, and for a value that is no outcome.
        """
        key = (system, benchmark, outcome.item, outcome.draw)
        if key in self._places:
            of_draw = f", draw {outcome.draw}," if outcome.draw else ""
            raise DataError(
                f"{place}: has the item {shown(outcome.item)} of {shown(benchmark)}{of_draw} a second time "
                f"(first: {self._places[key]}); one outcome an item can count, so remove the other"
            )
        value = outcome.value
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            raise DataError(
                f"{place}: item {shown(outcome.item)} has the outcome {value:g}, allowed is 0 (wrong) to "
                "1 (right)"
            )
        self._places[key] = place
        self._found[system, benchmark][outcome.item, outcome.draw] = outcome

    def measured(self, origin: Callable[[str, str], Origin]) -> list[Measured]:
        """All that was gathered; `origin` says where each system's outcomes on a benchmark come from.

        Raises `DataError` where there was nothing.
        """
        if not self._found:
            raise DataError(f"{self._path}: holds no outcome of any item")
        return [
            Measured(system, benchmark, tuple(outcomes.values()), origin(system, benchmark))
            for (system, benchmark), outcomes in self._found.items()
        ]


def shown(name: str) -> str:
    """A name as messages show it."""
    return f"`{plain(name, _LONGEST_SHOWN)}`"


def name_at(place: str, field_: str, value: object) -> str:
    """The name of a system, benchmark, item or group: text that is not empty, or a whole number.

    Raises `DataError` for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}: `{field_}` is {_kind(value)}, needed is text or a whole number")
    name = value.strip()
    if not name:
        raise DataError(f"{place}: `{field_}` is empty")
    if len(name) > LONGEST_NAME:
        raise DataError(f"{place}: `{field_}` has {len(name):,} characters, allowed are {LONGEST_NAME}")
    return name


def model_called(name: str) -> str:
    """What a model is called: of a path, as harnesses record one, its last part alone."""
    rooted = name.startswith(("/", "~", ".", "\\")) or name[1:3] in (":\\", ":/")
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..", "~")]
    return (parts[-1] if rooted and parts else name)[:LONGEST_NAME]


def text_hash(text: str) -> str:
    """The identity of a question's text, white space around it apart."""
    return f"text {hashlib.sha256(text.strip().encode()).hexdigest()}"


def document_hash(digest: str) -> str:
    """The identity of a question by lm-eval's hash of its document."""
    return f"lm-eval document {digest[:64]}"


def naturally(items: Iterable[str]) -> list[str]:
    """Ids in their natural order, numbers within them by size: q2 before q10."""
    return sorted(items, key=lambda item: [_place(part) for part in _DIGITS.split(item)])


def _place(part: str) -> tuple[int, str]:
    number = part.isascii() and part.isdecimal()
    return (len(part.lstrip("0")), part.lstrip("0")) if number else (-1, part)


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    names = {bool: "true or false", float: "a number with a fraction", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
