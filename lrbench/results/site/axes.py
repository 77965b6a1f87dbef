"""The axes of drawings that stand in a page: where a value is on them, and round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_TICKS = 5


@dataclass(frozen=True)
class Tick:
    """Where on its axis a tick is, from the plot's left or top, and what stands there."""

    at: str
    text: str


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` over `length` units; `downwards` where the drawing's own zero is at the top."""

    low: float
    high: float
    length: float
    logarithmic: bool
    downwards: bool = False

    def at(self, value: float) -> str:
        """Where a value is, to a tenth of a unit."""
        low, high, place = (
            map(math.log, (self.low, self.high, value)) if self.logarithmic else (self.low, self.high, value)
        )
        part = (place - low) / (high - low)
        return f"{self.length * (1 - part if self.downwards else part):.1f}"

    def ticks(self, whole: bool = False) -> tuple[Tick, ...]:
        """Round values within the axis, a few; `whole` ones where there is nothing between them."""
        margin = 0.0 if self.logarithmic else 1e-9 * (self.high - self.low)
        values = self._powers() if self.logarithmic else _round_values(self.low, self.high, whole)
        found = [value for value in values if self.low - margin <= value <= self.high + margin]
        found = found[:: -(-len(found) // (MOST_TICKS + 1)) or 1]
        return tuple(Tick(self.at(value), f"{value:.6g}") for value in found)

    def _powers(self) -> list[float]:
        """1, 2 and 5 times powers of ten; the powers alone over many decades."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        factors = (1, 2, 5) if last - first <= 2 else (1,)
        return [factor * 10.0**power for power in range(first, last + 1) for factor in factors]


def _round_values(low: float, high: float, whole: bool) -> list[float]:
    # Imported here: reading results takes no drawing library.
    from matplotlib.ticker import MaxNLocator

    locator = MaxNLocator(MOST_TICKS, steps=[1, 2, 2.5, 5, 10], integer=whole)
    return [float(value) for value in locator.tick_values(low, high)]
