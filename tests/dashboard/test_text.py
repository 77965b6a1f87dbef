"""Text from models, records and problem sets is shown, whatever it holds, and never acts."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.results.web.text import name_html, text_html
from lrbench.results.web.text_diff import LONGEST, MOST_WORDS, diff_html

INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
TEXTS = st.one_of(
    st.text(), st.text(st.sampled_from(list("<>&\"'`$*_[]()\\/ \n\t\x1b\u202e\u2028a1:!#")), max_size=60)
)


def shown(marked: str) -> str:
    """What a browser shows of escaped text."""
    return html.unescape(re.sub(r"</?(mark|span[^<>]*)>", "", marked))


@given(TEXTS)
def test_escaped_text_holds_no_markup_and_nothing_invisible(text: str) -> None:
    for escaped in (text_html(text), name_html(text)):
        assert not re.search(r"[<>\"']", escaped)
        seen = set(html.unescape(escaped)) - {"\n", "\t"}
        assert not {unicodedata.category(character) for character in seen} & {
            "Cc",
            "Cf",
            "Co",
            "Cs",
            "Zl",
            "Zp",
        }


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_visible_text_is_shown_as_it_is(text: str) -> None:
    assert html.unescape(text_html(text)) == text


def test_long_text_is_cut_and_says_by_how_much() -> None:
    assert "… 980,000 more characters" in text_html("A" * 1_000_000)
    assert len(name_html("A" * 1_000_000)) == 60


@given(TEXTS, TEXTS)
def test_both_sides_of_a_difference_say_all_of_their_text(first: str, second: str) -> None:
    for marked, text in zip(diff_html(first, second), (first, second), strict=True):
        assert shown(marked) == html.unescape(text_html(text))
        assert set(re.findall(r"<[^>]*>", marked)) <= {"<mark>", "</mark>"}


def test_what_one_text_lacks_is_marked() -> None:
    assert diff_html("2 + 2 = 4", "2 + 2 = 5") == ("2 + 2 = <mark>4</mark>", "2 + 2 = <mark>5</mark>")
    assert diff_html("same", "same") == ("same", "same")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("A" * 1_000_000, "B" * 1_000_000),
        ("a " * (MOST_WORDS // 2 - 1), "a " * (MOST_WORDS // 3)),
        ("ab " * (MOST_WORDS // 2 - 1), "ba " * (MOST_WORDS // 2 - 1)),
        ("x" * LONGEST, "!" * LONGEST),
        ("", "y"),
    ],
)
def test_repetition_and_length_do_not_stop_a_difference(first: str, second: str) -> None:
    left, right = diff_html(first, second)
    assert len(left) + len(right) < 1_000_000
