"""Twins of test items: the same item with other names, and with one operator turned round.

A model that works a question out answers both as well as the original. One that goes by the look of a
question falls for the second, whose text differs in one sentence and whose answer is another number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from lrbench.embedded import wording
from lrbench.embedded.arithmetic import Operator, Step, operands
from lrbench.embedded.families import Question, chain

Told = Callable[[Random, tuple[Step, ...]], str]
# The families whose questions are stories of several steps, with the numbers of steps and who tells them.
STORIES: dict[str, tuple[tuple[int, ...], Told]] = {
    "multi_step": ((2, 2, 3), wording.story),
    "distractor": ((2,), wording.story_with_distraction),
    "hard": ((4,), wording.ledger),
}
OPPOSITE: dict[Operator, Operator] = {"+": "-", "-": "+"}
RENAMINGS = 50
EXCHANGED = (wording.NAMES, wording.THINGS)


@dataclass(frozen=True)
class Twins:
    """A question, the same one with other names and things, and one with an operator turned round."""

    original: Question
    renamed: Question
    turned: Question


def twins(rng: Random, family: str, allowed: Callable[[str], bool]) -> Iterator[Twins]:
    """An endless stream of questions of a family in `STORIES`, each with its twins; `allowed` says of a stem
    whether it may be among them.
    """
    lengths, told = STORIES[family]
    while True:
        steps = chain(rng, rng.choice(lengths))
        # The words for adding are as many as those for taking away, so both are told with the same draws.
        telling = rng.random()
        text = told(Random(telling), steps)
        other = _turned(rng, steps) if allowed(text) else None
        if other is None:
            continue
        turned = told(Random(telling), other)
        if not allowed(turned):
            continue
        original = Question(family, text, text, steps)
        # A text with one thing and no name has few others.
        for renamed in filter(allowed, (_renamed(rng, text) for _ in range(RENAMINGS))):
            yield Twins(
                original,
                replace(original, text=renamed, stem=renamed),
                Question(family, turned, turned, other),
            )
            break


def _turned(rng: Random, steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
    """`steps` with one sum or difference turned round; None where no such chain stays whole and small."""
    places = [place for place, step in enumerate(steps) if step.operator in OPPOSITE]
    rng.shuffle(places)
    for place in places:
        operators = [step.operator for step in steps]
        operators[place] = OPPOSITE[steps[place].operator]
        value, found = steps[0].left, []
        for operator, step in zip(operators, steps, strict=True):
            if step.right not in operands(value, operator):
                break
            found.append(Step(value, operator, step.right))
            value = found[-1].result
        if len(found) == len(steps) and value != steps[-1].result:
            return tuple(found)
    return None


def _renamed(rng: Random, text: str) -> str:
    """`text` with every name and every thing exchanged for one that is not in it."""
    exchanged: dict[str, str] = {}
    for known in EXCHANGED:
        here = [word for word in known if re.search(rf"\b{word}\b", text)]
        fresh = rng.sample([word for word in known if word not in here], len(here))
        exchanged |= dict(zip(here, fresh, strict=True))
    return re.sub(r"\w+", lambda word: exchanged.get(word.group(), word.group()), text)
