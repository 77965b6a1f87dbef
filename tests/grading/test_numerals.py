from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.grading.numerals import number
from lrbench.grading.quantities import quantity
from lrbench.grading.rewriting import tidy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2.50", Fraction(-5, 2)),
        (".5", Fraction(1, 2)),
        ("1,234,567", Fraction(1234567)),
        ("10{,}000", Fraction(10000)),
        ("6\\,250", Fraction(6250)),
        ("4.5e33", Fraction(45) * 10**32),
        ("1.45 \\times 10^{-5}", Fraction(145, 10**7)),
        ("4×10^33", Fraction(4) * 10**33),
        ("1\\frac12", Fraction(3, 2)),
        ("1 285/1492", Fraction(1777, 1492)),
        ("(1777)/(1492)", Fraction(1777, 1492)),
        ("{20 \\over 27}", Fraction(20, 27)),
        ("1 \\div 6", Fraction(1, 6)),
        ("0.\\overline{20}", Fraction(20, 99)),
        ("fifty-one", Fraction(51)),
        ("43.5 \\text{ thousand}", Fraction(43500)),
        ("-1./3", Fraction(-1, 3)),
    ],
)
def test_a_numeral_is_read_exactly(text: str, value: Fraction) -> None:
    assert number(tidy(text)) == value


@pytest.mark.parametrize("text", ["", "x", "1,2", "2x", "1/0", "1e999999999", "9" * 5000, "10!", "3-5", "a"])
def test_what_is_not_one_numeral_is_none(text: str) -> None:
    assert number(tidy(text)) is None


@pytest.mark.parametrize("text", ["36 \\text{ cm}^2", "36 cm", "\\$36", "36 \\mathrm{~m}", "36 USD", "36ки"])
def test_units_and_currencies_are_left_out(text: str) -> None:
    found = quantity(tidy(text))
    assert found is not None
    assert (found.value, found.is_percent) == (36, False)


def test_a_percent_sign_is_remembered() -> None:
    found = quantity(tidy("12.5\\%"))
    assert found is not None
    assert (found.value, found.is_percent) == (Fraction(25, 2), True)


@given(st.integers(), st.integers(min_value=1, max_value=10**9))
def test_any_fraction_is_read_as_itself(numerator: int, denominator: int) -> None:
    numerator %= 10**15
    assert number(tidy(f"\\frac{{{numerator}}}{{{denominator}}}")) == Fraction(numerator, denominator)


@given(st.text(max_size=60))
def test_tidying_is_stable_on_any_text(text: str) -> None:
    assert isinstance(tidy(tidy(text)), str)
