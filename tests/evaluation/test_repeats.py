"""Items that repeat training problems, word for word or nearly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lrbench.evaluation.repeats import WORDS, Repeats, count_repeats

TRAINING = [
    "Tom has 3 apples and buys 4 more at the market on Monday. How many apples does Tom have then?",
    "What is 2+2?",
]


def test_copies_are_found_whatever_their_case_and_white_space() -> None:
    items = [
        "  tom HAS 3 apples and buys 4 more\nat the market on Monday How many apples does Tom have then",
        "what is 2 + 2",
    ]
    assert count_repeats(items, TRAINING) == Repeats(items=2, exact=2, near=0)


def test_a_copy_with_another_number_is_near_and_another_problem_is_none() -> None:
    near = "Tom has 9 apples and buys 4 more at the market on Monday. How many apples does Tom have then?"
    other = "How many apples does Tom have then, who gave 5 of his 17 ones away to his little sister?"
    assert count_repeats([near, other, "What is 2+3?"], TRAINING) == Repeats(items=3, exact=0, near=1)


words = st.lists(st.sampled_from("abcdefgh"), max_size=30).map(" ".join)


@given(st.lists(words, max_size=5), st.lists(words, max_size=5))
def test_it_counts_what_a_search_through_the_texts_counts(items: list[str], training: list[str]) -> None:
    exact = near = 0
    for item in items:
        if item in training:
            exact += 1
            continue
        split = item.split()
        parts = [" ".join(split[at : at + WORDS]) for at in range(len(split) - WORDS + 1)]
        found = [any(f" {part} " in f" {text} " for text in training) for part in parts]
        near += bool(parts) and sum(found) / len(parts) >= 0.5
    assert count_repeats(items, training) == Repeats(len(items), exact, near)
