r"""Whether a constant is zero, and so whether two constants are equal: no tolerance decides.

Rational numbers are compared as such. Any other constant is evaluated with growing precision until its first
digits are certain, and then it is not zero, or until it has vanished to more digits than a constant of its
making can vanish to. For an algebraic number that is a theorem: C. Burnikel, R. Fleischer, K. Mehlhorn, S.
Schirra, "A strong and easily computable separation bound for arithmetic expressions involving radicals"
(Algorithmica 27, 2000); it holds for complex radicals and roots of unity as well. For what exponentials and
logarithms take part in it is D. Richardson's uniformity conjecture, with plenty to spare: a difference of k
symbols that is not zero shows itself within a number of digits that grows like k and the sizes it goes
through.

Only worker processes import this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import sympy
from sympy.core.evalf import PrecisionExhausted, evalf

LARGEST_BITS = 1 << 20
"""An integer with more binary digits than this is not worked out."""

_MOST_BITS_TO_PROVE = 20_000
_MOST_BITS = 60_000
_BITS_OF_A_NUMERICAL_VALUE = 130
_BITS_PER_SYMBOL = 32
_BITS_AT_LEAST = 256
_BITS_PER_BIT_OF_SIZE = 4
_SPARE_BITS = 64
_FIRST_BITS = 64
_GROWTH = 4
_DIGITS_FOR_SIZE = 3
_BITS_OF_A_SYMBOL = 8.0
_BITS_OF_A_FLOAT = 1000
_NUMERICAL = (sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit)
_HYPERBOLIC = (sympy.sinh, sympy.cosh, sympy.tanh, sympy.coth, sympy.sech, sympy.csch)
_TRIGONOMETRIC = (sympy.sin, sympy.cos, sympy.tan, sympy.cot, sympy.sec, sympy.csc)


def is_zero(constant: sympy.Expr, *, proven: bool = True) -> bool | None:
    """Whether an expression without free symbols is zero; None where it has no finite value.

    With `proven` the vanishing of an algebraic number is proven; without it the conjecture is enough, which
    is meant for a formula of which `constant` is the value at one of several points.
    """
    if constant.is_Rational:
        return bool(constant == 0)
    if constant.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return None
    constant = constant.rewrite(_HYPERBOLIC, sympy.exp)
    return _vanishes(_without_hidden_zeros(constant, proven), proven)


def _without_hidden_zeros(constant: sympy.Expr, proven: bool) -> sympy.Expr:
    """The constant with 0 for every sum inside it that is zero in disguise: no digit of such is certain."""
    if not constant.args:
        return constant
    arguments = [
        _without_hidden_zeros(argument, proven) if isinstance(argument, sympy.Expr) else argument
        for argument in constant.args
    ]
    if not constant.is_Add:
        arguments = [
            sympy.S.Zero if isinstance(argument, sympy.Add) and _vanishes(argument, proven) else argument
            for argument in arguments
        ]
    return constant if tuple(arguments) == constant.args else constant.func(*arguments)


def _vanishes(constant: sympy.Expr, proven: bool) -> bool | None:
    if constant.is_Rational:
        return bool(constant == 0)
    needed = _bits_needed(constant, proven)
    if needed > _MOST_BITS and sympy.expand(constant) == 0:
        return True
    most = min(needed, _MOST_BITS)
    bits = _FIRST_BITS
    while True:
        try:
            return _evaluates_to_nothing(constant, bits)
        except PrecisionExhausted:
            if 2 * bits >= most:
                # What is out of reach is not counted as zero.
                return needed <= _MOST_BITS
        except (NotImplementedError, TypeError, ValueError):
            return None
        bits = min(_GROWTH * bits, math.ceil(most / 2))


def _evaluates_to_nothing(constant: sympy.Expr, bits: int) -> bool:
    """Whether a constant's value is 0 when it is computed to so many certain binary digits.

    Raises PrecisionExhausted where no part of it grows certain with twice as many and their like, and
    NotImplementedError for functions without values.
    """
    value = evalf(constant, bits, {"maxprec": 2 * bits, "strict": True})
    return not any(value[:2])


def _bits_needed(constant: sympy.Expr, proven: bool) -> float:
    """How many binary digits after the leading one of its largest term tell a constant from zero."""
    if constant.has(*_NUMERICAL):
        return _BITS_OF_A_NUMERICAL_VALUE
    conjectured = _bits_by_uniformity(constant)
    proving = _bits_by_separation(constant)
    if proving is not None and (proving <= conjectured or (proven and proving <= _MOST_BITS_TO_PROVE)):
        return proving
    return conjectured


def _bits_by_uniformity(constant: sympy.Expr) -> float:
    symbols, size = 0, 0.0
    for part in sympy.preorder_traversal(constant):
        symbols += 1
        if part.is_Rational:
            size += abs(part.p).bit_length() + part.q.bit_length()
        elif isinstance(part, sympy.exp | sympy.Pow):
            size += abs(_log2(part))
    return _BITS_AT_LEAST + _BITS_PER_SYMBOL * symbols + _BITS_PER_BIT_OF_SIZE * size


def _log2(constant: sympy.Expr) -> float:
    """The binary logarithm of a constant's absolute value, roughly; 0 where that cannot be said."""
    try:
        value = sympy.Abs(constant.evalf(_DIGITS_FOR_SIZE))
        return float(sympy.log(value, 2).evalf(_DIGITS_FOR_SIZE)) if value else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0.0


