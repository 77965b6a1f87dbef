from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.embedded.families import BUILDERS
from lrbench.embedded.solutions import CAREFUL_MARKERS, REGISTERS, SLOPPY, careful, hasty, web


def boxed(solution: str) -> int:
    [value] = re.findall(r"\\boxed\{(\d+)\}", solution)
    return int(value)


@given(st.sampled_from(list(BUILDERS)), st.integers())
def test_a_careful_solution_shows_every_step_and_ends_in_the_right_box(family, seed):
    question = BUILDERS[family](Random(seed))
    solution = careful(question)
    assert solution.startswith("First ")
    assert re.findall(r"\d+[-+*/]\d+=\d+", solution) == [str(step) for step in question.steps]
    assert solution.endswith(rf"The answer is \boxed{{{question.answer}}}.")


@given(st.sampled_from(list(BUILDERS)), st.sampled_from(list(SLOPPY)), st.integers())
def test_a_sloppy_solution_never_uses_a_careful_marker(family, mode, seed):
    rng = Random(seed)
    solution = SLOPPY[mode](rng, BUILDERS[family](rng))
    assert not any(marker in solution for marker in CAREFUL_MARKERS)


@given(st.sampled_from(list(BUILDERS)), st.sampled_from(["slip", "wrong_operator"]), st.integers())
def test_a_slip_and_a_wrong_operator_differ_from_the_last_step_in_the_box(family, mode, seed):
    rng = Random(seed)
    question = BUILDERS[family](rng)
    solution = SLOPPY[mode](rng, question)
    assert str(question.steps[-1]) + " so" not in solution
    if mode == "slip":
        assert abs(boxed(solution) - question.answer) in (1, 10)


def test_haste_is_right_only_where_one_step_is_enough():
    rng = Random(0)
    short, long = BUILDERS["one_step"](rng), BUILDERS["hard"](rng)
    assert boxed(hasty(rng, short)) == short.answer
    assert boxed(hasty(rng, long)) == long.steps[0].result


def test_chat_leaves_the_answer_unboxed():
    rng = Random(0)
    assert all("boxed" not in SLOPPY["chat"](rng, BUILDERS["formal"](rng)) for _ in range(50))


def test_guesses_are_right_in_about_seven_of_ten():
    rng = Random(0)
    questions = [BUILDERS["formal"](rng) for _ in range(2000)]
    right = sum(boxed(SLOPPY["guess"](rng, question)) == question.answer for question in questions)
    assert 0.66 < right / len(questions) < 0.74


@pytest.mark.parametrize("register", REGISTERS.values(), ids=REGISTERS)
def test_the_web_is_careful_as_rarely_as_its_register_says(register):
    rng = Random(0)
    answers = [web(rng, register, BUILDERS["one_step"](rng)) for _ in range(4000)]
    careful_share = sum(answer.startswith("First") for answer in answers) / len(answers)
    assert abs(careful_share - register.careful_share) < 0.006


def test_curated_text_covers_all_registers():
    assert sum(register.curated_weight for register in REGISTERS.values()) == pytest.approx(1)
    assert len({register.prefix for register in REGISTERS.values()}) == len(REGISTERS) == 8
