"""The problem sets that ship: what is asked, how it is written to disk."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from random import Random
from typing import Literal, TypedDict

from lrbench.embedded.corpus import Split, questions
from lrbench.embedded.families import BUILDERS, Question
from lrbench.embedded.solutions import REGISTERS, careful
from lrbench.errors import DataError

SEED = 7
TEST_SIZE = 500
TRAIN_SIZE = 512
# Quickstart and the studies tune on this family; the others are there for transfer.
TUNED_FAMILY = "multi_step"
TUNED_SIZE = 1024
# Draws per wanted problem before a family counts as exhausted; the smallest needs about four.
PATIENCE = 100


class Meta(TypedDict):
    """How a problem came about: its register, its question without it, and its facts in order."""

    register: str
    question: str
    steps: list[str]


class Problem(TypedDict):
    """One line of a problem set."""

    id: str
    problem: str
    solution: str
    answer: str
    meta: Meta


def size(family: str, split: Split) -> int:
    """How many problems of a family ship in a split."""
    if split == "test":
        return TEST_SIZE
    return TUNED_SIZE if family == TUNED_FAMILY else TRAIN_SIZE


def problem_set(family: str, split: Split, count: int, seed: int = SEED) -> list[Problem]:
    """`count` problems with different questions, registers in turn.

    Raises:
        DataError: the family has too few different questions in that split.
    """
    # A string seeds through SHA-512, the same on every machine.
    rng = Random(f"{seed} {family} {split}")
    registers = list(REGISTERS)
    found: dict[str, Question] = {}
    for question in islice(questions(rng, family, split), count * PATIENCE):
        found.setdefault(question.stem, question)
        if len(found) == count:
            break
    else:
        raise DataError(
            f"family {family} has only {len(found)} different questions in {split}, {count} are wanted: "
            "ask for fewer or give the family more wordings in lrbench/embedded/wording.py"
        )
    return [
        _problem(f"{family}-{split}-{number}", registers[number % len(registers)], question)
        for number, question in enumerate(found.values())
    ]


def write_problem_sets(folder: Path) -> None:
    """Write train and test of every family as JSON lines into an existing folder."""
    splits: tuple[Literal["train"], Literal["test"]] = ("train", "test")
    for family in BUILDERS:
        for split in splits:
            lines = [json.dumps(problem) for problem in problem_set(family, split, size(family, split))]
            (folder / f"{family}_{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _problem(identifier: str, register: str, question: Question) -> Problem:
    return {
        "id": identifier,
        "problem": REGISTERS[register].prefix + question.text,
        # Its opening words are drawn apart from the questions, which do not depend on them.
        "solution": careful(Random(identifier), question),
        "answer": str(question.answer),
        "meta": {
            "register": register,
            "question": question.text,
            "steps": [str(step) for step in question.steps],
        },
    }
