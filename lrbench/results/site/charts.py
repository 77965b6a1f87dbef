"""Training curves as drawings that stand in a page: no script, and colours of the page itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrbench.results.curves import CURVES, curve_title
from lrbench.results.records import ArmRecord
from lrbench.results.site.axes import Axis, Tick

# Of the plot itself, in units of the drawing; tick labels stand at its left and below it.
WIDTH, HEIGHT = 300.0, 130.0
MOST_POINTS = 200
# Above this ratio a curve that may span decades is drawn on a logarithmic axis.
DECADES = 20.0


@dataclass(frozen=True)
class Chart:
    """One curve: the points of its line in a box of WIDTH x HEIGHT, ticks of both axes, and all in words."""

    title: str
    points: str
    up: tuple[Tick, ...]
    across: tuple[Tick, ...]
    said: str


def charts_of(curves: Mapping[str, Sequence[tuple[int, float]]], arm: ArmRecord | None = None) -> list[Chart]:
    """The curves that are known by name and have two finite values at least: of an `arm`, where given."""
    return [
        chart
        for name, (_, decades) in CURVES.items()
        if (chart := _chart(curve_title(name, arm), decades, curves.get(name, ()))) is not None
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
    up = Axis(below, above, HEIGHT, logarithmic, downwards=True)
    across = Axis(first, max(last, first + 1), WIDTH, logarithmic=False)
    return Chart(
        title if not logarithmic else f"{title} (logarithmic)",
        " ".join(f"{across.at(update)},{up.at(value)}" for update, value in kept),
        up.ticks(),
        across.ticks(whole=True),
        f"{title}: from {low:.4g} to {high:.4g}, updates {first} to {last}",
    )
