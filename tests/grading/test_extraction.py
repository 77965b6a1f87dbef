from __future__ import annotations

import pytest

from lrbench.grading.extraction import (
    LONGEST,
    blind_prediction,
    choice,
    gold_forms,
    last_box,
    paper_prediction,
)


@pytest.mark.parametrize(
    ("text", "prediction"),
    [
        ("\\boxed{3} or rather \\boxed{4}", "4"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{22", "22"),
        ("\\boxed 140$.", "140"),
        ("The final answer is $5$. I hope it is correct. \\boxed{6}", "5"),
        ("The answer is 15090. No: the answer is 15089.", "15089"),
        ("The final answer, boxed, is 5", ",is5"),
        ("答案是 7\n\n以上", "7"),
        ("first 1,000 then 2,500", "2500"),
        ("no number", ""),
        ("", None),
        ("error", None),
    ],
)
def test_the_first_rule_that_applies_reads_the_answer(text: str, prediction: str | None) -> None:
    assert paper_prediction("gsm8k", text, "1") == prediction


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B), not C.", "B"),
        ("A fails, so it must be (d)", "D"),
        ("The answer is (A).\n\nNext. The answer is (B).", "A"),
        ("None of the choices is correct.", "None of the choices is correct"),
    ],
)
def test_a_choice_follows_a_trigger_or_comes_last(text: str, letter: str) -> None:
    assert choice(text) == letter


def test_a_gold_letter_makes_any_benchmark_read_choices() -> None:
    assert paper_prediction("math", "Graph E is steep, so \\boxed{2}, since B", "B") == "B"


def test_an_open_box_runs_to_the_end_and_no_box_is_none() -> None:
    assert last_box("\\boxed{a{b}c} d") == "a{b}c"
    assert last_box("\\boxed{a{b") == "a{b"
    assert last_box("a") is None


def test_math_compares_the_gold_normalised_once_and_the_others_twice() -> None:
    assert gold_forms("math", "x \\in [-2,7]") == ("[-2,7]", "x\\in[-2,7]")
    assert gold_forms("asdiv", "3:30 p.m.") == ("3:30p.", "3:30p")
    assert gold_forms("minerva_math", "5 m") == ("5m", "5m")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("so the answer is \\boxed{1200}.", "1200"),
        ("The answer is 1200", "1200"),
        ("7 and then 1200", "1200"),
        ("I do not know", None),
        ("", None),
        ("\\boxed{" + "1" * (LONGEST + 1) + "}", None),
    ],
)
def test_answers_that_vote_are_read_without_the_gold_answer(text: str, read: str | None) -> None:
    assert blind_prediction("gsm8k", text) == read
    if read is not None:
        assert blind_prediction("gsm8k", text) == paper_prediction("gsm8k", text, "5")
