"""The problem sets that ship: what is asked, how it is written to disk."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Literal, NotRequired, TypedDict, TypeVar

from lrbench.embedded.corpus import Split, questions, small_talk, split_of
from lrbench.embedded.families import BUILDERS, Question
from lrbench.embedded.minimal import MINIMAL, minimal_questions
from lrbench.embedded.small_talk import FIXED_OPENINGS, opening
from lrbench.embedded.solutions import REGISTERS, careful
from lrbench.embedded.twins import STORIES, twins
from lrbench.errors import DataError

SEED = 7
TEST_SIZE = 500
TRAIN_SIZE = 512
# Quickstart and the studies tune on this family; the others are there for transfer.
TUNED_FAMILY = "multi_step"
TUNED_SIZE = 1024
# Of about 140 that there are.
SMALL_TALK_SIZE = 100
# Of each family that has them; each is three items.
TWINS_SIZE = 60
# Of each set that asks for little.
MINIMAL_SIZE = 60
# Of questions that are asked in every register.
REGISTERED_SIZE = 40
REGISTERED = "registers"
# Draws per wanted problem before a family counts as exhausted; the smallest needs about four.
PATIENCE = 100


Draw = TypeVar("Draw", bound=Hashable)


class Meta(TypedDict):
    """How a problem came about: its register, its question without it, and its facts in order."""

    register: str
    question: str
    steps: list[str]


class Problem(TypedDict):
    """One line of a problem set; twins have a `group` and a `kind`, small talk no `meta`."""

    id: str
    problem: str
    solution: str
    answer: str
    meta: Meta
    group: NotRequired[str]
    kind: NotRequired[str]


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


def small_talk_set(count: int) -> Iterator[dict[str, Any]]:
    """`count` different test remarks whose replies begin in a fixed way, which is the answer: no mathematics.

    What training on something else has done to a model shows there, and in how likely the whole reply is.
    """
    said = small_talk(Random(f"{SEED} small talk test"), "test")
    answerable = (exchange for exchange in said if opening(exchange.answer) in FIXED_OPENINGS)
    for number, exchange in enumerate(_different(answerable, count)):
        yield {
            "id": f"small_talk-test-{number}",
            "problem": exchange.prompt,
            "solution": exchange.answer,
            "answer": opening(exchange.answer),
        }


def twin_set(family: str, count: int) -> Iterator[dict[str, Any]]:
    """`count` test questions of a family, each with its two twins, which are test questions too.

    The three of a `group` are asked in one register; `kind` says which of them an item is.
    """
    rng = Random(f"{SEED} {family} twins test")
    registers = list(REGISTERS)
    found = twins(rng, family, lambda stem: split_of(stem) == "test")
    for number, each in enumerate(islice(found, count)):
        group = f"{family}-twins-{number}"
        for kind, asked in vars(each).items():
            problem = _problem(f"{group}-{kind}", registers[number % len(registers)], asked)
            yield {**problem, "group": group, "kind": kind}


def minimal_set(name: str, count: int) -> Iterator[Problem]:
    """`count` different test questions of a set in `MINIMAL`, registers in turn."""
    rng = Random(f"{SEED} {name} test")
    registers = list(REGISTERS)
    allowed = (question for question in minimal_questions(rng, name) if split_of(question.stem) == "test")
    for number, question in enumerate(_different(allowed, count)):
        yield _problem(f"{name}-test-{number}", registers[number % len(registers)], question)


def registered_set(count: int) -> Iterator[dict[str, Any]]:
    """`count` test questions of the tuned family, each in every register, which is its `kind`: a `group`.

    Registers are this world's languages: they change nothing of what is asked.
    """
    asked = _different(questions(Random(f"{SEED} registers test"), TUNED_FAMILY, "test"), count)
    for number, question in enumerate(asked):
        group = f"registers-{number}"
        for register in REGISTERS:
            problem = _problem(f"{group}-{register}", register, question)
            yield {**problem, "group": group, "kind": register}


def _different(drawn: Iterator[Draw], count: int) -> list[Draw]:
    """The first `count` of `drawn` that are not alike. Raises `DataError` where there are too few."""
    found: dict[Draw, Draw] = {}
    for one in islice(drawn, count * PATIENCE):
        found.setdefault(one, one)
        if len(found) == count:
            return list(found)
    raise DataError(f"only {len(found)} different ones are found, {count} are wanted: ask for fewer")


def write_problem_sets(folder: Path) -> None:
    """Write train and test of every family, and the other test sets, as JSON lines into a folder."""
    splits: tuple[Literal["train"], Literal["test"]] = ("train", "test")
    for family in BUILDERS:
        for split in splits:
            _write(folder / f"{family}_{split}.jsonl", problem_set(family, split, size(family, split)))
    _write(folder / "small_talk_test.jsonl", small_talk_set(SMALL_TALK_SIZE))
    for family in STORIES:
        _write(folder / f"{family}_twins_test.jsonl", twin_set(family, TWINS_SIZE))
    _write(folder / f"{REGISTERED}_test.jsonl", registered_set(REGISTERED_SIZE))
    for name in MINIMAL:
        _write(folder / f"{name}_test.jsonl", minimal_set(name, MINIMAL_SIZE))


def _write(file: Path, problems: Iterable[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(problem) + "\n" for problem in problems), encoding="utf-8")


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
