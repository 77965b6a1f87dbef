"""Numbers with what may stand around them: a unit, a currency, a percent sign."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from lrbench.grading.numerals import number

_LONGEST = 160
"""More characters than this are no number with a unit."""

_PERCENT = re.compile(r"\s*(?:\\?%|(?:\\text\{\s*)?\bper\s?cents?\b\s*\}?)\s*$", re.IGNORECASE)
_NO_UNIT = (
    r"(?!\s*(?:or|and|to|mod|pi|not|sqrt|sin|cos|tan|log|ln|exp"
    r"|hundred|thousand|million|billion|trillion|dozen)s?\b)"
)
_UNIT_WORD = (
    rf"(?:\\text\{{{_NO_UNIT}[^{{}}]*\}}|{_NO_UNIT}(?>[^\W\d_]{{2,}})\.?|\b[a-zA-Z]/[a-zA-Z]++"
    r"|\\(?:mu|Omega|AA|ell|ohm|degree)(?![a-zA-Z])|\^\\circ\s*[CFK]?|[µμΩ])"
)
_POWER = r"(?:\s*\^\s*\{?\s*-?\d+\s*\}?)?"
_JOINT = r"\s*(?:/|\\cdot|\\times|\*)?\s*"
_UNIT = re.compile(rf"(?<=[\d}}\s])(?:{_JOINT}{_UNIT_WORD}{_POWER}(?:\s*/?\s*\b[a-zA-Z]\b{_POWER})?)+\s*$")
_SINGLE_LETTER_UNIT = re.compile(r"\s+[mgshLJVW]\s*$")
_CURRENCY = re.compile(
    r"^(?:[€£¥₹]|\\(?:euro|pounds)(?![a-zA-Z])|(?:\\text\{\s*)?(?:USD|US|Rs\.?|EUR)\s*\}?)\s*", re.IGNORECASE
)
_BRACED_NUMBER = re.compile(r"^\{([^{}]*)\}")
_TRAILING_TEXT = re.compile(rf"\s*(?:\\text\{{{_NO_UNIT}[^{{}}]*\}}{_POWER}\s*/?\s*)+$")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value, and whether a percent sign follows it."""

    value: Fraction
    is_percent: bool


def quantity(text: str) -> Quantity | None:
    """The number that a tidied text states, its unit left out; None where it states no one number."""
    if len(text) > _LONGEST:
        return None
    percent = _PERCENT.search(text)
    if percent:
        value = number(text[: percent.start()])
        return Quantity(value, is_percent=True) if value is not None else None
    text = _BRACED_NUMBER.sub(r"\1", _CURRENCY.sub("", text))
    for form in (text, _UNIT.sub("", text), _SINGLE_LETTER_UNIT.sub("", text)):
        value = number(form)
        if value is not None:
            return Quantity(value, is_percent=False)
    return None


def without_unit(text: str) -> str:
    """A formula without the text that trails it."""
    return _TRAILING_TEXT.sub("", text).strip() or text
