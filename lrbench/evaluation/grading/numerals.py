"""Numbers as people and models write them, read exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from word2number import w2n

LONGEST = 400
"""More characters than this are no numeral that needs no computer algebra."""

_LARGEST_EXPONENT = 2000

_DIGITS = r"(?:\d{1,3}(?:[, ]\d{3})+|\d+)"
_PLAIN = re.compile(rf"([+-]?)\s*({_DIGITS}?)(?:\.(\d*))?")
_SCIENTIFIC = re.compile(
    r"([+-]?[\d., ]*)\s*"
    r"(?:(?:\\times|\\cdot|\*|x)\s*10\s*(?:\^|\*\*)\s*\{?\s*([+-]?\d+)\s*\}?|[eE]\s*([+-]?\d+))"
)
_POWER_OF_TEN = re.compile(r"([+-]?)10\s*\^\s*\{\s*([+-]?\d+)\s*\}")
_FRACTION = re.compile(r"([+-]?)\s*\\frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}")
_SLASH = re.compile(r"([+-]?)\s*\(?\s*([^()/]+?)\s*\)?\s*(?:/|\\div)\s*\(?\s*([^()/]+?)\s*\)?")
_MIXED = re.compile(
    r"([+-]?)\s*(\d+)\s*(?:\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|(?:\s|-)\s*(\d+)\s*/\s*(\d+))"
)
_REPEATING = re.compile(r"([+-]?)(\d*)\.(\d*)\s*\\(?:overline|bar|dot)\s*\{?(\d+)\}?")
_SCALED = re.compile(
    r"(.+?)\s*(?:\\text\{\s*)?\b(hundred|thousand|million|billion|trillion|dozen)s?\b\s*\}?", re.IGNORECASE
)
_SCALES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
}  # fmt: skip
_WORDS = re.compile(r"[a-z]+(?:[\s-]+[a-z]+)*", re.IGNORECASE)
_NUMBER_WORDS = frozenset(w2n.american_number_system) - {"point"} | {"and", "a"}


def number(text: str) -> Fraction | None:
    """The value of a tidied numeral, exactly; None for anything that is not one numeral."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        return None
    if text[0] == "(" and text[-1] == ")" and text.count("(") == 1:
        text = text[1:-1].strip()
    for read in (_plain, _scientific, _mixed, _fraction, _repeating, _words, _scaled):
        value = read(text)
        if value is not None:
            return value
    return None


def is_decimal(text: str) -> bool:
    """Whether a numeral is written out in digits, so that every digit of it counts."""
    return _plain(text.strip()) is not None or _scientific(text.strip()) is not None


def decimal_places(text: str) -> tuple[int, int]:
    """The significant digits of a decimal numeral, and the digits after its decimal point."""
    found = _PLAIN.fullmatch(text.strip())
    if not found:
        return 0, 0
    whole, decimals = re.sub(r"\D", "", found.group(2) or ""), found.group(3) or ""
    return len((whole + decimals).lstrip("0")), len(decimals)


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def _plain(text: str) -> Fraction | None:
    found = _PLAIN.fullmatch(text) if len(text) <= LONGEST else None
    if not found or not (found.group(2) or found.group(3)):
        return None
    whole = re.sub(r"[, ]", "", found.group(2) or "")
    decimals = found.group(3) or ""
    return _signed(found.group(1), Fraction(int((whole + decimals) or "0"), 10 ** len(decimals)))


def _scientific(text: str) -> Fraction | None:
    found = _SCIENTIFIC.fullmatch(text) if len(text) <= LONGEST else None
    if found:
        mantissa, exponent = _plain(found.group(1).strip()), int(found.group(2) or found.group(3))
    else:
        power = _POWER_OF_TEN.fullmatch(text)
        if not power:
            return None
        mantissa, exponent = _signed(power.group(1), Fraction(1)), int(power.group(2))
    if mantissa is None or abs(exponent) > _LARGEST_EXPONENT:
        return None
    return mantissa * Fraction(10) ** exponent


def _fraction(text: str) -> Fraction | None:
    found = _FRACTION.fullmatch(text) or _SLASH.fullmatch(text)
    if not found:
        return None
    numerator, denominator = (
        _plain(part.strip()) or _scientific(part.strip()) for part in found.groups()[1:]
    )
    if numerator is None or not denominator:
        return Fraction(0) if denominator and _plain(found.group(2).strip()) == 0 else None
    return _signed(found.group(1), numerator / denominator)


def _mixed(text: str) -> Fraction | None:
    found = _MIXED.fullmatch(text)
    if not found:
        return None
    sign, whole, *parts = found.groups()
    numerator, denominator = (int(part) for part in parts if part is not None)
    return _signed(sign, int(whole) + Fraction(numerator, denominator)) if denominator else None


def _repeating(text: str) -> Fraction | None:
    found = _REPEATING.fullmatch(text)
    if not found:
        return None
    sign, whole, fixed, period = found.groups()
    value = Fraction(
        int(whole + fixed or "0") + Fraction(int(period), 10 ** len(period) - 1), 10 ** len(fixed)
    )
    return _signed(sign, value)


def _words(text: str) -> Fraction | None:
    if not _WORDS.fullmatch(text):
        return None
    words = re.split(r"[\s-]+", text.lower())
    if not _NUMBER_WORDS.issuperset(words) or words in (["and"], ["a"]):
        return None
    try:
        return Fraction(w2n.word_to_num(" ".join(words)))
    except (ValueError, IndexError, TypeError):
        return None


def _scaled(text: str) -> Fraction | None:
    found = _SCALED.fullmatch(text)
    value = found and _plain(found.group(1).strip())
    return value * _SCALES[found.group(2).lower()] if found and value is not None else None
