"""Whether two formulas are mathematically equal, by computer algebra.

Only worker processes import this module; it may take any amount of time and memory.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import Any

import sympy
from latex2sympy2_extended import latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify import grader
from sympy.core.function import AppliedUndef

from lrbench.grading.constants import is_zero, with_towers_as_symbols
from lrbench.grading.numerals import decimal_places, is_decimal, number
from lrbench.grading.parsing import in_two_stages

_DIGITS = 20
_POINTS = 4
_MATRICES = (sympy.MatrixBase, sympy.MatrixExpr)
_DIGITS_OF_A_ROUNDING = 6
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_RADIANS = r"{(\1\\pi/180)}"
_LITERALLY = ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=False)
_FACTOR_BEFORE_BRACKET = re.compile(r"(?<![\w}])(\d+)\s*(?=\()")
_STAND_INS = (
    (re.compile(r"(?<![a-zA-Z\\])I(?![a-zA-Z])"), r"\\iota "),
    (re.compile(r"(?<![a-zA-Z\\])E(?=\s*_)"), r"\\upsilon "),
    (re.compile(r"_\{\s*\\(o|s|a)(?:dot|plus|tar|st)\s*\}"), r"_{\1}"),
)
_MIXED = re.compile(r"(?<![\d.}])(\d+)\s*\\frac\{(\d+)\}\{(\d+)\}")
_DECADIC = re.compile(r"\\log(?![a-zA-Z])(?!\s*_)")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*\\circ")


def prove(answer: str, gold: str, *, proportional: bool = False) -> bool:
    """Whether two tidied formulas are equal, or with `proportional` equal up to a constant factor, not 0."""
    return any(
        _prove(ours, theirs, proportional=proportional)
        for ours, theirs in product(_readings(answer), _readings(gold))
    )


def _readings(text: str) -> tuple[str, ...]:
    """A formula as it stands, with logarithms to base e, since books differ, and with an angle in radians."""
    return tuple(dict.fromkeys((text, _DECADIC.sub(r"\\ln ", text), _DEGREES.sub(_RADIANS, text))))


def _prove(answer: str, gold: str, *, proportional: bool) -> bool:
    ours, theirs = formula(answer), formula(gold)
    if ours is None or theirs is None:
        return False
    if proportional:
        return _proportional(ours, theirs)
    if is_decimal(answer) and not is_decimal(gold):
        return _is_rounding(answer, theirs)
    return _equal(ours, theirs)


@cache
def formula(text: str) -> Any:
    """A tidied formula as a sympy object; None where it cannot be read."""
    value = number(text)
    if value is not None:
        return sympy.Rational(value.numerator, value.denominator)
    try:
        parsed = in_two_stages(_parse, _unambiguous(text))
    except Exception:  # any failure to parse means that the text is no formula
        return None
    return _with_plain_atoms(parsed) if isinstance(parsed, sympy.Basic) else parsed


def _parse(text: str) -> Any:
    return latex2sympy(text, normalization_config=None, conversion_config=_LITERALLY)


def _unambiguous(text: str) -> str:
    """A formula without what the parser misreads: degrees, mixed numbers, letters it keeps for itself."""
    if _TRIGONOMETRIC.search(text):
        text = _DEGREES.sub(_RADIANS, text)
    text = text.replace("^\\circ", "")
    text = _MIXED.sub(lambda found: _sum_if_proper(found), text)
    text = _FACTOR_BEFORE_BRACKET.sub(r"\1\\cdot ", text)
    for letter, stand_in in _STAND_INS:
        text = letter.sub(stand_in, text)
    return text


def _sum_if_proper(found: re.Match[str]) -> str:
    whole, numerator, denominator = found.groups()
    if int(numerator) >= int(denominator):
        return found.group()
    return rf"({whole}+\frac{{{numerator}}}{{{denominator}}})"


def _with_plain_atoms(parsed: sympy.Basic) -> sympy.Basic:
    """Unknown functions and derivatives as quantities of their own, decimals as fractions, i as the unit."""
    parsed = with_towers_as_symbols(parsed)
    parsed = parsed.xreplace(
        {derivative: _quantity(derivative) for derivative in parsed.atoms(sympy.Derivative)}
    )
    parsed = parsed.xreplace({call: _quantity(call) for call in parsed.atoms(AppliedUndef)})
    parsed = parsed.xreplace({decimal: sympy.Rational(str(decimal)) for decimal in parsed.atoms(sympy.Float)})
    return parsed.xreplace({symbol: sympy.I for symbol in parsed.free_symbols if symbol.name == "i"})


def _quantity(expression: sympy.Basic) -> sympy.Symbol:
    return sympy.Symbol(str(expression))


def _equal(ours: Any, theirs: Any) -> bool:
    if any(isinstance(side, sympy.Expr) and side.has(sympy.nan, sympy.zoo) for side in (ours, theirs)):
        return False
    if ours == theirs:
        return True
    ours = _with_the_same_constant(ours, theirs)
    if not (isinstance(ours, sympy.Expr) and isinstance(theirs, sympy.Expr)):
        return _verified(ours, theirs)
    if isinstance(ours, _MATRICES) or isinstance(theirs, _MATRICES):
        return _verified(ours, theirs)
    agreement = _agree_at_points(ours, theirs)
    if agreement is not None:
        return agreement
    return bool(sympy.simplify(ours.doit() - theirs.doit()) == 0)


def _with_the_same_constant(ours: Any, theirs: Any) -> Any:
    """A constant of integration may be c or C."""
    if not (isinstance(ours, sympy.Expr) and isinstance(theirs, sympy.Expr)):
        return ours
    for name, other in (("c", "C"), ("C", "c")):
        symbols = sympy.Symbol(name), sympy.Symbol(other)
        if symbols[0] in ours.free_symbols - theirs.free_symbols and symbols[1] in theirs.free_symbols:
            return ours.xreplace({symbols[0]: symbols[1]})
    return ours


def _verified(ours: Any, theirs: Any) -> bool:
    """Matrices by their entries, negated equations by their sides; math-verify compares sets and the like."""
    if isinstance(ours, _MATRICES) and isinstance(theirs, _MATRICES):
        left, right = ours.doit(), theirs.doit()
        return left.shape == right.shape and all(map(_equal, left, right))
    if isinstance(ours, sympy.Ne) and isinstance(theirs, sympy.Ne):
        return _proportional(ours.lhs - ours.rhs, theirs.lhs - theirs.rhs)
    try:
        return bool(grader.verify(theirs, ours, timeout_seconds=None))
    except Exception:  # math-verify raises on pairs it has no rule for
        return False


def _agree_at_points(ours: sympy.Expr, theirs: sympy.Expr) -> bool | None:
    """Whether two formulas have the same value at several points; None where they cannot be evaluated.

    Formulas that agree at four unrelated points are the same formula; constants have one point.
    """
    symbols = sorted(ours.free_symbols | theirs.free_symbols, key=str)
    evaluated = 0
    for point in _points(symbols):
        left, right = _value(ours, point), _value(theirs, point)
        if left is None or right is None:
            continue
        same = is_zero(left - right, proven=not symbols)
        if same is False:
            return False
        evaluated += same is not None
    return True if evaluated else None


def _points(symbols: list[sympy.Symbol]) -> list[dict[sympy.Symbol, sympy.Rational]]:
    if not symbols:
        return [{}]
    points = []
    for number_of_point in range(_POINTS):
        sign = -1 if number_of_point == _POINTS - 1 else 1
        points.append(
            {
                symbol: sympy.Rational(sign * (17 + 29 * position + 41 * number_of_point), 23 + 6 * position)
                for position, symbol in enumerate(symbols)
            }
        )
    return points


def _value(expression: sympy.Expr, point: dict[sympy.Symbol, sympy.Rational]) -> sympy.Expr | None:
    """The value at a point, as a constant; None outside the formula's real domain or where it has none."""
    try:
        if any(value < 0 for value in point.values()) and not _is_real_throughout(expression, point):
            return None
        value = expression.xreplace(point).doit()
        return value if value.is_number and value.is_finite is not False else None
    except (TypeError, ValueError, AttributeError, NotImplementedError, ZeroDivisionError):
        return None


