"""How a token is written: white space visible, invisible characters spelt out, never longer than a line.

A token's text comes from a tokenizer that anybody may have made.
"""

from __future__ import annotations

import unicodedata

from lrbench.results.text import plain

LONGEST = 60
SPACE, LINE_FEED, TAB = "␣", "↵", "⇥"
_CARRIER = "◌"
# Accents stack without end; beyond these they would cover the lines above.
MOST_ACCENTS = 3


def token_text(text: str, longest: int = LONGEST) -> str:
    """A token within running text: a lone space shows as `␣`, a line feed as `↵`, a tab as `⇥`."""
    return _shown(text, longest, SPACE if text.isspace() else " ")


def token_name(text: str, longest: int = LONGEST) -> str:
    """A token on its own, in a table or a sentence: every space shows."""
    return _shown(text, longest, SPACE)


def _shown(text: str, longest: int, space: str) -> str:
    marks = {" ": space, "\n": LINE_FEED, "\t": TAB}
    shown, accents = "", 0
    for character in text[:longest]:
        accents = accents + 1 if unicodedata.combining(character) else 0
        if accents <= MOST_ACCENTS:
            shown += marks.get(character) or plain(character)
    # A mark that joins to the letter before it would join to whatever the page shows there.
    if unicodedata.combining(text[:1] or " "):
        shown = _CARRIER + shown
    return shown if len(text) <= longest else f"{shown}… ({len(text):,} characters)"
