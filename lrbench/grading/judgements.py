"""What a judge's text says: whether an answer is right, or which of two is.

Judges reason before they decide, so the last word on the matter counts; what is in a box comes before all.
"""

from __future__ import annotations

import re

from lrbench.grading.extraction import last_box

RIGHT, WRONG = "right", "wrong"
FIRST, SECOND = "A", "B"

_GOOD, _BAD = r"(?:correct|right|true|valid)", r"(?:incorrect|wrong|false|invalid)"
# "cannot be right", "doesn't look right", "I don't think it is right", "nothing is wrong".
_DENIED = r"\b(?:not|never|nothing|cannot|can['’]?t|\w+n['’]t|(?:is|was|are)nt)\s+(?:\w+\s+){0,3}?"
# "The right answer is 5" and "the correct value of x is 5" tell an answer and judge none.
_OF_A_VALUE = (
    r"(?!\s+(?:answer|result|value|solution|total|number|one)(?:\s+(?:of|for|to|here)(?:\s+\w+){0,3})?"
    r"\s*(?:is|was|would|should|equals|=|:))"
)
_ABOUT_ONE = re.compile(
    rf"(?P<{RIGHT}>{_DENIED}{_BAD}\b)|(?P<{WRONG}>{_DENIED}{_GOOD}\b)"
    rf"|(?P<bad>\b{_BAD}\b|\bno\b(?=\W*(?:[.,;:!*)\]}}\"']|$)))|(?P<good>\b{_GOOD}\b{_OF_A_VALUE}|\byes\b)",
    re.IGNORECASE,
)
_MEANT = {"bad": WRONG, "good": RIGHT}

_NAMED = r"\(?\*{0,2}(?P<letter>[AB])\b\*{0,2}\)?"
_ALONE = re.compile(rf"\W*(?:(?i:the\s+)?(?i:answer|verdict|option|solution)\W*(?i:is\W+)?)?{_NAMED}\W*")
_PREFERRED = re.compile(
    rf"{_NAMED}\s+(?:is|gives|has)\s+(?:the\s+)?(?:one\s+that\s+is\s+)?(?:right|correct|better)\b"
    rf"|(?i:verdict|correct|right|better)\s+(?:one|answer|option|solution)?\s*(?:is|:)+\s*"
    rf"(?:(?i:answer|option|solution)\s+)?{_NAMED.replace('letter', 'after')}"
    rf"|\b(?i:the\s+)(?P<word>(?i:first|second))\s+(?:one\s+|answer\s+|option\s+|solution\s+)?is\s+"
    rf"(?:the\s+)?(?:right|correct|better)\b"
)
# A letter before a small word is an article, "A careful look", and what is called wrong is not meant.
_MENTIONED = re.compile(
    r"(?<!\b[Nn]ot )\b(?:(?P<letter>[AB])\b(?!\s+[a-z])|(?P<word>(?i:first|second))\b"
    rf"(?!\s+(?:(?i:one|answer|option|solution)\s+)?(?:is|was)(?:n['’]t|\s+(?:not\b|{_BAD}))))"
)
_WORDS = {"first": FIRST, "second": SECOND}


def judgement_of_one(text: str) -> str | None:
    """Whether a judge says that an answer is `right` or `wrong`; None where it says neither."""
    box = last_box(text)
    return (None if box is None else _of_one(box)) or _of_one(text)


def judgement_of_two(text: str) -> str | None:
    """Which of two answers a judge says is right, `A` or `B`; None where it says neither."""
    box = last_box(text)
    lines = [line for line in text.splitlines() if line.strip()]
    for short in ([box] if box is not None else []) + lines[-1:]:
        alone = _ALONE.fullmatch(short)
        if alone is not None:
            return alone["letter"]
    return _last_of_two(_PREFERRED, text) or _last_of_two(_MENTIONED, text)


def _of_one(text: str) -> str | None:
    found = None
    for match in _ABOUT_ONE.finditer(text):
        assert match.lastgroup is not None
        found = _MEANT.get(match.lastgroup, match.lastgroup)
    return found


def _last_of_two(pattern: re.Pattern[str], text: str) -> str | None:
    found = None
    for match in pattern.finditer(text):
        named = next(value for value in match.groupdict().values() if value)
        found = _WORDS.get(named.lower(), named)
    return found
