from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.grading.normalisation import normalise


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("\\dfrac12", "\\frac{1}{2}"),
        ("\\frac{1}6", "\\frac{1}6"),
        ("11/25", "\\frac{11}{25}"),
        ("\\sqrt10", "\\sqrt{10}"),
        ("\\left( 1, 2 \\right)", "(1,2)"),
        ("12 \\text{ apples}", "12"),
        ("\\text{Sunday}", "Sunday"),
        ("37.72 apples", "37.72"),
        ("15.08 dollars", "15.08dollars"),
        ("a^3 + a^2", "^3+^2"),
        ("b - 1", "1"),
        ("east", "east"),
        ("36^\\circ", "36"),
        ("5\\%", "5"),
        ("x = 3", "3"),
        ("5.000", "5"),
        ("fifty-one", "51"),
        ("9 and -7", "9-7"),
        ("\\mathbf{56}", "{56}"),
        ("\\mbox{Yardley}", ""),
        ("3+4j", "3+4i"),
        ("\\begin{bmatrix} 1 \\end{bmatrix}", "\\begin{pmatrix}1\\end{pmatrix}"),
        ("(-\\infty, \\infty)", "(-\\infty,\\infty)"),
        ("k \\geqslant 2", "k\\geslant2"),
    ],
)
def test_an_answer_takes_its_normal_form(answer: str, form: str) -> None:
    assert normalise(answer) == form


def test_units_are_kept_on_request() -> None:
    assert normalise("5 m", keep_units=True) == "5m"
    assert normalise("5 m") == "5"


@given(st.text(max_size=80))
def test_any_text_has_a_normal_form_without_spaces(text: str) -> None:
    assert " " not in normalise(text)
