"""Text from records, models and problem sets as HTML that shows it and nothing else."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from lrbench.results.text import plain

LONGEST = 20_000
_TYPED = re.compile(r"`([^`]+)`")


def name_html(text: str, longest: int = 60) -> str:
    """A name, on one line and cut to `longest`, escaped for element content and quoted attributes."""
    return html.escape(plain(text, longest))


def prose_html(text: str, longest: int = 1000) -> str:
    """A sentence of ours, in which what is to be typed stands between backticks, as HTML."""
    return _TYPED.sub(r"<code>\1</code>", name_html(text, longest))


def names_shown(names: Iterable[str]) -> dict[str, str]:
    """Every name once, in the order given, with how it stands in a list of choices."""
    return {name: plain(name, 60) for name in dict.fromkeys(names)}


def text_html(text: str, longest: int = LONGEST) -> str:
    """A text of several lines, escaped: invisible characters spelt out, cut after `longest` characters.

    Line feeds and tabs stay; show it where white space is kept.
    """
    shown = "".join(visible(character) for character in text[:longest])
    left_out = len(text) - longest
    rest = f'<span class="lr-cut">… {left_out:,} more characters</span>' if left_out > 0 else ""
    return html.escape(shown) + rest


def visible(character: str) -> str:
    """`character`, spelt out if it does not show as itself; line feeds and tabs stay."""
    return character if character in "\n\t" else plain(character)
