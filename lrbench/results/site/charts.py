"""Training curves as drawings that stand in a page: no script, and colours of the page itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrbench.results.web.curves import CURVES

# Of the plot itself, in units of the drawing; tick labels stand at its left and below it.
WIDTH, HEIGHT = 300.0, 130.0
MOST_POINTS = 200
MOST_TICKS = 5
# Above this ratio a curve that may span decades is drawn on a logarithmic axis.
DECADES = 20.0


@dataclass(frozen=True)
class Tick:
    """Where on its axis a tick is, from the plot's left or top, and what stands there."""

    at: str
    text: str


@dataclass(frozen=True)
class Chart:
    """One curve: the points of its line in a box of WIDTH x HEIGHT, ticks of both axes, and all in words."""

    title: str
    points: str
    up: tuple[Tick, ...]
    across: tuple[Tick, ...]
    said: str


def charts_of(curves: Mapping[str, Sequence[tuple[int, float]]]) -> list[Chart]:
    """The curves that are known by name and have two finite values at least."""
    return [
        chart
        for name, (title, decades) in CURVES.items()
        if (chart := _chart(title, decades, curves.get(name, ()))) is not None
    ]


def _chart(title: str, decades: bool, curve: Sequence[tuple[int, float]]) -> Chart | None:
    finite = [(update, value) for update, value in curve if math.isfinite(value)]
    if len(finite) < 2:
        return None
    kept = finite[:: -(-len(finite) // MOST_POINTS)]
    updates, values = zip(*kept, strict=True)
    first, last, low, high = updates[0], updates[-1], min(values), max(values)
    logarithmic = decades and low > 0 and high > DECADES * low
    below, above = (low, high) if high > low else (low - 0.5, high + 0.5)
    up = _Axis(below, above, HEIGHT, logarithmic, downwards=True)
    across = _Axis(first, max(last, first + 1), WIDTH, logarithmic=False)
    return Chart(
        title if not logarithmic else f"{title} (logarithmic)",
        " ".join(f"{across.at(update)},{up.at(value)}" for update, value in kept),
        up.ticks(),
        across.ticks(whole=True),
        f"{title}: from {low:.4g} to {high:.4g}, updates {first} to {last}",
    )


@dataclass(frozen=True)
class _Axis:
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
