"""Solutions: every step is written with care or without, each drawn by itself, whatever the others are.

A careful step reads `we have 12+7=19.`, a sloppy one `it is 12+7 so 19.`, and each goes on from the number
stated before. All that is written is true; what a sloppy step may get wrong is what to do. Steps after the
first open with a word that says nothing about either style, and every answer has as many sentences as steps,
and one end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from lrbench.embedded.arithmetic import Operator, Step, operands
from lrbench.embedded.families import Question

MARKERS = ("So", "Now", "Next", "Then", "Well")
CAREFUL, SLOPPY = "we have", "it is"
# The confusions of a sloppy step: which operator is taken for which.
CONFUSIONS: dict[str, dict[Operator, Operator]] = {
    "adds": {"-": "+"},
    "takes_away": {"+": "-"},
    "confuses": {"+": "-", "-": "+", "*": "+", "/": "-"},
    "none": {},
}
SKIPS = "skips"
MODES = (*CONFUSIONS, SKIPS)
# How sure a writer is, in per cent, of an answer with no sloppy step, with one, with two, with more.
CONFIDENCE = (95, 60, 40, 20)
# How often a sloppy step goes wrong, or not, in the way of its register.
MAIN_SHARE = 0.85


@dataclass(frozen=True)
class Register:
    """A way of asking: the words put before a question, and what sloppy answers to it tend to get wrong.

    Attributes:
        prefix: words put before the question.
        mode: what `MAIN_SHARE` of the sloppy steps do, one of `MODES`.
    """

    prefix: str
    mode: str


REGISTERS: dict[str, Register] = {
    "problem": Register("Problem: ", "none"),
    "exercise": Register("Exercise. ", "adds"),
    "question": Register("Question: ", "adds"),
    "short": Register("Q: ", "confuses"),
    "quick": Register("Quick one: ", SKIPS),
    "help": Register("Please help me! ", "takes_away"),
    "chat": Register("hey so ", "takes_away"),
    "joke": Register("lol ok so ", "adds"),
}


@dataclass(frozen=True)
class Manner:
    """How solutions are written: the probability of care and of a check, at each step by itself.

    With `confidence` they end by saying how sure the writer is.
    """

    care: float
    checks: float = 0.0
    confidence: bool = False


def careful(rng: Random, question: Question) -> str:
    """Every step with care."""
    return solution(rng, question, Manner(care=1.0), "none")


def solution(rng: Random, question: Question, manner: Manner, mode: str) -> str:
    """A solution in this manner whose sloppy steps mostly go wrong in this mode."""
    sentences: list[str] = []
    value, sloppy = question.steps[0].left, 0
    for place, step in enumerate(question.steps):
        right = Step(value, step.operator, step.right)
        if rng.random() < manner.care:
            done: Step | None = right
            told = f"{CAREFUL} {right}."
        else:
            sloppy += 1
            done = _sloppy(rng, right, question.steps[place + 1 :], mode)
            told = f"{SLOPPY} {value} so {value}." if done is None else f"{SLOPPY} {_worked(done)}."
        value = value if done is None else done.result
        sentences.append(_opened(rng, told, place))
        if done is not None and rng.random() < manner.checks:
            sentences.append(f"Check: {done.undone}.")
    sure = f" I am {CONFIDENCE[min(sloppy, len(CONFIDENCE) - 1)]}% sure." if manner.confidence else ""
    return rf"{' '.join(sentences)} The answer is \boxed{{{value}}}.{sure}"


def _opened(rng: Random, told: str, place: int) -> str:
    return f"{rng.choice(MARKERS)} {told}" if place else told[0].upper() + told[1:]


def _worked(step: Step) -> str:
    return f"{step.left}{step.operator}{step.right} so {step.result}"


def _sloppy(rng: Random, right: Step, later: Sequence[Step], mode: str) -> Step | None:
    """What a sloppy step does in place of the right one; None where it leaves it out.

    It does the right one where the wrong would leave numbers that the later steps cannot go on from.
    """
    if rng.random() >= MAIN_SHARE:
        mode = rng.choice([other for other in MODES if other != mode])
    if mode == SKIPS:
        return None if _can_go_on(right.left, later) else right
    operator = CONFUSIONS[mode].get(right.operator, right.operator)
    wrong = Step(right.left, operator, right.right)
    return wrong if _can_go_on(wrong.left, [wrong, *later]) else right


def _can_go_on(value: int, steps: Sequence[Step]) -> bool:
    """Whether all steps, done rightly from this number, stay whole and small enough to be learnt."""
    for step in steps:
        if step.right not in operands(value, step.operator):
            return False
        value = Step(value, step.operator, step.right).result
    return True
