"""Two texts side by side with what only one of them says marked, as HTML."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from lrbench.results.web.text import text_html

LONGEST = 20_000
MOST_WORDS = 2_000

_WORD = re.compile(r"\w+|\s+|.", re.DOTALL)


def diff_html(first: str, second: str) -> tuple[str, str]:
    """Both texts, escaped, words that the other lacks in `<mark>`; unmarked where they are too long."""
    if max(len(first), len(second)) > LONGEST:
        return text_html(first), text_html(second)
    words_first, words_second = _WORD.findall(first), _WORD.findall(second)
    if max(len(words_first), len(words_second)) > MOST_WORDS:
        return text_html(first), text_html(second)
    marked_first, marked_second = [], []
    # Words that make up much of a long text are not matched: without that, repetition takes minutes.
    matcher = SequenceMatcher(a=words_first, b=words_second, autojunk=True)
    for kind, start_first, end_first, start_second, end_second in matcher.get_opcodes():
        marked_first.append(_marked(words_first[start_first:end_first], kind))
        marked_second.append(_marked(words_second[start_second:end_second], kind))
    return "".join(marked_first), "".join(marked_second)


def _marked(words: list[str], kind: str) -> str:
    shown = text_html("".join(words))
    return shown if kind == "equal" or not words else f"<mark>{shown}</mark>"
