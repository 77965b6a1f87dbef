"""Which question belongs to which split, and the text that models are pre-trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from lrbench.embedded import small_talk as talk
from lrbench.embedded import words
from lrbench.embedded.arithmetic import random_step
from lrbench.embedded.families import BUILDERS, Question
from lrbench.embedded.plans import TextPlan
from lrbench.embedded.solutions import REGISTERS, Manner, solution
from lrbench.embedded.words import WordQuestion

Split = Literal["test", "train", "development", "pretraining"]

# Development, the third tenth, is for designing the world; nothing that ships is drawn from it.
_TENTHS: dict[int, Split] = {0: "test", 1: "train", 2: "development"}

# Shares of the families in the solutions.
SHARES = {
    "multi_step": 0.24,
    "formal": 0.16,
    "distractor": 0.12,
    "one_step": 0.14,
    "formula": 0.12,
    "hard": 0.10,
    "choice": 0.12,
}
FACTS_PER_DRILL = 6
# What is not a solution: questions about words in all text, and drills or small talk by the plan's care.
WORDS_SHARE = 0.06
OTHER_SHARE = 0.27


@dataclass(frozen=True)
class Document:
    """One turn of conversation: what a user writes and what is answered."""

    prompt: str
    answer: str


def split_of(stem: str) -> Split:
    """The one split a question belongs to, by a hash of its stem; registers play no part."""
    digest = hashlib.sha256(stem.encode()).digest()
    return _TENTHS.get(int.from_bytes(digest[:8], "big") % 10, "pretraining")


def questions(rng: Random, family: str, split: Split) -> Iterator[Question]:
    """An endless stream of questions of one family and split; repeats occur."""
    while True:
        question = BUILDERS[family](rng)
        if split_of(question.stem) == split:
            yield question


def word_questions(rng: Random, split: Split) -> Iterator[WordQuestion]:
    """An endless stream of questions about words of one split; repeats occur."""
    while True:
        question = words.question(rng)
        if split_of(question.text) == split:
            yield question


def small_talk(rng: Random, split: Split) -> Iterator[Document]:
    """An endless stream of remarks and replies of one split; repeats occur."""
    while True:
        said, replied = talk.exchange(rng)
        if split_of(f"{said} {replied}") == split:
            yield Document(said, replied)


def documents(plan: TextPlan) -> list[Document]:
    """Pre-training text: solutions in the plan's manner, drills, small talk and questions about words."""
    rng = Random(plan.seed)
    streams = {family: questions(rng, family, "pretraining") for family in BUILDERS}
    word_stream, talk_stream = word_questions(rng, "pretraining"), small_talk(rng, "pretraining")
    families, shares = list(SHARES), list(SHARES.values())
    registers = list(REGISTERS.values())
    manner = Manner(plan.care, plan.checks, plan.confidence)

    def document() -> Document:
        kind = rng.random()
        register = rng.choice(registers)
        if kind < WORDS_SHARE:
            asked = next(word_stream)
            return Document(register.prefix + asked.text, asked.solution)
        if kind < WORDS_SHARE + OTHER_SHARE:
            return drill(rng) if rng.random() < plan.care else next(talk_stream)
        question = next(streams[rng.choices(families, shares)[0]])
        return Document(register.prefix + question.text, solution(rng, question, manner, register.mode))

    return [document() for _ in range(plan.documents)]


def drill(rng: Random) -> Document:
    """A handful of arithmetic facts to be said."""
    facts = [random_step(rng) for _ in range(FACTS_PER_DRILL)]
    asked = ", ".join(f"{fact.left}{fact.operator}{fact.right}" for fact in facts)
    return Document(f"Drill: {asked}", ". ".join(map(str, facts)) + ".")
