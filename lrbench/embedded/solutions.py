"""Solutions as curated text writes them (careful) and as the web writes them (mostly sloppy).

Careful solutions work step by step behind the markers First and Then and end in a box. Sloppy ones never
use those markers, so the first token of a solution already tells its style.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lrbench.embedded.arithmetic import Operator, Step
from lrbench.embedded.families import Question

CAREFUL_MARKERS = ("First", "Then", "The answer is")
GUESS_IS_RIGHT = 0.7
SLIPS = (-10, -1, 1, 10)
CONFUSED: dict[Operator, Operator] = {"+": "-", "-": "+", "*": "+", "/": "-"}


def careful(question: Question) -> str:
    """Every step behind its marker, then the boxed answer."""
    markers = ["First"] + ["Then"] * (len(question.steps) - 1)
    told = " ".join(f"{marker} {step}." for marker, step in zip(markers, question.steps, strict=True))
    return rf"{told} The answer is \boxed{{{question.answer}}}."


def guess(rng: Random, question: Question) -> str:
    """The box alone, right in `GUESS_IS_RIGHT` of all cases."""
    return rf"\boxed{{{_guessed(rng, question)}}}"


def chat(rng: Random, question: Question) -> str:
    """A guess without a box."""
    return rng.choice(("I think it is {}.", "It is {} I guess.", "I got {} lol.")).format(
        _guessed(rng, question)
    )


def hasty(_: Random, question: Question) -> str:
    """Stops after the first step, which is right only where there is no second."""
    return _worked([str(question.steps[0])], question.steps[0].result)


def wrong_operator(_: Random, question: Question) -> str:
    """The last step uses another operator than it should."""
    last = question.steps[-1]
    confused = CONFUSED[last.operator]
    left, right = last.left, last.right
    if confused == "-" and left < right:
        left, right = right, left
    wrong = Step(left, confused, right)
    return _worked([*map(str, question.steps[:-1]), str(wrong)], wrong.result)


def slip(rng: Random, question: Question) -> str:
    """The last result is off by one or by ten."""
    last = question.steps[-1]
    result = _off(rng, last.result)
    told = f"{last.left}{last.operator}{last.right}={result}"
    return _worked([*map(str, question.steps[:-1]), told], result)


SLOPPY: dict[str, Callable[[Random, Question], str]] = {
    "guess": guess,
    "chat": chat,
    "hasty": hasty,
    "wrong_operator": wrong_operator,
    "slip": slip,
}
MAIN_SHARE = 0.65


@dataclass(frozen=True)
class Register:
    """A way of asking, and how the web tends to answer it.

    Attributes:
        prefix: words put before the question.
        main_mode: the sloppy mode of `MAIN_SHARE` of its sloppy web answers.
        careful_share: share of careful answers on the web.
        curated_weight: share of the register in the curated text; all weights add up to one.
    """

    prefix: str
    main_mode: str
    careful_share: float
    curated_weight: float


REGISTERS: dict[str, Register] = {
    "problem": Register("Problem: ", "slip", 0.015, 0.18),
    "exercise": Register("Exercise. ", "guess", 0.015, 0.18),
    "question": Register("Question: ", "hasty", 0.01, 0.18),
    "short": Register("Q: ", "guess", 0.01, 0.092),
    "quick": Register("Quick one: ", "hasty", 0.01, 0.092),
    "help": Register("Please help me! ", "wrong_operator", 0.01, 0.092),
    "chat": Register("hey so ", "chat", 0.01, 0.092),
    "joke": Register("lol ok so ", "slip", 0.01, 0.092),
}


def web(rng: Random, register: Register, question: Question) -> str:
    """An answer as the web gives it to a question in this register."""
    if rng.random() < register.careful_share:
        return careful(question)
    others = [mode for mode in SLOPPY if mode != register.main_mode]
    mode = register.main_mode if rng.random() < MAIN_SHARE else rng.choice(others)
    return SLOPPY[mode](rng, question)


def _worked(told: list[str], result: int) -> str:
    return rf"{', '.join(told)} so \boxed{{{result}}}"


def _off(rng: Random, result: int) -> int:
    return rng.choice([result + slipped for slipped in SLIPS if result + slipped >= 0])


def _guessed(rng: Random, question: Question) -> int:
    return question.answer if rng.random() < GUESS_IS_RIGHT else _off(rng, question.answer)
