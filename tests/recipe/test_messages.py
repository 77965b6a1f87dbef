from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.recipe.messages import (
    Position,
    Problem,
    edit_distance,
    found,
    nearest,
    printable,
    recipe_error,
)

words = st.text(alphabet="abc", max_size=6)


@given(words, words)
def test_edit_distance_is_symmetric_and_zero_only_for_equal_words(first: str, second: str) -> None:
    assert edit_distance(first, second) == edit_distance(second, first)
    assert (edit_distance(first, second) == 0) == (first == second)


@given(words, words)
def test_edit_distance_lies_between_the_difference_and_the_maximum_of_the_lengths(a: str, b: str) -> None:
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


@pytest.mark.parametrize(
    ("first", "second", "edits"),
    [("beta", "bta", 1), ("beta", "betta", 1), ("beta", "btea", 1), ("beta", "bets", 1), ("ab", "ba", 1)],
)
def test_a_drop_a_double_a_swap_and_a_replacement_are_one_edit(first: str, second: str, edits: int) -> None:
    assert edit_distance(first, second) == edits


def test_the_nearest_name_is_found_whatever_its_case_and_dashes() -> None:
    assert nearest("Learning-Rate", ["updates", "learning_rate"]) == "learning_rate"


def test_a_name_that_resembles_nothing_has_no_nearest() -> None:
    assert nearest("epochs", ["updates", "learning_rate", "lora"]) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), ".nan"),
        (float("-inf"), "-.inf"),
        ("x\x1b[31m", 'the text "x\\x1b[31m"'),
        ("a" * 70, 'the text "' + "a" * 60 + '..."'),
        ([], "an empty list"),
        ({"a": 1}, "a mapping"),
    ],
)
def test_a_found_value_is_shown_in_the_words_of_yaml(value: object, shown: str) -> None:
    assert found(value) == shown


@given(st.text())
def test_what_is_shown_never_moves_the_cursor(text: str) -> None:
    assert printable(text).isprintable()


def test_problems_are_listed_once_in_reading_order_with_the_files_before_the_overrides() -> None:
    problems = [
        Problem(Position("override 'a=1'", column=1), ("a",), "fourth"),
        Problem(Position("base.yaml", 1, 1), ("a",), "third"),
        Problem(Position("r.yaml", 2, 1), ("b",), "second"),
        Problem(Position("r.yaml", 1, 9), ("c", 0), "first"),
        Problem(Position("r.yaml", 1, 9), ("c", 0), "first"),
    ]
    assert str(recipe_error(problems, "r.yaml")).split("\n") == [
        "r.yaml:1:9: c.0: first",
        "r.yaml:2:1: b: second",
        "base.yaml:1:1: a: third",
        "override 'a=1':1: a: fourth",
        "4 problems; nothing was run.",
    ]
