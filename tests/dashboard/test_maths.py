r"""Formulas are typeset where that is safe; everything else stays the text it is, whatever it holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrbench_dashboard.maths import LONGEST_TEXT, code_span, is_safe_formula, pieces, with_maths

MARKUP = [*"ab1 $\\()[]{}`<>&%#_^*:!|-\n=~\"'.@/", "\\frac", "\\boxed{", "\\(", "\\)", "$$", "$x$"]
TRICKY = st.lists(st.sampled_from(MARKUP)).map("".join)


def markdown_pieces(markdown: str) -> list[str]:
    """What the Markdown is made of, read as CommonMark reads code spans and inline formulas."""
    found, rest = [], markdown
    while rest:
        if rest.startswith("`"):
            fence = re.match("`+", rest).group()
            close = re.search(rf"(?<!`){fence}(?!`)", rest[len(fence) :])
            assert close, f"a code span is left open: {rest[:80]!r}"
            end = len(fence) + close.end()
            found.append(rest[:end])
        elif rest.startswith("$"):
            end = rest.index("$", 1) + 1
            assert end > 2, "two dollars in a row open a display formula"
            found.append(rest[:end])
        elif rest.startswith("\\\n"):
            end = 2
        else:
            assert rest[0] == " ", f"bare text: {rest[:80]!r}"
            end = 1
        rest = rest[end:]
    return found


@given(st.one_of(TRICKY, st.text()))
def test_nothing_stands_outside_of_code_spans_and_safe_formulas(text: str) -> None:
    for piece in markdown_pieces(with_maths(text)):
        assert piece.startswith("`") or is_safe_formula(piece.strip("$").removeprefix("\\displaystyle "))


@given(st.one_of(TRICKY, st.text()))
def test_pieces_leave_nothing_out(text: str) -> None:
    assert "".join(piece.source for piece in pieces(text)) == text


@given(st.text())
def test_a_code_span_says_what_it_was_given(text: str) -> None:
    line = text.replace("\n", "")
    span = code_span(line)
    if span and "\\" not in line and line.isprintable():
        (inside,) = markdown_pieces(span)
        fence = re.match("`+", inside).group()
        body = inside[len(fence) : -len(fence)]
        assert (body[1:-1] if line.strip(" ") else body) == line


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (r"so $x^2 = \frac{1}{2}$.", [r"x^2 = \frac{1}{2}"]),
        (r"\(a\) and \[b + c\]", ["a", "b + c"]),
        (r"$$\sum_{i=1}^n i$$", [r"\sum_{i=1}^n i"]),
        (r"The answer is \boxed{\frac{3}{4}}.", [r"\boxed{\frac{3}{4}}"]),
        (
            r"\begin{x} $\begin{pmatrix}1 & 2\\3 & 4\end{pmatrix}$",
            [r"\begin{pmatrix}1 & 2\\3 & 4\end{pmatrix}"],
        ),
        ("It costs $5 and then $6 more.", []),
        ("From $5-$6 to $7", []),
        (r"open $x^2 and \(y", []),
        (r"$\href{javascript:alert(1)}{x}$", []),
        (r"$\includegraphics{http://x/y.png}$", []),
        (r"$\def\a{\a\a}\a$", []),
        (r"$\htmlClass{x}{y}$ $\url{x}$ $\unknown$", []),
        (r"$50% off$", []),
        (r"$\begin{verbatim}x\end{verbatim}$", []),
        (r"$a & b$ $x # y$ $a~b$ $}{$", []),
        ("$x`y$", []),
        ("$ä$ $x\u202ey$ $\x00$", []),
        (r"\boxed{open", []),
        ("$" + "{" * 300 + "}" * 300 + "$", []),
        ("$" + "x" * 700 + "$", []),
    ],
)
def test_what_is_typeset(text: str, formulas: list[str]) -> None:
    assert [
        piece.formula.removeprefix("\\displaystyle ") for piece in pieces(text) if piece.formula
    ] == formulas


def test_lines_stay_lines_and_adjacent_formulas_stay_two() -> None:
    assert with_maths("a\nb") == "` a `\\\n` b `"
    assert with_maths("$a$\\(b\\)") == "$a$ $b$"


@pytest.mark.parametrize("unit", ["A", "$", "\\(", "\\boxed{", "`", "$x$", "\n", "{"])
def test_a_megabyte_of_one_thing_is_cut(unit: str) -> None:
    shown = with_maths(unit * (1_000_000 // len(unit)))
    assert "cut; the text view shows more" in shown
    assert len(shown) < 12 * LONGEST_TEXT