def _is_real_throughout(expression: sympy.Expr, point: dict[sympy.Symbol, sympy.Rational]) -> bool:
    """Whether no root or logarithm in the formula leaves the real numbers at a point."""
    arguments = [power.base for power in expression.atoms(sympy.Pow) if not power.exp.is_integer]
    arguments += [logarithm.args[0] for logarithm in expression.atoms(sympy.log)]
    return all(argument.xreplace(point).evalf().is_nonnegative for argument in arguments)


def _proportional(ours: Any, theirs: Any) -> bool:
    if not (isinstance(ours, sympy.Expr) and isinstance(theirs, sympy.Expr)):
        return False
    symbols = sorted(ours.free_symbols | theirs.free_symbols, key=str)
    if ours.free_symbols != theirs.free_symbols:
        return False
    values = [
        (left, right)
        for left, right in ((_value(ours, point), _value(theirs, point)) for point in _points(symbols))
        if left is not None and right is not None and not (is_zero(left) and is_zero(right))
    ]
    if len(values) < 2 or any(is_zero(value) for pair in values for value in pair):
        return False
    if ours in (theirs, -theirs):
        return True
    first_left, first_right = values[0]
    return all(is_zero(left * first_right - first_left * right, proven=False) for left, right in values[1:])


def _is_rounding(answer: str, gold: Any) -> bool:
    """Whether a decimal is the gold value, or rounded to six digits or more, some after the point."""
    stated = number(answer)
    digits, places = decimal_places(answer)
    value = _value(gold, {}) if isinstance(gold, sympy.Expr) and not gold.free_symbols else None
    if stated is None or value is None:
        return False
    difference = sympy.Rational(stated.numerator, stated.denominator) - value
    if is_zero(difference):
        return True
    if digits < _DIGITS_OF_A_ROUNDING or not places:
        return False
    distance = difference.evalf(_DIGITS, maxn=digits + _DIGITS)
    return bool(distance.is_real and 2 * abs(distance) * 10**places <= 1)
