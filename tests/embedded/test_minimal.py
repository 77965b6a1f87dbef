"""Sets that ask for little, and questions in every register: answers worked out from the texts alone."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from lrbench.embedded.assets import problems
from lrbench.embedded.corpus import split_of
from lrbench.embedded.minimal import MINIMAL
from lrbench.embedded.solutions import REGISTERS
from lrbench.suites.grader import Answered
from lrbench.suites.suite import shipped_suite

# Words of a short question that say what is to be done; none is among those of another operator.
SHORT = {
    "+": r"plus|sum of|more than|^Add|in \d+ years\?|gets|orders",
    "-": r"minus|difference|less than|^Take|years ago|uses|break",
    "*": r"times|product|There are|reads|each\. What|rows of",
    "/": r"divided|Split|fill|shares|What does one|equal days",
}
# Of a story, in any of its sentences after the first.
EVENTS = {
    "+": r"more\.$",
    "-": r"^\w+ (?:loses|sells) \d+\.$|^\w+ gives \w+ \d+\.$|takes \d+ of them\.$",
    "*": r"times as many\.$",
    "/": r"shared equally|puts them equally",
}
DONE = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: Fraction(a, b),
}
SUITES = ("embedded_glance", "embedded_easy", "embedded_registers")


def asked(problem: str) -> str:
    (prefix,) = (each.prefix for each in REGISTERS.values() if problem.startswith(each.prefix))
    return problem.removeprefix(prefix)


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", text)]


def of_two(text: str) -> Fraction:
    (operator,) = (sign for sign, words in SHORT.items() if re.search(words, text))
    first, second = sorted(numbers(text), reverse=True)
    return Fraction(DONE[operator](first, second))


def of_a_story(text: str) -> Fraction:
    first, *events, _ = re.split(r"(?<=[.?]) ", text)
    opened = numbers(first)
    value = Fraction(opened[0] if len(opened) == 1 else opened[0] * opened[1])
    for event in events:
        (operator,) = (sign for sign, words in EVENTS.items() if re.search(words, event))
        (number,) = numbers(event)
        value = Fraction(DONE[operator](value, number))
    return value


def of_an_expression(text: str) -> Fraction:
    (found,) = re.findall(r"[\d(][\d+*/()-]*[\d)]", text)
    return Fraction(eval(re.sub(r"\d+", r"Fraction(\g<0>)", found), {"Fraction": Fraction}))


def of_an_equation(text: str) -> Fraction:
    (found,) = re.findall(r"(\d+)[a-z]([+-]\d+)=(\d+)", text)
    factor, shift, value = map(int, found)
    return Fraction(value - shift, factor)


WORKED = {
    "easy_expression": of_an_expression,
    "easy_brackets": of_an_expression,
    "easy_equation": of_an_equation,
    "easy_word_problem": of_a_story,
    "registers": of_a_story,
}


@pytest.mark.parametrize("name", [*MINIMAL, "registers"])
def test_answers_are_what_the_texts_alone_come_to(name: str) -> None:
    items = problems(name, "test")
    for item in items:
        text = asked(item["problem"])
        assert Fraction(item["answer"]) == WORKED.get(name, of_two)(text), text
        assert split_of(text) == "test"
    assert len({item["id"] for item in items}) == len(items)


@pytest.mark.parametrize("name", MINIMAL)
def test_each_set_is_of_its_own_kind_and_in_all_registers(name: str) -> None:
    items = problems(name, "test")
    assert len({item["meta"]["question"] for item in items}) == len(items) == 60
    assert {item["meta"]["register"] for item in items} == set(REGISTERS)
    texts = [asked(item["problem"]) for item in items]
    signs = {"easy_addition": "+", "easy_subtraction": "-", "easy_multiplication": "*", "easy_division": "/"}
    if name in signs:
        assert all(re.search(SHORT[signs[name]], text) for text in texts)
    assert all(("(" in text) == (name == "easy_brackets") for text in texts)
    assert all(len(item["meta"]["steps"]) <= 2 for item in items)
    if name == "glance":
        assert max(number for text in texts for number in numbers(text)) <= 25
        assert all(len(item["meta"]["steps"]) == 1 for item in items)


def test_a_question_is_asked_in_every_register_and_is_one_group() -> None:
    items = problems("registers", "test")
    assert len(items) == 40 * len(REGISTERS)
    for place in range(0, len(items), len(REGISTERS)):
        same = items[place : place + len(REGISTERS)]
        assert [item["kind"] for item in same] == list(REGISTERS)
        assert len({item["group"] for item in same}) == len({asked(item["problem"]) for item in same}) == 1
        assert len({item["answer"] for item in same}) == 1


@pytest.mark.parametrize("name", SUITES)
def test_solutions_are_right_for_the_suites_graders_and_others_are_not(name: str) -> None:
    for benchmark in shipped_suite(name).benchmarks:
        assert benchmark.data is not None
        for item in problems(benchmark.data.removeprefix("embedded/"), "test"):
            gold, solution = item["answer"], item["solution"]
            other = solution.replace(rf"\boxed{{{gold}}}", rf"\boxed{{{int(gold) + 1}}}")
            for completion, right in (
                (solution, True),
                (other, False),
                (solution.split(r"\boxed")[0], False),
            ):
                verdict = benchmark.grader.grade(Answered(completion, gold, item["problem"]))
                assert (verdict.correct, verdict.exact) == (right, right)
