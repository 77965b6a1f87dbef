"""How sure an answer says that it is, as a pattern of the user's own finds it."""

from __future__ import annotations

import re

from lrbench.suites.patterns import find_group

_NUMBER = re.compile(r"(\d{0,9}(?:\.\d{1,9})?)\s*(%?)", re.ASCII)


def stated_confidence(pattern: str, completion: str) -> float | None:
    """The confidence in [0, 1] that the first group of `pattern` finds in its last match.

    A number with a decimal point, of at most 1 and without a percent sign in the group, is a share; any
    other is in per cent. None where nothing is found, where it is no number from 0 to 100, or where the
    pattern searches for longer than its time.
    """
    try:
        found = find_group(pattern, completion)
    except TimeoutError:
        return None
    match = None if found is None else _NUMBER.fullmatch(found)
    if match is None or not match[1]:
        return None
    number = float(match[1])
    if "." in match[1] and number <= 1 and not match[2]:
        return number
    return number / 100 if number <= 100 else None
