"""Names and model output made harmless: whatever they hold is shown as text and nothing else."""

from __future__ import annotations

import re
import unicodedata

from lrbench.recipe.secrets import without_secrets

# Control (ANSI sequences start with one), format (direction marks, zero width), unassigned, private
# and surrogate code points, line and paragraph separators: none of them shows as itself.
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_MARKDOWN = re.compile(r"[\\`*\[\]|~$!#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_FORMULA_STARTS = ("=", "+", "-", "@")


def plain(text: str, longest: int = 200) -> str:
    """`text` on one line, what is invisible or acts on a terminal spelt out (`\x1b`, `\u202e`).

    Cut to `longest` characters, the last of them an ellipsis.
    """
    if len(text) <= longest and text.isprintable():
        return text
    shown = "".join(_spelt_out(character) for character in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def shown(text: str) -> str:
    """`text` for a terminal: what is invisible or acts is spelt out, lines and tabs stay, secrets go."""
    text = without_secrets(text)
    if text.isprintable():
        return text
    return "".join(character if character in "\n\t" else _spelt_out(character) for character in text)


def markdown(text: str, longest: int = 200) -> str:
    """`text` for a Markdown table cell: no markup, no HTML, no cell border."""
    escaped = _MARKDOWN.sub(lambda match: "\\" + match.group(), plain(text, longest))
    return "".join(_ENTITIES.get(character, character) for character in escaped)


def spreadsheet(text: str) -> str:
    """`text` for a CSV field: a spreadsheet does not take it for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown.startswith(_FORMULA_STARTS) else shown


def _spelt_out(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def duration(seconds: float) -> str:
    """`8 s`, `12 min`, `5.5 h`."""
    if seconds < 1:
        return "< 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size_text(size: int) -> str:
    """Bytes for people: `812 B`, `58.0 kB`, `1.2 GB`."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"
