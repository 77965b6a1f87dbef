"""Constants are equal or not, without a tolerance: large ones, tiny ones, near ones, and the same ones."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.grading.algebra import prove
from lrbench.grading.constants import is_zero
from lrbench.grading.exact import exact_equal

DIFFERENT = [
    ("2^{100}", "2^{100} - 2"),
    ("2^{100}-1", "2^{100} - 2"),
    ("2^{1009}-2^{900}", "2^{1009}"),
    ("10^{5000}+1", "10^{5000}"),
    ("25!+1", "25!"),
    ("\\binom{100}{50}", "\\binom{100}{50}+1"),
    ("\\frac{1}{2003!}", "\\frac{1}{2004!}"),
    ("1-\\frac{1}{2^{100}}", "1"),
    ("1", "1-\\frac{1}{2^{100}}"),
    ("\\sqrt{2}+10^{-300}", "\\sqrt{2}"),
    ("\\sqrt{10^{40}+1}", "10^{20}"),
    ("e^{\\pi\\sqrt{163}}", "262537412640768744"),
    ("262537412640768744", "e^{\\pi\\sqrt{163}}"),
    ("1267650600228229401496703205376", "2^{100}-2"),
    ("\\ln 6+10^{-100}", "\\ln 2+\\ln 3"),
    ("1+e^{-10000}", "1"),
    ("\\tanh(200)", "1"),
    ("\\sqrt{2}+\\sqrt{3}", "\\sqrt{10}"),
    ("\\sqrt{1000001}+\\sqrt{1000025}+\\sqrt{1000031}", "\\sqrt{1000002}+\\sqrt{1000018}+\\sqrt{1000037}"),
    ("\\frac{1}{0}", "\\frac{2}{0}"),
    ("10^{10^{10}}+1", "10^{10^{10}}"),
    ("(10^{10})!", "(10^{10})!+1"),
    ("3333333", "\\frac{10^7}{3}"),
    ("1000001", "\\frac{2000001}{2}"),
    # The same differences inside other shapes.
    ("x+2^{100}", "x+2^{100}-2"),
    ("x+10^{-50}", "x"),
    ("\\frac{x}{2003!}", "\\frac{x}{2004!}"),
    ("y=2^{100}x", "y=(2^{100}-2)x"),
    ("y=2x+3", "2x-y+3+10^{-40}=0"),
    ("(2^{100},\\infty)", "(2^{100}-2,\\infty)"),
    ("x>2^{100}", "x>2^{100}-2"),
    ("\\begin{pmatrix}2^{100}\\\\1\\end{pmatrix}", "\\begin{pmatrix}2^{100}-2\\\\1\\end{pmatrix}"),
    ("x \\ne 10^{-30}", "x \\ne 10^{-31}"),
    ("\\sin(10^{30})", "\\sin(10^{30}+1)"),
    ("2\\begin{pmatrix}2^{100}\\\\1\\end{pmatrix}", "2\\begin{pmatrix}2^{100}-2\\\\1\\end{pmatrix}"),
]
EQUAL = [
    ("10^{5000}+1", "1+10^{5000}"),
    ("\\binom{100}{50}", "\\frac{100!}{50!50!}"),
    ("\\sum_{k=1}^{100}k", "5050"),
    ("\\sum_{n=1}^{\\infty}\\frac{1}{n^2}", "\\frac{\\pi^2}{6}"),
    ("\\sqrt{5+2\\sqrt{6}}", "\\sqrt{2}+\\sqrt{3}"),
    ("\\sqrt[3]{20+14\\sqrt{2}}+\\sqrt[3]{20-14\\sqrt{2}}", "4"),
    ("\\sqrt{\\sqrt{5+2\\sqrt{6}}-\\sqrt{2}-\\sqrt{3}}", "0"),
    ("\\frac{1+\\sqrt{5}}{2}", "\\sqrt{\\frac{3+\\sqrt5}{2}}"),
    ("\\cos\\frac{\\pi}{7}-\\cos\\frac{2\\pi}{7}+\\cos\\frac{3\\pi}{7}", "\\frac12"),
    ("\\prod_{k=1}^{6}\\cos\\frac{k\\pi}{13}", "\\frac{1}{64}"),
    ("e^{2\\pi i/5}+e^{-2\\pi i/5}", "\\frac{\\sqrt5-1}{2}"),
    ("e^{i\\pi}", "-1"),
    ("\\sin^2(1)+\\cos^2(1)", "1"),
    ("4\\arctan(\\frac15)-\\arctan(\\frac{1}{239})", "\\frac{\\pi}{4}"),
    ("\\ln 6", "\\ln 2+\\ln 3"),
    ("\\log_2 8", "3"),
    ("(1+e^{-10000})^2", "1+2e^{-10000}+e^{-20000}"),
    ("10^{10^{10}}", "10^{10000000000}"),
    ("(10^{10})!+1", "1+(10^{10})!"),
    ("1267650600228229401496703205374", "2^{100}-2"),
    ("\\sqrt{x^2+2x+1}", "|x+1|"),
    ("2^{x^3}\\cdot 2", "2^{x^3+1}"),
    ("2^x\\cdot 2^y", "2^{x+y}"),
    ("23x-17=0", "46x=34"),
    ("x \\ne 2", "2 \\ne x"),
    ("2\\begin{pmatrix}1\\\\3\\end{pmatrix}", "\\begin{pmatrix}2\\\\6\\end{pmatrix}"),
    ("0.333333", "\\frac13"),
    ("1.414214", "\\sqrt2"),
]


@pytest.mark.parametrize(("answer", "gold"), DIFFERENT)
def test_constants_that_differ_are_not_equal_however_near_they_are(answer: str, gold: str) -> None:
    assert not exact_equal(answer, gold, prove)


@pytest.mark.parametrize(("answer", "gold"), EQUAL)
def test_constants_that_are_equal_are_equal_in_any_form(answer: str, gold: str) -> None:
    assert exact_equal(answer, gold, prove)


rationals = st.builds(Fraction, st.integers(-(10**12), 10**12), st.integers(1, 10**6))
tiny = st.builds(
    lambda digits, sign: sign * Fraction(1, 10**digits), st.integers(1, 400), st.sampled_from([-1, 1])
)


def latex(value: Fraction) -> str:
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


atoms = st.one_of(
    st.integers(1, 10**6).map(str),
    rationals.filter(lambda value: value > 0).map(latex),
    st.integers(2, 500).map(lambda n: f"\\sqrt{{{n}}}"),
    st.integers(2, 60).map(lambda n: f"\\sqrt[3]{{{n}}}"),
    st.integers(2, 60).map(lambda n: f"\\ln({n})"),
    st.integers(2, 300).map(lambda n: f"2^{{{n}}}"),
    st.integers(2, 40).map(lambda n: f"{n}!"),
    st.sampled_from(["\\pi", "e", "e^{\\pi}", "\\sin(1)", "\\cos(\\frac{\\pi}{7})"]),
)
constants = st.lists(atoms, min_size=1, max_size=3).flatmap(
    lambda parts: st.lists(st.sampled_from(["+", "-", "\\cdot "]), min_size=2, max_size=2).map(
        lambda signs: "".join(
            part + sign for part, sign in zip(parts, [*signs, ""][-len(parts) :], strict=True)
        )
    )
)
few = settings(max_examples=15, deadline=None)


@few
@given(constants)
def test_a_constant_is_equal_to_itself_in_other_words(constant: str) -> None:
    assert prove(constant, constant)
    assert prove(f"({constant})\\cdot 7-6({constant})", constant)
    assert prove(f"\\frac{{({constant})^2-2}}{{1}}", f"({constant}+\\sqrt{{2}})({constant}-\\sqrt{{2}})")


@few
@given(constants, st.one_of(rationals, tiny).filter(bool))
def test_a_number_added_to_a_constant_makes_another_constant(constant: str, added: Fraction) -> None:
    changed = f"{constant}+({latex(added)})"
    assert not prove(changed, constant)
    assert not prove(constant, changed)
    assert prove(f"{changed}-({latex(added)})", constant)


@few
@given(constants, constants)
def test_equality_of_constants_is_symmetric(one: str, other: str) -> None:
    assert prove(one, other) == prove(other, one)


@few
@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=3), st.integers(2, 3))
def test_an_integer_between_sums_of_roots_is_told_from_them(numbers: list[int], index: int) -> None:
    total = sympy.Add(*(sympy.Integer(number) ** sympy.Rational(1, index) for number in numbers))
    assert is_zero(total - sympy.floor(total)) is bool(total.is_Integer)
    assert is_zero(sympy.expand((total + 1) ** 2) - total**2 - 2 * total - 1)