class _NotAlgebraicError(Exception):
    """The separation bound knows nothing of a constant."""


@dataclass
class _Field:
    """What has been adjoined to the rational numbers so far."""

    radicals: dict[sympy.Expr, int] = field(default_factory=dict)
    order_of_unity: int = 1

    @property
    def degree(self) -> int:
        """A bound for the degree over the rational numbers."""
        return math.prod(self.radicals.values()) * int(sympy.totient(self.order_of_unity))


def _bits_by_separation(constant: sympy.Expr) -> float | None:
    """The bound of Burnikel et al., in binary digits; None for what is not seen to be algebraic."""
    adjoined = _Field()
    try:
        upper, lower = _conjugates(constant, adjoined)
    except _NotAlgebraicError:
        return None
    return (adjoined.degree - 1) * upper + lower + upper + _SPARE_BITS


def _conjugates(constant: sympy.Expr, adjoined: _Field) -> tuple[float, float]:
    """A quotient of algebraic integers: binary logarithms of bounds for the conjugates of both."""
    if constant.is_Rational:
        return _log2_of_integer(constant.p), _log2_of_integer(constant.q)
    if constant.is_Add or constant.is_Mul:
        parts = [_conjugates(argument, adjoined) for argument in constant.args]
        lower = math.fsum(part[1] for part in parts)
        if constant.is_Mul:
            return math.fsum(part[0] for part in parts), lower
        terms = [part[0] + lower - part[1] for part in parts]
        largest = max(terms)
        return largest + math.log2(math.fsum(2.0 ** (term - largest) for term in terms)), lower
    if constant.is_Pow and constant.exp.is_Rational:
        return _power(constant.base, constant.exp, adjoined)
    turn = _turn(constant)
    if turn is None:
        raise _NotAlgebraicError
    adjoined.order_of_unity = math.lcm(adjoined.order_of_unity, 4, int(turn))
    return (1.0, 1.0) if isinstance(constant, _TRIGONOMETRIC) else (0.0, 0.0)


def _log2_of_integer(integer: int) -> float:
    return float(max(abs(integer) - 1, 0).bit_length())


def _power(base: sympy.Expr, exponent: sympy.Rational, adjoined: _Field) -> tuple[float, float]:
    upper, lower = _conjugates(base, adjoined)
    index = int(exponent.q)
    if index > 1:
        adjoined.radicals[sympy.Pow(base, sympy.Rational(1, index), evaluate=False)] = index
        if upper >= lower:
            upper = (upper + (index - 1) * lower) / index
        else:
            lower = ((index - 1) * upper + lower) / index
    times = abs(int(exponent.p))
    bounds = times * upper, times * lower
    return bounds if exponent > 0 else bounds[::-1]


def _turn(constant: sympy.Expr) -> int | None:
    """The order of the root of unity that a constant is made of, or a multiple; None for any other."""
    if constant is sympy.I:
        return 4
    if isinstance(constant, _TRIGONOMETRIC):
        ratio = constant.args[0] / sympy.pi
    elif isinstance(constant, sympy.exp):
        ratio = constant.args[0] / (sympy.pi * sympy.I)
    else:
        return None
    return 2 * int(ratio.q) if ratio.is_Rational else None


def with_towers_as_symbols(formula: sympy.Basic) -> sympy.Basic:
    """A formula with a symbol for each power or factorial that is too large to be worked out."""
    if not formula.args or _bits(formula) <= LARGEST_BITS:
        return formula
    arguments = [with_towers_as_symbols(argument) for argument in formula.args]
    rebuilt = formula if tuple(arguments) == formula.args else formula.func(*arguments)
    if isinstance(rebuilt, sympy.Pow | sympy.factorial) and _bits(rebuilt) > LARGEST_BITS:
        small = [argument.doit() for argument in rebuilt.args]
        return sympy.Symbol(f"{rebuilt.func.__name__}{tuple(map(sympy.srepr, small))}", positive=True)
    return rebuilt


def _bits(formula: sympy.Basic) -> float:
    """About how many binary digits a formula's value takes where its symbols are small fractions."""
    if formula.is_Rational:
        return math.log2(max(abs(formula.p), formula.q))
    sizes = [_bits(argument) for argument in formula.args]
    size = math.fsum(sizes) if formula.is_Mul else max(sizes, default=_BITS_OF_A_SYMBOL)
    if isinstance(formula, sympy.Pow) and not formula.exp.free_symbols:
        fractional = formula.exp.is_Rational and not formula.exp.is_Integer
        return size if fractional or not sizes[0] else max(size, sizes[0] * _largest(sizes[1]))
    if isinstance(formula, sympy.factorial) and not formula.free_symbols:
        return size * _largest(size)
    return size


def _largest(bits: float) -> float:
    """The largest number of so many binary digits."""
    return 2.0**bits if bits < _BITS_OF_A_FLOAT else math.inf
