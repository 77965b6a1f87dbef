"""Which question belongs to which split, and the two mixtures the pair is pre-trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from lrbench.embedded import small_talk
from lrbench.embedded.arithmetic import random_step
from lrbench.embedded.families import BUILDERS, Question
from lrbench.embedded.plans import TextPlan
from lrbench.embedded.solutions import REGISTERS, careful, web

Split = Literal["test", "train", "development", "pretraining"]

# Development, the third tenth, is for designing the world; nothing that ships is drawn from it.
_TENTHS: dict[int, Split] = {0: "test", 1: "train", 2: "development"}

# Shares of the families in pre-training text.
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
DRILL_SHARE = 0.3
SMALL_TALK_SHARE = 0.3


@dataclass(frozen=True)
class Document:
    """One turn of conversation: what a user writes and what is answered."""

    prompt: str
    answer: str


def split_of(question: Question) -> Split:
    """The one split a question belongs to, by a hash of its stem; registers play no part."""
    digest = hashlib.sha256(question.stem.encode()).digest()
    return _TENTHS.get(int.from_bytes(digest[:8], "big") % 10, "pretraining")


def questions(rng: Random, family: str, split: Split) -> Iterator[Question]:
    """An endless stream of questions of one family and split; repeats occur."""
    while True:
        question = BUILDERS[family](rng)
        if split_of(question) == split:
            yield question


def documents(plan: TextPlan) -> list[Document]:
    """Pre-training text: the plan's share of it curated (drills and careful solutions), the rest as on the
    web (small talk and mostly sloppy solutions)."""
    rng = Random(plan.seed)
    streams = {family: questions(rng, family, "pretraining") for family in BUILDERS}
    families, shares = list(SHARES), list(SHARES.values())
    registers = list(REGISTERS.values())
    weights = [register.curated_weight for register in registers]

    def worded(curated: bool) -> Document:
        question = next(streams[rng.choices(families, shares)[0]])
        register = rng.choices(registers, weights)[0] if curated else rng.choice(registers)
        answer = careful(question) if curated else web(rng, register, question)
        return Document(register.prefix + question.text, answer)

    def document() -> Document:
        curated = rng.random() < plan.curated_share
        if rng.random() >= (DRILL_SHARE if curated else SMALL_TALK_SHARE):
            return worded(curated)
        return drill(rng) if curated else Document(*small_talk.exchange(rng))

    return [document() for _ in range(plan.documents)]


def drill(rng: Random) -> Document:
    """A handful of arithmetic facts to be said."""
    facts = [random_step(rng) for _ in range(FACTS_PER_DRILL)]
    asked = ", ".join(f"{fact.left}{fact.operator}{fact.right}" for fact in facts)
    return Document(f"Drill: {asked}", ". ".join(map(str, facts)) + ".")
