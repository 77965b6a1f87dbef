"""Whatever a name holds, it is shown as text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.results.text import markdown, plain, spreadsheet


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Qwen/Qwen2.5-Math-1.5B", "Qwen/Qwen2.5-Math-1.5B"),
        ("été 数学", "été 数学"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\ttab", "two\\x0alines\\x09tab"),
        ("abc\u202ecba\u2066", "abc\\u202ecba\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028paragraph\u2029", "line\\u2028paragraph\\u2029"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
    ],
)
def test_plain_spells_out_what_is_invisible_or_acts(text, shown):
    assert plain(text) == shown


@given(st.text(max_size=400))
def test_plain_text_is_printable_and_bounded(text):
    shown = plain(text, 50)
    assert len(shown) <= 50
    assert all(unicodedata.category(character)[0] != "C" for character in shown)


def test_a_megabyte_of_one_character_is_cut():
    assert plain("a" * 2**20, 10) == "aaaaaaaaa…"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("no_selection", "no_selection"),
        ("a|b", "a\\|b"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("[x](http://y)", "\\[x\\](http://y)"),
        ("*bold* _it_ `code`", "\\*bold\\* \\_it\\_ \\`code\\`"),
        ("a\nb", "a\\\\x0ab"),
    ],
)
def test_markdown_holds_no_markup(text, escaped):
    assert markdown(text) == escaped


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_spreadsheet_does_not_take_a_name_for_a_formula(start):
    assert spreadsheet(f"{start}cmd()") == f"'{start}cmd()"


def test_an_ordinary_name_is_left_alone_in_a_spreadsheet():
    assert spreadsheet("embedded/expert") == "embedded/expert"
