"""Questions about words, a part of the text that all models read, whatever their care.

They were meant to show what a training forgets, but models of this size do not learn them: every one of them
answers at the rate of chance. Small talk shows it instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from lrbench.embedded.small_talk import FOODS, HOBBIES, PETS
from lrbench.embedded.wording import THINGS

WORDS = (*FOODS, *HOBBIES, *PETS, *THINGS)
LENGTHS = (3, 4, 5)


@dataclass(frozen=True)
class WordQuestion:
    """A question whose answer is one of the words listed in it."""

    text: str
    answer: str

    @property
    def solution(self) -> str:
        """As every text writes it."""
        return rf"The answer is \boxed{{{self.answer}}}."


def question(rng: Random) -> WordQuestion:
    """Which word is first or last, or stands after or before another."""
    listed = rng.sample(WORDS, rng.choice(LENGTHS))
    told = ", ".join(listed)
    place = rng.randrange(len(listed) - 1)
    asked, answer = rng.choice(
        (
            ("is first", listed[0]),
            ("is last", listed[-1]),
            (f"comes after {listed[place]}", listed[place + 1]),
            (f"comes before {listed[place + 1]}", listed[place]),
        )
    )
    return WordQuestion(f"Which word {asked}: {told}?", answer)
