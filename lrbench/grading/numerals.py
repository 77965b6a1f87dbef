"""Numbers as people and models write them, read exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from word2number import w2n

LONGEST = 400
"""More characters than this are no numeral that needs no computer algebra."""

_LARGEST_EXPONENT = 2000

# Thousands are kept apart by one sign throughout, and never begin with a zero: 0,125 is no 125.
_DIGITS = r"(?:[1-9]\d{0,2}([, '])\d{3}(?:\3\d{3})*|\d+)"
_PLAIN = re.compile(rf"([+-]?)\s*({_DIGITS}?)(?:\.(\d*))?")
_GROUPED = r"[1-9]\d{0,2}(?:(?:\.\d{3})+|(?: \d{3})+|(?:'\d{3})+)"
_DECIMAL_COMMA = re.compile(
    rf"(?<![\d.,'])(?:({_GROUPED}),(\d+)|([1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}})|(\d+),(\d+))(?![\d.,'])"
)
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
_PARTS = {
    "half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10,
}  # fmt: skip
_PARTS_IN_WORDS = re.compile(
    rf"(?:(?:(.+?)[\s-]+and[\s-]+)?(\w+)[\s-]+)?(halves|(?:{'|'.join(_PARTS)})s?)", re.IGNORECASE
)
_WORDS = re.compile(r"[a-z]+(?:[\s-]+[a-z]+)*", re.IGNORECASE)
_NUMBER_WORDS = frozenset(w2n.american_number_system) - {"point"} | {"and", "a"}


def number(text: str) -> Fraction | None:
    """The value of a tidied numeral, exactly; None for anything that is not one numeral."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        return None
    if text[0] == "(" and text[-1] == ")" and text.count("(") == 1:
        text = text[1:-1].strip()
    for read in (_plain, _scientific, _mixed, _fraction, _repeating, _words, _parts_in_words, _scaled):
        value = read(text)
        if value is not None:
            return value
    return None


def with_decimal_point(text: str, *, whole: bool = True) -> str | None:
    """A text with one numeral in it, which has a comma before its decimals, with a point in its place.

    1.234,56 and 1 234,56 and 1'234,56 and 1.234.567 are no numerals otherwise. 3,5 could be a list of two, so
    it is one numeral only where the number sought is not `whole`. None for any other text.
    """
    found = _DECIMAL_COMMA.search(text)
    if not found or re.search(r"[\d()\[\]]|\\[{}]", text[: found.start()] + text[found.end() :]):
        return None
    grouped, decimals, groups, plain, plain_decimals = found.groups()
    if plain and whole:
        return None
    digits = re.sub(r"\D", "", grouped or groups or plain)
    point = f".{decimals or plain_decimals}" if not groups else ""
    return text[: found.start()] + digits + point + text[found.end() :]


def is_decimal(text: str) -> bool:
    """Whether a numeral is written out in digits, so that every digit of it counts."""
    return _plain(text.strip()) is not None or _scientific(text.strip()) is not None


def decimal_places(text: str) -> tuple[int, int]:
    """The significant digits of a decimal numeral, and the digits after its decimal point."""
    found = _PLAIN.fullmatch(text.strip())
    if not found:
        return 0, 0
    whole, decimals = re.sub(r"\D", "", found.group(2) or ""), found.group(4) or ""
    return len((whole + decimals).lstrip("0")), len(decimals)


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def _plain(text: str) -> Fraction | None:
    found = _PLAIN.fullmatch(text) if len(text) <= LONGEST else None
    if not found or not (found.group(2) or found.group(4)):
        return None
    whole = re.sub(r"[, ']", "", found.group(2) or "")
    decimals = found.group(4) or ""
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


def _parts_in_words(text: str) -> Fraction | None:
    """One half, three-quarters, two and a third; a third without a number is a place in a row."""
    found = _PARTS_IN_WORDS.fullmatch(text)
    if not found or not (found[2] or found[3].lower() == "half"):
        return None
    whole = _words(found[1]) if found[1] else Fraction(0)
    numerator = _words(found[2]) if found[2] and found[2].lower() not in ("a", "an") else Fraction(1)
    part = found[3].lower().replace("halves", "half").removesuffix("s")
    return whole + numerator / _PARTS[part] if whole is not None and numerator is not None else None


def _scaled(text: str) -> Fraction | None:
    found = _SCALED.fullmatch(text)
    value = found and _plain(found.group(1).strip())
    return value * _SCALES[found.group(2).lower()] if found and value is not None else None
