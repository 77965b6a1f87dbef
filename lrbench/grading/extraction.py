"""Which part of a completion the paper's protocol takes for the answer."""

from __future__ import annotations

import re
from functools import lru_cache

from lrbench.grading.normalisation import normalise
from lrbench.grading.protocol import CHOICE_BENCHMARK, LONGEST, UNITS_KEPT

CHOICE_LETTERS = "ABCDE"

_NUMBER = re.compile(r"-?\d*\.?\d+")
_CHOICE = re.compile(r"\b[ABCDE]\b")
_TRIGGER = re.compile(r"answer is|choice is")


def paper_prediction(benchmark: str, text: str, gold: str) -> str | None:
    """The prediction the paper's protocol compares, from a completion already cut at its stop strings.

    `gold` is the gold answer as the data set gives it; letters are read differently where it is a letter.
    None means that the protocol has nothing to compare.
    """
    prediction = _read(benchmark, text)
    choices = gold_forms(benchmark, gold)[0]
    if len(choices) == 1 and choices in CHOICE_LETTERS:
        is_choice = prediction is not None and len(prediction) == 1 and prediction in CHOICE_LETTERS
        return prediction if is_choice else choice(text)
    if prediction and all(letter in CHOICE_LETTERS for letter in choices):
        return "".join(letter for letter in prediction if letter in CHOICE_LETTERS)
    return prediction


def blind_prediction(benchmark: str, text: str) -> str | None:
    """The prediction as it can be read without the gold answer, in its normal form: what samples vote by.

    None where the completion gives no answer, or one that is beyond any real answer.
    """
    return None if answer_too_long(text) else _read(benchmark, text) or None


def answer_too_long(text: str) -> bool:
    """Whether the part of a completion that the protocol would compare is beyond any real answer."""
    return len(text) > LONGEST and len(_answer_part(text)) > LONGEST


@lru_cache(maxsize=4096)
def gold_forms(benchmark: str, gold: str) -> tuple[str, str]:
    """The two normal forms of a gold answer: the one that decides on choice letters, and the one compared.

    They differ where normalising twice is not normalising once: in MATH the first has passed twice and the
    compared one once; in the other benchmarks it is the other way round.
    """
    if benchmark == UNITS_KEPT:
        form = normalise(gold, keep_units=True)
        return form, form
    once = normalise(gold)
    twice = normalise(once)
    return (twice, once) if benchmark == "math" else (once, twice)


def last_box(text: str) -> str | None:
    """What stands in the last `boxed`: up to its closing brace, else up to a dollar; None without a box."""
    _, box, tail = text.rpartition("boxed")
    if not box:
        return None
    if not tail.startswith("{"):
        return tail.split("$", 1)[0].strip()
    depth = 0
    for position, character in enumerate(tail):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return tail[1:position]
    return tail[1:]


def choice(text: str) -> str:
    """The choice letter of a text, or the text's answer without a full stop where it names no letter."""
    text = text.strip("\n")
    triggers = _TRIGGER.findall(text)
    if len(triggers) > len(set(triggers)):
        text = text.split("\n\n", 1)[0]
    *before, tail = _TRIGGER.split(text)
    tail = tail.strip("\n").rstrip(".").rstrip("/").strip(" ").lstrip(":")
    letters = _CHOICE.findall(tail.upper())
    found = (letters[0] if before else letters[-1]) if letters else tail.strip().strip(".")
    return found.rstrip(".").rstrip("/")


def _read(benchmark: str, text: str) -> str | None:
    if benchmark == CHOICE_BENCHMARK:
        return choice(text)
    if text in ("", "error"):
        return None
    keep_units = benchmark == UNITS_KEPT
    answer = _answer_part(text.replace("ки", "")).replace("\n", "")
    answer = answer.strip().removeprefix(":").removesuffix(".").removesuffix("/")
    return normalise(normalise(answer, keep_units=keep_units), keep_units=keep_units)


def _answer_part(text: str) -> str:
    if "final answer is $" in text and "$. I hope" in text:
        return text.split("final answer is $", 1)[1].split("$. I hope", 1)[0].strip()
    boxed = last_box(text)
    if boxed is not None:
        return boxed
    for trigger in ("he answer is", "final answer is"):
        if trigger in text:
            return text.rpartition(trigger)[2].strip()
    if "答案是" in text:
        return text.split("答案是", 1)[1].strip().split("\n\n", 1)[0]
    numbers = _NUMBER.findall(text.replace(",", ""))
    return numbers[-1] if numbers else ""
