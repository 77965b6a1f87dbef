"""Training curves as drawings that stand in a page: no script, and colours of the page itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrbench.results.web.curves import CURVES

WIDTH, HEIGHT = 320.0, 130.0
MOST_POINTS = 200


@dataclass(frozen=True)
class Chart:
    """One curve: the points of its line in a box of WIDTH x HEIGHT, and the ends of both axes in words."""

    title: str
    points: str
    lowest: str
    highest: str
    first: int
    last: int


def charts_of(curves: Mapping[str, Sequence[tuple[int, float]]]) -> list[Chart]:
    """The curves that are known by name and have two finite values at least."""
    return [
        chart
        for name, (title, _) in CURVES.items()
        if (chart := _chart(title, curves.get(name, ()))) is not None
    ]


def _chart(title: str, curve: Sequence[tuple[int, float]]) -> Chart | None:
    finite = [(update, value) for update, value in curve if math.isfinite(value)]
    if len(finite) < 2:
        return None
    kept = finite[:: -(-len(finite) // MOST_POINTS)]
    values = [value for _, value in kept]
    first, last, low, high = kept[0][0], kept[-1][0], min(values), max(values)
    across, up = (last - first) or 1, (high - low) or 1.0
    points = " ".join(
        f"{WIDTH * (update - first) / across:.1f},{HEIGHT * (1 - (value - low) / up):.1f}"
        for update, value in kept
    )
    return Chart(title, points, f"{low:.4g}", f"{high:.4g}", first, last)
