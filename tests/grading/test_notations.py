"""Numbers, times and matrices in the notations people use, and what only looks like them."""

from __future__ import annotations

import pytest

from lrbench.grading.algebra import prove
from lrbench.grading.exact import exact_equal

TIMES = [
    ("1:00", "12:00", False),
    ("12:00", "12:00", True),
    ("3:05", "3:5", False),
    ("2:4", "1:2", True),
    ("1:15", "2:30", False),
    ("12:30", "2:05", False),
    ("04:30", "4:30", True),
    ("16:30", "4:30 p.m.", True),
    ("4:30 \\text{ PM}", "4:30 p.m.", True),
    ("4:30", "4:30 p.m.", False),
    ("0.6", "3:05", False),
    ("0.6", "3:5", True),
    ("\\frac{3}{5}", "3:5", True),
    ("1:2:6", "1:3:4", False),
    ("2:4:6", "1:2:3", True),
    ("1 \\text{ to } 2", "2:4", True),
    ("t=12:00", "12:00", True),
    ("17:12", "34:24", True),
    ("12:00", "0", False),
    ("1:60", "2:120", True),
    ("6:01 p.m.", "6:01:00 p.m.", True),
    ("3:1", "3", True),
    ("9:10", "18 : 20", True),
    ("22:26", "11:13", True),
    ("2:00", "3:00", False),
    ("10:30", "5:15", False),
]
NUMBERS = [
    ("\u00bd", "\\frac12", True),
    ("2\u00bd", "\\frac52", True),
    ("2\u00bd", "\\frac{21}{2}", False),
    ("-\u00bd", "-0.5", True),
    ("\u2153", "\\frac13", True),
    ("\u00be", "0.75", True),
    ("\u215d", "0.625", True),
    ("1\u20442", "\\frac12", True),
    ("\u00b9\u2044\u2082", "\\frac12", True),
    ("\u00b2\u00b3\u2044\u2084\u2085", "\\frac{23}{45}", True),
    ("\u2189", "0", True),
    ("1\u00bc", "1.25", True),
    ("\u00bdx", "\\frac{x}{2}", True),
    ("50\u00bd\\%", "50.5\\%", True),
    ("3 \u00bd", "3.5", True),
    ("\u2152", "0.1", True),
    ("\u2151", "\\frac19", True),
    ("2 \u00bd \\text{ cups}", "2.5", True),
    ("10\u2074", "10000", True),
    ("10\u2074", "104", False),
    ("x\u2074", "x^4", True),
    ("x\u2081+x\u2082", "x_1+x_2", True),
    ("2\u207b\u00b3", "\\frac18", True),
    ("x\u00b9\u2070", "x^{10}", True),
    ("36 cm\u00b2", "36", True),
    ("5 m/s\u00b2", "5", True),
    ("1'234", "1234", True),
    ("1\u2019234", "1234", True),
    ("1\u2032234", "1234", True),
    ("1\u02bc234", "1234", True),
    ("1\u00b4234", "1234", True),
    ("1'234'567", "1234567", True),
    ("1'234.5", "1234.5", True),
    ("1'234,5", "1234.5", True),
    ("1 234", "1234", True),
    ("1 234", "1234", True),
    ("1 234", "1234", True),
    ("1\\,234\\,567", "1234567", True),
    ("1.234,56", "1234.56", True),
    ("1.234.567", "1234567", True),
    ("1 234,56", "1234.56", True),
    ("3,5", "3.5", True),
    ("3,5", "3,5", True),
    ("5,3", "3,5", True),
    ("3,5", "35", False),
    ("1,234", "1.234", False),
    ("1,234", "1234", True),
    ("0,125", "0.125", True),
    ("0,125", "125", False),
    ("0,125", "\\frac18", True),
    ("3{,}5", "3.5", True),
    ("0{,}125", "0.125", True),
    ("1{,}234", "1234", True),
    ("1234,5", "1234.5", True),
    ("12,50 \\text{ EUR}", "12.5", True),
    ("\u20ac12,50", "12.5", True),
    ("1.234", "1234", False),
    ("1.234", "1.234", True),
    ("(3,5)", "3.5", False),
    ("1,5", "1", False),
    ("2,0", "2", False),
    ("1,234.5", "1234.5", True),
    ("1,234,567.89", "1234567.89", True),
    ("1234.56", "1.234,56", True),
    ("1'23", "123", False),
    ("1,2,3", "1.2", False),
    ("3,14", "\\frac{314}{100}", True),
    ("1,234 567", "1234567", False),
    ("\\text{one half}", "\\frac12", True),
    ("three-quarters", "0.75", True),
    ("two and a half", "2.5", True),
    ("third", "\\frac13", False),
    ("\\text{third}", "\\text{third}", True),
    ("half", "0.5", True),
    ("\\nicefrac{3}{4}", "0.75", True),
]
MATRICES = [
    (
        "\\left[\\begin{array}{cc}1&2\\\\3&4\\\\[2pt]\\end{array}\\right]",
        "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}",
        True,
    ),
    ("\\begin{pmatrix}1&2\\\\3&4\\\\\\end{pmatrix}", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", True),
    ("\\begin{bmatrix}1&2\\\\3&4\\\\ \\end{bmatrix}", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", True),
    ("\\begin{pmatrix}1\\\\2\\\\\\end{pmatrix}", "(1,2)", True),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\\\\\end{pmatrix}", True),
    ("\\begin{bmatrix}1&2\\\\3&5\\\\ \\end{bmatrix}", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", False),
    ("\\begin{bmatrix}1&2\\\\3&4\\cr\\end{bmatrix}", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", True),
]


@pytest.mark.parametrize(("answer", "gold", "right"), TIMES)
def test_times_are_no_ratios_and_ratios_are_their_proportions(answer: str, gold: str, right: bool) -> None:
    assert exact_equal(answer, gold, prove) is right


@pytest.mark.parametrize(("answer", "gold", "right"), NUMBERS)
def test_a_number_is_read_in_any_unambiguous_notation(answer: str, gold: str, right: bool) -> None:
    assert exact_equal(answer, gold, prove) is right


@pytest.mark.parametrize(("answer", "gold", "right"), MATRICES)
def test_a_separator_after_the_last_row_of_a_matrix_is_nothing(answer: str, gold: str, right: bool) -> None:
    assert exact_equal(answer, gold, prove) is right
