from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.embedded.arithmetic import LARGEST
from lrbench.embedded.families import BUILDERS, Question
from lrbench.embedded.solutions import MARKERS, MODES, REGISTERS, Manner, careful, solution

CARELESS = Manner(care=0.0)
families = st.sampled_from(list(BUILDERS))
modes = st.sampled_from(MODES)
manners = st.builds(Manner, care=st.sampled_from([0.0, 0.34, 1.0]), checks=st.sampled_from([0.0, 1.0]))


def boxed(told: str) -> int:
    [value] = re.findall(r"\\boxed\{(\d+)\}", told)
    return int(value)


def sentences(told: str) -> list[str]:
    return re.findall(r"[^.]+\.", told.replace("boxed{", ""))


def style(sentence: str) -> str:
    [found] = re.findall(r"(?i)\b(we have|it is)\b", sentence)
    return str(found).lower()


def sample(family: str, count: int) -> list[Question]:
    rng = Random(family)
    return [BUILDERS[family](rng) for _ in range(count)]


@given(families, st.integers())
def test_a_careful_solution_shows_every_step_and_ends_in_the_right_box(family: str, seed: int) -> None:
    rng = Random(seed)
    question = BUILDERS[family](rng)
    told = careful(rng, question)
    assert told.startswith("We have ")
    assert re.findall(r"\d+[-+*/]\d+=\d+", told) == [str(step) for step in question.steps]
    assert told.endswith(rf"The answer is \boxed{{{question.answer}}}.")


@given(families, manners, modes, st.integers())
def test_all_that_is_written_is_true(family: str, manner: Manner, mode: str, seed: int) -> None:
    rng = Random(seed)
    told = solution(rng, BUILDERS[family](rng), manner, mode)
    for left, right in re.findall(r"(\d+(?:[-+*/]\d+)?)(?:=| so )(\d+)", told):
        assert eval(left) == int(right)
        assert int(right) <= LARGEST


@given(families, manners, modes, st.integers())
def test_every_step_goes_on_from_the_number_stated_before_and_the_box_holds_the_last(
    family: str, manner: Manner, mode: str, seed: int
) -> None:
    rng = Random(seed)
    told = solution(rng, BUILDERS[family](rng), manner, mode)
    steps = re.findall(r"(?i:we have|it is) (\d+)\S*?(?:=| so )(\d+)\.", told)
    for (_, result), (begun, _) in pairwise(steps):
        assert begun == result
    assert boxed(told) == int(steps[-1][1])


@given(families, modes, st.integers())
def test_neither_the_number_of_sentences_nor_the_end_tells_the_style(
    family: str, mode: str, seed: int
) -> None:
    rng = Random(seed)
    question = BUILDERS[family](rng)
    for told in (careful(rng, question), solution(rng, question, CARELESS, mode)):
        *steps, end = sentences(told)
        assert len(steps) == len(question.steps)
        assert end.startswith(" The answer is ")


def test_the_words_that_open_later_steps_are_as_frequent_in_either_style() -> None:
    opened: dict[str, Counter[str]] = {"we have": Counter(), "it is": Counter()}
    rng = Random(0)
    for question in sample("hard", 1500):
        told = solution(rng, question, Manner(care=0.5), rng.choice(MODES))
        for sentence in sentences(told)[1:-1]:
            opened[style(sentence)][sentence.split()[0]] += 1
    for words in opened.values():
        assert set(words) == set(MARKERS)
        for count in words.values():
            assert count / words.total() == pytest.approx(1 / len(MARKERS), abs=0.035)


def test_care_at_a_step_says_nothing_about_care_at_the_next() -> None:
    rng = Random(0)
    after: dict[str, list[bool]] = {"we have": [], "it is": []}
    for question in sample("hard", 2000):
        steps = sentences(solution(rng, question, Manner(care=0.34), rng.choice(MODES)))[:-1]
        for one, other in pairwise(steps):
            after[style(one)].append(style(other) == "we have")
    for found in after.values():
        assert sum(found) / len(found) == pytest.approx(0.34, abs=0.035)


def test_what_a_sloppy_step_gets_wrong_is_told_by_its_mode() -> None:
    rng = Random(0)
    right = {
        mode: sum(
            boxed(solution(rng, question, CARELESS, mode)) == question.answer
            for question in sample("one_step", 600)
        )
        / 600
        for mode in MODES
    }
    assert right["none"] > 0.85
    assert 0.5 < right["adds"] < 0.9
    assert 0.5 < right["takes_away"] < 0.9
    assert right["confuses"] < 0.15
    assert right["skips"] < 0.15


def test_a_check_leads_back_to_where_its_step_began() -> None:
    rng = Random(0)
    for question in sample("multi_step", 100):
        told = solution(rng, question, Manner(care=1.0, checks=1.0), "none")
        checks = re.findall(r"Check: (\d+)(.)(\d+)=(\d+)\.", told)
        assert [(int(left), int(right), int(back)) for left, _, right, back in checks] == [
            (step.result, step.right, step.left) for step in question.steps
        ]


def test_registers_differ_in_their_words_and_name_modes_there_are() -> None:
    assert len({register.prefix for register in REGISTERS.values()}) == len(REGISTERS) == 8
    assert {register.mode for register in REGISTERS.values()} == set(MODES)


def test_a_confident_writer_is_as_sure_as_it_took_care() -> None:
    rng = Random(0)
    for question in sample("hard", 200):
        told = solution(rng, question, Manner(care=0.5, confidence=True), "none")
        sloppy = len(re.findall(r"(?i)\bit is\b", told))
        assert told.endswith(f". I am {(95, 60, 40, 20, 20)[sloppy]}% sure.")
        assert boxed(told)
