"""Test sets that ask for little: questions for one glance, and the smallest forms of each kind of arithmetic.

Who thinks about a question at length that takes a glance spends tokens for nothing; who fails one of the
smallest kinds lacks it, and not the patience for several steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from lrbench.embedded import wording
from lrbench.embedded.arithmetic import (
    ADDENDS,
    LARGEST,
    SMALLEST,
    Operator,
    Step,
    product,
    quotient,
    step_from,
)
from lrbench.embedded.families import Question, chain, formal

GLANCE = "glance"
# Sums to 10 and products to 25, and both the other way round.
_SMALL = range(SMALLEST, 6)
_BRACKET = "("
_EQUALS = "="


def _glance(rng: Random) -> tuple[str, tuple[Step, ...]]:
    together: Operator = rng.choice(("+", "*"))
    fact = Step(rng.choice(_SMALL), together, rng.choice(_SMALL))
    step = rng.choice((fact, fact.undone))
    return wording.short(rng, step), (step,)


def _addition(rng: Random) -> tuple[str, tuple[Step, ...]]:
    return _short(rng, _shift(rng, "+"))


def _subtraction(rng: Random) -> tuple[str, tuple[Step, ...]]:
    return _short(rng, _shift(rng, "-"))


def _multiplication(rng: Random) -> tuple[str, tuple[Step, ...]]:
    return _short(rng, product(rng))


def _division(rng: Random) -> tuple[str, tuple[Step, ...]]:
    return _short(rng, quotient(rng))


def _expression(rng: Random) -> tuple[str, tuple[Step, ...]]:
    return _formal(rng, lambda text: _BRACKET not in text and _EQUALS not in text.removesuffix("= ?"))


def _brackets(rng: Random) -> tuple[str, tuple[Step, ...]]:
    return _formal(rng, lambda text: _BRACKET in text)


def _equation(rng: Random) -> tuple[str, tuple[Step, ...]]:
    return _formal(rng, lambda text: _EQUALS in text.removesuffix("= ?"))


def _word_problem(rng: Random) -> tuple[str, tuple[Step, ...]]:
    steps = chain(rng, 2)
    return wording.story(rng, steps), steps


_KINDS: dict[str, Callable[[Random], tuple[str, tuple[Step, ...]]]] = {
    GLANCE: _glance,
    "easy_addition": _addition,
    "easy_subtraction": _subtraction,
    "easy_multiplication": _multiplication,
    "easy_division": _division,
    "easy_expression": _expression,
    "easy_brackets": _brackets,
    "easy_equation": _equation,
    "easy_word_problem": _word_problem,
}
MINIMAL = tuple(_KINDS)


def minimal_questions(rng: Random, name: str) -> Iterator[Question]:
    """An endless stream of questions of a set in `MINIMAL`, of any split; repeats occur."""
    while True:
        text, steps = _KINDS[name](rng)
        yield Question(name, text, text, steps)


def _short(rng: Random, step: Step) -> tuple[str, tuple[Step, ...]]:
    return wording.short(rng, step), (step,)


def _shift(rng: Random, operator: Operator) -> Step:
    return step_from(rng, rng.randint(SMALLEST + ADDENDS[0], LARGEST - ADDENDS[0]), operator)


def _formal(rng: Random, meant: Callable[[str], bool]) -> tuple[str, tuple[Step, ...]]:
    while True:
        question = formal(rng)
        if meant(question.text):
            return question.text, question.steps
