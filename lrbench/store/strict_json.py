"""JSON as its standard has it, and no more: what comes from outside is read by this.

The standard library takes NaN and infinities, lets the last of two equal keys win, and makes text of half
a character that nothing can write down again.
"""

from __future__ import annotations

import json
import math
import re
import sys
from decimal import Decimal
from typing import Any, NoReturn

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_LONGEST_SHOWN = 40


class JsonError(ValueError):
    """The text is not JSON; `column` counts characters from 1 where the place is known."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


class LongNumber(float):
    """A number of more digits than it holds; `text` has them all, as they were written."""

    def __init__(self, text: str) -> None:
        self.text = text


def number_text(number: int | float) -> str:
    """The digits of a number, all that were written."""
    return number.text if isinstance(number, LongNumber) else str(number)


def strict_json(text: str, constants: bool = False) -> Any:
    """The value of a JSON text; with `constants`, NaN and infinities as Python writes them are read as None.

    Raises `JsonError` for what is not JSON, for a key that stands twice in one object, for numbers that are
    NaN, infinite or too long, for half a surrogate pair, and for nesting deeper than Python can follow.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_constant=_nothing if constants else _refuse_constant,
            parse_float=_finite,
        )
    except JsonError:
        raise
    except json.JSONDecodeError as error:
        raise JsonError(f"is not valid JSON ({error.msg})", error.colno) from error
    except RecursionError as error:
        raise JsonError("is nested too deeply to be read") from error
    except ValueError as error:
        raise JsonError("holds a number of too many digits") from error
    _refuse_half_characters(text)
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise JsonError(f"has the key {twice[:_LONGEST_SHOWN]!a} twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"holds {name}, which is no JSON number")


def _nothing(_name: str) -> None:
    return None


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise JsonError(f"holds the number {text[:_LONGEST_SHOWN]}, which is too large")
    is_long = len(text) > sys.float_info.dig and repr(number) != text
    return LongNumber(text) if is_long and Decimal(text) != Decimal(repr(number)) else number


def _refuse_half_characters(text: str) -> None:
    """Surrogates come in pairs, a high one and then a low one; backslashes stand in JSON's strings alone."""
    high: re.Match[str] | None = None
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        if 0xDC00 <= code < 0xE000 and high is not None and high.end() == escape.start():
            high = None
            continue
        lone = high or (escape if 0xDC00 <= code < 0xE000 else None)
        if lone is not None:
            break
        high = escape if 0xD800 <= code < 0xDC00 else None
    else:
        lone = high
    if lone is not None:
        raise JsonError(
            f"holds half a character ({lone[0]}, a surrogate without its other half); remove it",
            lone.start() + 1,
        )
