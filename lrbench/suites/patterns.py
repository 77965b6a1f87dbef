"""Patterns of the user's own that search what a model wrote: whether one can be used, and what it finds."""

from __future__ import annotations

import re

SECONDS_TO_SEARCH = 5
"""How long a pattern of the user's own may search one completion."""


def why_unusable(pattern: str, part: str) -> str | None:
    """Why a pattern finds nothing whatever the text: it is none, or has no group around `part`; else None."""
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        return f"is none: {error}"
    return None if groups else f"has no group; put parentheses around the part that is {part}"


def find_group(pattern: str, text: str, *, first: bool = False) -> str | None:
    """What the first group of `pattern` finds in its last match, or in its `first`; None where nothing does.

    Raises `TimeoutError` where that takes longer than `SECONDS_TO_SEARCH`.
    """
    import regex

    found = None
    for match in regex.finditer(pattern, text, timeout=SECONDS_TO_SEARCH):
        found = match.group(1)
        if first:
            break
    return (found or "").strip() or None
