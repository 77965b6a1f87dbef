"""Whole-number arithmetic small enough for a model of under a million parameters to learn."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Operator = Literal["+", "-", "*", "/"]

LARGEST = 99
SMALLEST = 2
ADDENDS = range(2, 13)
FACTORS = range(2, 10)
INVERSE: dict[Operator, Operator] = {"+": "-", "-": "+", "*": "/", "/": "*"}


@dataclass(frozen=True)
class Step:
    """One fact `left operator right = result`; every division is exact."""

    left: int
    operator: Operator
    right: int

    @property
    def result(self) -> int:
        if self.operator == "+":
            return self.left + self.right
        if self.operator == "-":
            return self.left - self.right
        if self.operator == "*":
            return self.left * self.right
        return self.left // self.right

    @property
    def undone(self) -> Step:
        """The step that leads back from the result."""
        return Step(self.result, INVERSE[self.operator], self.right)

    def __str__(self) -> str:
        return f"{self.left}{self.operator}{self.right}={self.result}"


def operands(value: int, operator: Operator) -> list[int]:
    """Every right operand that keeps `value operator right` whole and between SMALLEST and LARGEST."""
    if operator == "+":
        return [k for k in ADDENDS if value + k <= LARGEST]
    if operator == "-":
        return [k for k in ADDENDS if value - k >= SMALLEST]
    if value not in FACTORS and operator == "*":
        return []
    if operator == "*":
        return list(FACTORS)
    return [k for k in FACTORS if value % k == 0 and value // k in FACTORS]


def step_from(rng: Random, value: int, operators: str) -> Step:
    """A random step that starts at `value`: an operator that fits is drawn first, then its operand.

    `operators` must hold one that fits; "+-" always does for a value between SMALLEST and LARGEST.
    """
    fitting: list[Operator] = [o for o in ("+", "-", "*", "/") if o in operators and operands(value, o)]
    operator = rng.choice(fitting)
    return Step(value, operator, rng.choice(operands(value, operator)))


def product(rng: Random) -> Step:
    """A fact of the multiplication table."""
    return Step(rng.choice(FACTORS), "*", rng.choice(FACTORS))


def quotient(rng: Random) -> Step:
    """A fact of the multiplication table, read backwards."""
    fact = product(rng)
    return Step(fact.result, "/", fact.left)


def random_step(rng: Random) -> Step:
    """A fact of any operator; sums and differences, of which there are more, come more often."""
    kind = rng.random()
    if kind < 0.2:
        return product(rng)
    if kind < 0.35:
        return quotient(rng)
    return step_from(rng, rng.randint(SMALLEST + ADDENDS[0], LARGEST - ADDENDS[0]), "+-")
