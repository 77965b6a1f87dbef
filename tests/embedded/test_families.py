"""Answers are found again from the words alone, by readers that share nothing with the generator."""

from __future__ import annotations

import operator
import re
from random import Random

import pytest

from lrbench.embedded.families import BUILDERS, Question

SAMPLE = 400


def numbers(text: str) -> list[int]:
    """Numbers of a text, but not the exponent of a unit such as m2."""
    return [int(found) for found in re.findall(r"(?<![a-z\d])\d+", text)]


def read_story(text: str) -> int:
    *sentences, ask = re.findall(r"[^.?]+[.?]", text)
    things = re.search(r"How many (\w+)", ask).group(1)
    value = 0
    for sentence in sentences:
        found = numbers(sentence)
        if re.search(rf" has \d+ (\w+ of \d+ )?{things}\.", sentence):
            value = found[0] * (found[1] if len(found) == 2 else 1)
        elif "times as many" in sentence:
            value *= found[0]
        elif "equally" in sentence:
            assert value % found[0] == 0
            value //= found[0]
        elif re.search(r"\d+ more", sentence):
            value += found[0]
        elif re.search(r"loses|sells|gives|takes|go out", sentence):
            value -= found[0]
    return value


def read_formal(text: str) -> int:
    equation = re.search(r"(\d)([a-z])([+-]\d+)=(\d+)", text)
    if equation:
        factor, _, shift, right = equation.groups()
        roots = [x for x in range(100) if int(factor) * x + int(shift) == int(right)]
        assert len(roots) == 1
        return roots[0]
    value = eval(re.search(r"[\d(][\d+*/()-]+[\d)]", text).group())
    assert value == int(value)
    return int(value)


ONE_STEP = {
    "+": r"plus|sum of|more than|^Add|How old is|and gets|and orders",
    "-": r"minus|difference|How old was|and uses|break",
    "swapped -": r"less than|^Take",
    "*": r"times|product|There are|pages|cents each|rows",
    "/": r"divided|^Split|evenly|among|equal days",
    "swapped /": r"does one cost",
}
FORMULA = {
    "difference": r"is to go|loses|wastes|less \d+ J|less\. Find",
    "sum": r"gains .* each second|moves off|gets .* m2 more|another uses|to lift",
    "/": r"covers|of area|acts on|ohm is on|J in|Find its density|presses",
    "*": r"moves at .* for|long|moves a|runs through|speeds up|momentum|W runs for|takes .* at|and density",
}
COMPUTED = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}


def kind_of(text: str, kinds: dict[str, str]) -> str:
    [kind] = [kind for kind, pattern in kinds.items() if re.search(pattern, text)]
    return kind


def read_one_step(text: str) -> int:
    kind, found = kind_of(text, ONE_STEP), numbers(text)
    if kind.startswith("swapped"):
        found.reverse()
    return COMPUTED[kind[-1]](*found)


def read_formula(text: str) -> int:
    kind, found = kind_of(text, FORMULA), numbers(text)
    if kind == "difference":
        return found[0] * found[1] - found[2]
    if kind == "sum":
        added = found.pop(2 if re.search(r"another|m2 more", text) else 0)
        return found[0] * found[1] + added
    if "ohm is on" in text:
        found.reverse()
    return COMPUTED[kind](*found)


READERS = {
    "multi_step": read_story,
    "distractor": read_story,
    "hard": read_story,
    "formal": read_formal,
    "one_step": read_one_step,
    "formula": read_formula,
}


def sample(family: str) -> list[Question]:
    rng = Random(family)
    return [BUILDERS[family](rng) for _ in range(SAMPLE)]


@pytest.mark.parametrize("family", READERS)
def test_the_answer_follows_from_the_words(family):
    for question in sample(family):
        assert READERS[family](question.text) == question.answer, question.text


def test_a_choice_offers_the_answer_once_among_four_values():
    for question in sample("choice"):
        options = [int(value) for value in re.findall(r"\([A-D]\) (\d+)", question.text)]
        assert len(set(options)) == len(options) == 4
        assert options.count(question.answer) == 1


def test_the_stem_of_a_choice_is_its_question_without_options():
    for question in sample("choice"):
        assert question.text.startswith(question.stem + " (A) ")
        assert "(A)" not in question.stem


@pytest.mark.parametrize("family", BUILDERS)
def test_every_step_is_a_true_equation_and_chains_into_the_answer(family):
    for question in sample(family):
        for step in question.steps:
            left, right = str(step).split("=")
            assert eval(left) == int(right)
        for earlier, later in zip(question.steps, question.steps[1:], strict=False):
            assert later.left == earlier.result


@pytest.mark.parametrize(
    ("family", "lengths"), [("multi_step", {2, 3}), ("hard", {4}), ("one_step", {1}), ("distractor", {2})]
)
def test_families_have_their_number_of_steps(family, lengths):
    assert {len(question.steps) for question in sample(family)} == lengths


def test_the_same_seed_asks_the_same_questions():
    for family, builder in BUILDERS.items():
        first, second = Random(3), Random(3)
        assert [builder(first) for _ in range(50)] == [builder(second) for _ in range(50)], family
