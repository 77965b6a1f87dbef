"""Which choice letter a completion names, for the exact verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from lrbench.grading.answers import boxed_answer, exact_answer
from lrbench.grading.protocol import MOST_LETTERS

_TRIGGER = re.compile(r"(?:answer|choice|option)\s*(?:is|:|-)|答案是", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"\n[ \t\r]*\n\s{0,10}(?:Next question|Question|Problem)\b")

LETTERS = "ABCDE"
"""The letters of the published benchmarks' choices."""
OPTIONS = "Answer Choices:"
"""Between a question and its lettered choices."""


@dataclass(frozen=True)
class _Patterns:
    """Ways to name one of the first letters, of which `last` is the last."""

    last: str

    @cached_property
    def enclosed(self) -> re.Pattern[str]:
        return re.compile(
            r"(?:[(（]|\*\*\(?|\\text\w*\{\(?|\\mathrm\{\(?|>|\\boxed\{|\$)\s*"
            rf"([A-{self.last}a-{self.last.lower()}])\s*(?:[)）}}$<]|\*\*|\.)"
        )

    @cached_property
    def label(self) -> re.Pattern[str]:
        letter = rf"([A-{self.last}a-{self.last.lower()}])"
        return re.compile(rf"^\W{{0,20}}(?:\\(?:text\w{{0,10}}|mathrm)\{{\W{{0,20}})?{letter}(?:\W|$)")

    @cached_property
    def praised(self) -> re.Pattern[str]:
        letter = rf"[(\[（]?\b([A-{self.last}])\b[)\]）]?"
        return re.compile(rf"(?:^|\W){letter} is (?:the )?(?:right|correct|true|best)")

    @cached_property
    def denied(self) -> re.Pattern[str]:
        return re.compile(rf"\b(?:not|than|except|excluding)\s+\(?[A-{self.last}]\b\)?")

    @cached_property
    def standalone(self) -> re.Pattern[str]:
        return re.compile(
            rf"\b([A-{self.last}])\b(?!\s+[a-z]+\b"
            r"(?<!is)(?<!fails)(?<!because)(?<!and)(?<!or)(?<!as)(?<!since))"
        )

    @cached_property
    def in_problem(self) -> re.Pattern[str]:
        return re.compile(rf"\(([A-{self.last}])\)")

    @cached_property
    def capital(self) -> re.Pattern[str]:
        return re.compile(rf"\b([A-{self.last}])\b")


_patterns = lru_cache(_Patterns)


def exact_choice(text: str, problem: str | None = None, letters: str = LETTERS) -> str | None:
    """The one of `letters` that a reader takes for the answer of `text`; None where it names none.

    Where the answer is not a letter, `problem` shows which letter its words belong to.
    """
    patterns = _patterns(letters[-1])
    return _named_letter(text, patterns) or _letter_of_words(text, problem or "", patterns)


def lettered(question: str, options: Sequence[str]) -> str:
    """A question with its options as choices, as MMLU-STEM's problems show them."""
    shown = " ".join(f"({letter}) {option}" for letter, option in zip(MOST_LETTERS, options, strict=False))
    return f"{question}\n{OPTIONS} {shown}"


def letters_in(problem: str) -> str:
    """The letters of the choices that a problem shows; those of published benchmarks where it shows none."""
    shown = _patterns(MOST_LETTERS[-1]).in_problem.findall(problem.partition(OPTIONS)[2])
    count = next((place for place, letter in enumerate(shown) if letter != MOST_LETTERS[place]), len(shown))
    return MOST_LETTERS[:count] or LETTERS


def letter_of(answer: str, problem: str) -> str | None:
    """The letter of the only choice in `problem` whose words are `answer`, and nothing but them."""
    return _letter_with(answer, problem, _patterns(letters_in(problem)[-1]))


def _letter_of_words(text: str, problem: str, patterns: _Patterns) -> str | None:
    """The letter of the only choice in `problem` whose words are those of the answer."""
    return _letter_with(exact_answer(text) or "", problem, patterns)


def _letter_with(words_of_answer: str, problem: str, patterns: _Patterns) -> str | None:
    parts = patterns.in_problem.split(problem.partition(OPTIONS)[2])
    answer = _plain(words_of_answer)
    letters = [
        letter for letter, words in zip(parts[1::2], parts[2::2], strict=True) if _plain(words) == answer
    ]
    return letters[0] if answer and len(letters) == 1 else None


def _plain(words: str) -> str:
    return re.sub(r"\\text|[\s{}$.\"]", "", words).lower()


def _named_letter(text: str, patterns: _Patterns) -> str | None:
    boxed = boxed_answer(text)
    if boxed is not None:
        label = patterns.label.match(boxed) or patterns.capital.search(boxed)
        return label.group(1).upper() if label else None
    text = _NEXT_QUESTION.split(text, maxsplit=1)[0]
    text = patterns.denied.sub(" ", text)
    tails = _TRIGGER.split(text)
    for part in reversed(tails[1:]):
        found = (
            patterns.enclosed.search(part) or patterns.label.match(part) or patterns.standalone.search(part)
        )
        if found:
            return found.group(1).upper()
    praised = patterns.praised.search(text)
    if praised:
        return praised.group(1)
    letters = (
        patterns.standalone.findall(text) or patterns.capital.findall(text) or patterns.enclosed.findall(text)
    )
    return letters[-1].upper() if letters else None
