"""The protocol's computer algebra: formulas as sympy objects, and when two of them count as the same.

Only worker processes import this module; it may take any amount of time and memory.
"""

from __future__ import annotations

import builtins
import io
import keyword
import math
import tokenize
from functools import cache
from typing import Any

import sympy
from sympy.core.function import AppliedUndef
from sympy.parsing.latex import parse_latex
from sympy.parsing.sympy_parser import parse_expr

from lrbench.grading.parsing import in_two_stages

_TOLERANCE = 1e-4
_DECIMALS = 3


def same_formula(prediction: str, gold: str) -> bool:
    """Whether the protocol's computer algebra finds the two texts equal, each test in its turn."""
    ours, theirs = parse(prediction), parse(gold)
    if _printed_alike(ours, theirs):
        return True
    # Sympy evaluates any text it meets in an operation; what no parser accepted must not reach one.
    if isinstance(ours, str) or isinstance(theirs, str) or _differ_at_a_point(ours, theirs):
        return False
    return any(test(ours, theirs) for test in _TESTS)


def parse(text: str) -> Any:
    """A text as the first of three parsers that accepts it understands it; the text itself if none does."""
    for parser in (parse_latex_strictly, parse_python, parse_latex_leniently):
        for form in dict.fromkeys((text.replace("\\\\", "\\"), text)):
            try:
                return parser(form)
            except Exception:  # every failure of a parser means the same here: it is the next one's turn
                continue
    return text


def parse_latex_strictly(text: str) -> Any:
    """A text as sympy's own LaTeX parser understands it."""
    return in_two_stages(parse_latex, text)


def parse_python(text: str) -> Any:
    """A text in Python's notation as a sympy object; ValueError where it is more than a formula.

    Sympy evaluates what it parses, so only arithmetic, calls and names of sympy's own functions may pass.
    """
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_operator = token.type == tokenize.OP
        is_word = token.type == tokenize.NAME and (keyword.iskeyword(token.string) or "__" in token.string)
        if (
            token.type == tokenize.STRING
            or is_word
            or (is_operator and not _OPERATORS.issuperset(token.string))
        ):
            raise ValueError(f"not a formula: {token.string!r}")
    return parse_expr(text, global_dict=dict(_names()))


def parse_latex_leniently(text: str) -> Any:
    """A text as the tolerant LaTeX parser reads it; ValueError for what the protocol's one refuses.

    The protocol's parser knows neither intervals, unions and intersections nor sets, nor signs outside ASCII.
    """
    from latex2sympy2_extended import latex2sympy

    if not text.isascii():
        raise ValueError("a sign the protocol does not know")
    formula = latex2sympy(text)
    if isinstance(formula, sympy.Set):
        raise ValueError("a set is no formula to the protocol")
    return formula


_OPERATORS = frozenset("+-*/%(),[]{}<>=!&|^~")


@cache
def _names() -> dict[str, Any]:
    """The names a formula may use: sympy's mathematical objects, and nothing that can run code."""
    names: dict[str, Any] = {"__builtins__": {}}
    for name in sympy.__all__:
        value = getattr(sympy, name)
        if isinstance(value, sympy.Basic) or (isinstance(value, type) and issubclass(value, sympy.Basic)):
            names[name] = value
    for name in ("sqrt", "root", "cbrt", "real_root", "Rational", "Integer", "Float", "Symbol"):
        names[name] = getattr(sympy, name)
    for name in ("abs", "pow", "round"):
        names[name] = getattr(builtins, name)
    return names | {"max": sympy.Max, "min": sympy.Min}


def _differ_at_a_point(ours: Any, theirs: Any) -> bool:
    """Whether two expressions have clearly different values, so that no test below could find them equal."""
    if not (isinstance(ours, sympy.Expr) and isinstance(theirs, sympy.Expr)):
        return False
    unknowns = sorted(
        ours.free_symbols | theirs.free_symbols | ours.atoms(AppliedUndef) | theirs.atoms(AppliedUndef),
        key=str,
    )
    point = {unknown: sympy.Rational(31 + 17 * position, 29) for position, unknown in enumerate(unknowns)}
    try:
        left, right = (complex(formula.xreplace(point).evalf()) for formula in (ours, theirs))
    except Exception:  # no value at this point says nothing
        return False
    finite = math.isfinite(abs(left)) and math.isfinite(abs(right))
    return finite and abs(left - right) > 10 * _TOLERANCE * max(abs(left), abs(right))


def _printed_alike(ours: Any, theirs: Any) -> bool:
    try:
        return bool(str(ours) == str(theirs) or ours == theirs)
    except Exception:
        return False


def _algebraically_equal(ours: Any, theirs: Any) -> bool:
    try:
        return bool(ours.equals(theirs) or sympy.simplify(ours - theirs) == 0)
    except Exception:
        return False


def _equations_equal(ours: Any, theirs: Any) -> bool:
    try:
        return bool(abs(ours.lhs - ours.rhs).equals(abs(theirs.lhs - theirs.rhs)))
    except Exception:
        return False


def _numerically_equal(ours: Any, theirs: Any) -> bool:
    try:
        return math.isclose(float(sympy.N(theirs)), float(sympy.N(ours)), rel_tol=_TOLERANCE)
    except Exception:
        return False


def _matrices_equal(ours: Any, theirs: Any) -> bool:
    try:
        if ours.shape != theirs.shape:
            return False
        rounded = [matrix.applyfunc(lambda entry: round(entry, _DECIMALS)) for matrix in (ours, theirs)]
        return bool(rounded[0].equals(rounded[1]))
    except Exception:
        return False


_TESTS = (_algebraically_equal, _equations_equal, _numerically_equal, _matrices_equal)
