"""Whether two formulas are mathematically equal, by computer algebra.

Only worker processes import this module; it may take any amount of time and memory.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import sympy
from latex2sympy2_extended import latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify import grader
from sympy.core.function import AppliedUndef

from lrbench.evaluation.grading.numerals import decimal_places, is_decimal, number
from lrbench.evaluation.grading.parsing import in_two_stages

_DIGITS = 40
_CLOSE = sympy.Float("1e-25")
_POINTS = 4
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
    parsed = parsed.xreplace(
        {derivative: _quantity(derivative) for derivative in parsed.atoms(sympy.Derivative)}
    )
    parsed = parsed.xreplace({call: _quantity(call) for call in parsed.atoms(AppliedUndef)})
    parsed = parsed.xreplace({decimal: sympy.Rational(str(decimal)) for decimal in parsed.atoms(sympy.Float)})
    return parsed.xreplace({symbol: sympy.I for symbol in parsed.free_symbols if symbol.name == "i"})


def _quantity(expression: sympy.Basic) -> sympy.Symbol:
    return sympy.Symbol(str(expression))


def _equal(ours: Any, theirs: Any) -> bool:
    if ours == theirs:
        return True
    ours = _with_the_same_constant(ours, theirs)
    if not (isinstance(ours, sympy.Expr) and isinstance(theirs, sympy.Expr)):
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
    """Sets, relations and the like are compared by math-verify."""
    try:
        return bool(grader.verify(theirs, ours, timeout_seconds=None))
    except Exception:  # math-verify raises on pairs it has no rule for
        return False


def _agree_at_points(ours: sympy.Expr, theirs: sympy.Expr) -> bool | None:
    """Whether two formulas have the same value at several points; None where they cannot be evaluated.

    Formulas that agree to 25 digits at four unrelated points are the same formula.
    """
    symbols = sorted(ours.free_symbols | theirs.free_symbols, key=str)
    evaluated = 0
    for point in _points(symbols):
        left, right = _value(ours, point), _value(theirs, point)
        if left is None or right is None:
            continue
        if abs(left - right) > _CLOSE * max(abs(left), abs(right), sympy.Float("1e-60")):
            return False
        evaluated += 1
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
    """The value at a point to many digits; None outside the formula's real domain or where it has none."""
    try:
        placed = expression.xreplace(point)
        if any(value < 0 for value in point.values()) and not _is_real_throughout(expression, point):
            return None
        value = placed.doit().evalf(_DIGITS)
    except (TypeError, ValueError, AttributeError, NotImplementedError, ZeroDivisionError):
        return None
    if not value.is_number or value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return None
    return value if all(part.is_Float or part.is_Rational for part in value.as_real_imag()) else None


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
    ratios = []
    for point in _points(symbols):
        left, right = _value(ours, point), _value(theirs, point)
        if left is None or right is None:
            continue
        if abs(left) < _CLOSE or abs(right) < _CLOSE:
            return False
        ratios.append(left / right)
    return len(ratios) > 1 and all(abs(ratio - ratios[0]) <= _CLOSE * abs(ratios[0]) for ratio in ratios)


def _is_rounding(answer: str, gold: Any) -> bool:
    """Whether a decimal is the gold value, or that value rounded to at least six digits."""
    stated = number(answer)
    digits, places = decimal_places(answer)
    value = _value(gold, {}) if isinstance(gold, sympy.Expr) and not gold.free_symbols else None
    if stated is None or value is None or not value.is_real:
        return False
    difference = abs(sympy.Rational(stated.numerator, stated.denominator) - value)
    if difference <= _CLOSE * abs(value):
        return True
    unit = Fraction(1, 10**places)
    return digits >= _DIGITS_OF_A_ROUNDING and bool(
        2 * difference <= sympy.Rational(unit.numerator, unit.denominator)
    )
