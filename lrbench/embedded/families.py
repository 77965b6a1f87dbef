"""The seven problem families, each standing for one of the paper's benchmarks.

A family is a function from a random generator to a `Question`. Everything a solution needs is in the
question's steps, so solutions are written without knowing the family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lrbench.embedded import wording
from lrbench.embedded.arithmetic import FACTORS, Step, product, quotient, random_step, step_from


@dataclass(frozen=True)
class Question:
    """A question without its register.

    Attributes:
        family: name of the family, a key of `BUILDERS`.
        text: the question as asked.
        stem: what decides its split; equal to `text` but for options, so that a question and its
            multiple-choice form never fall on two sides of a split.
        steps: the facts that lead to the answer, in order.
    """

    family: str
    text: str
    stem: str
    steps: tuple[Step, ...]

    @property
    def answer(self) -> int:
        return self.steps[-1].result


def multi_step(rng: Random) -> Question:
    """A story of two or three steps (stands for GSM8K)."""
    steps = chain(rng, rng.choice((2, 2, 3)))
    return _question("multi_step", wording.story(rng, steps), steps)


def hard(rng: Random) -> Question:
    """A ledger of four steps (stands for OlympiadBench)."""
    steps = chain(rng, 4)
    return _question("hard", wording.ledger(rng, steps), steps)


def distractor(rng: Random) -> Question:
    """A story of two steps with a sentence that does not matter (stands for SVAMP)."""
    steps = chain(rng, 2)
    return _question("distractor", wording.story_with_distraction(rng, steps), steps)


def one_step(rng: Random) -> Question:
    """A short question of one step in one of many wordings (stands for ASDiv)."""
    step = random_step(rng)
    return _question("one_step", wording.short(rng, step), (step,))


def formula(rng: Random) -> Question:
    """A quantity from a formula of school science (stands for MinervaMath)."""
    kind = rng.random()
    if kind < 0.25:
        steps: tuple[Step, ...] = (product(rng),)
        text = wording.product_formula(rng, steps[0])
    elif kind < 0.5:
        steps = (quotient(rng),)
        text = wording.quotient_formula(rng, steps[0])
    else:
        fact = product(rng)
        steps = (fact, step_from(rng, fact.result, "+-"))
        worded = wording.sum_formula if steps[1].operator == "+" else wording.difference_formula
        text = worded(rng, fact, steps[1].right)
    return _question("formula", text, steps)


def formal(rng: Random) -> Question:
    """An expression or an equation with one unknown (stands for MATH)."""
    if rng.random() < 0.5:
        steps = chain(rng, 2)
        return _question("formal", wording.expression(rng, steps), steps)
    factor, root = rng.choice(FACTORS), rng.choice(FACTORS)
    shifted = step_from(rng, factor * root, "+-")
    undo = Step(shifted.result, "-" if shifted.operator == "+" else "+", shifted.right)
    steps = (undo, Step(factor * root, "/", factor))
    return _question("formal", wording.equation(rng, factor, shifted), steps)


def choice(rng: Random) -> Question:
    """A one-step, formula or expression question with four options (stands for MMLU-STEM).

    The answer is the value of the right option, not its letter.
    """
    base = rng.choice((one_step, formula, formal))(rng)
    options = {base.answer}
    while len(options) < 4:
        options.add(max(0, base.answer + rng.choice((-10, -3, -2, -1, 1, 2, 3, 10))))
    shuffled = sorted(options)
    rng.shuffle(shuffled)
    listed = " ".join(f"({letter}) {value}" for letter, value in zip("ABCD", shuffled, strict=True))
    return Question("choice", f"{base.text} {listed}", base.text, base.steps)


# In the leaderboard's order.
BUILDERS: dict[str, Callable[[Random], Question]] = {
    "multi_step": multi_step,
    "formal": formal,
    "distractor": distractor,
    "one_step": one_step,
    "formula": formula,
    "hard": hard,
    "choice": choice,
}


def _question(family: str, text: str, steps: tuple[Step, ...]) -> Question:
    return Question(family, text, text, steps)


def chain(rng: Random, length: int) -> tuple[Step, ...]:
    """Steps each of which starts at the result of the one before."""
    steps = [product(rng) if rng.random() < 0.5 else step_from(rng, rng.randint(5, 30), "+-")]
    while len(steps) < length:
        ends = len(steps) == length - 1
        steps.append(step_from(rng, steps[-1].result, "+-*/" if ends and rng.random() < 0.4 else "+-"))
    return tuple(steps)
