"""Which choice letter a completion names, for the exact verdict."""

from __future__ import annotations

import re

from lrbench.grading.answers import boxed_answer, exact_answer

_TRIGGER = re.compile(r"(?:answer|choice|option)\s*(?:is|:|-)|答案是", re.IGNORECASE)
_LETTER = r"[(\[（]?\b([A-E])\b[)\]）]?"
_ENCLOSED = re.compile(
    r"(?:[(（]|\*\*\(?|\\text\w*\{\(?|\\mathrm\{\(?|>|\\boxed\{|\$)\s*([A-Ea-e])\s*(?:[)）}$<]|\*\*|\.)"
)
_LABEL = re.compile(r"^\W{0,20}(?:\\(?:text\w{0,10}|mathrm)\{\W{0,20})?([A-Ea-e])(?:\W|$)")
_PRAISED = re.compile(rf"(?:^|\W){_LETTER} is (?:the )?(?:right|correct|true|best)")
_DENIED = re.compile(r"\b(?:not|than|except|excluding)\s+\(?[A-E]\b\)?")
_STANDALONE = re.compile(
    r"\b([A-E])\b(?!\s+[a-z]+\b(?<!is)(?<!fails)(?<!because)(?<!and)(?<!or)(?<!as)(?<!since))"
)
_NEXT_QUESTION = re.compile(r"\n[ \t\r]*\n\s{0,10}(?:Next question|Question|Problem)\b")
_CHOICE_LABEL = re.compile(r"\(([A-E])\)")
_CAPITAL = re.compile(r"\b([A-E])\b")


def exact_choice(text: str, problem: str | None = None) -> str | None:
    """The letter from A to E that a reader takes for the answer of `text`; None where it names none.

    Where the answer is not a letter, `problem` shows which letter its words belong to.
    """
    return _named_letter(text) or _letter_of_words(text, problem or "")


def _letter_of_words(text: str, problem: str) -> str | None:
    """The letter of the only choice in `problem` whose words are those of the answer."""
    parts = _CHOICE_LABEL.split(problem.partition("Answer Choices:")[2])
    answer = _plain(exact_answer(text) or "")
    letters = [
        letter for letter, words in zip(parts[1::2], parts[2::2], strict=True) if _plain(words) == answer
    ]
    return letters[0] if answer and len(letters) == 1 else None


def _plain(words: str) -> str:
    return re.sub(r"\\text|[\s{}$.\"]", "", words).lower()


def _named_letter(text: str) -> str | None:
    boxed = boxed_answer(text)
    if boxed is not None:
        label = _LABEL.match(boxed) or _CAPITAL.search(boxed)
        return label.group(1).upper() if label else None
    text = _NEXT_QUESTION.split(text, maxsplit=1)[0]
    text = _DENIED.sub(" ", text)
    tails = _TRIGGER.split(text)
    for part in reversed(tails[1:]):
        found = _ENCLOSED.search(part) or _LABEL.match(part) or _STANDALONE.search(part)
        if found:
            return found.group(1).upper()
    praised = _PRAISED.search(text)
    if praised:
        return praised.group(1)
    letters = _STANDALONE.findall(text) or _CAPITAL.findall(text) or _ENCLOSED.findall(text)
    return letters[-1].upper() if letters else None
