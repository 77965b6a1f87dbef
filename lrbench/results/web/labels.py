"""Names beside lines, none over another or over a mark."""

from __future__ import annotations

from collections.abc import Sequence


def beside(place: float, marks: Sequence[float]) -> float:
    """Where a line's name stands, in pixels from the top: above the line, or below it where `marks` are."""
    return place + 12 if any(place - 20 < mark < place + 6 for mark in marks) else place - 6


def spread(places: Sequence[float], least: float) -> list[float]:
    """The places moved as little as it takes for any two to be `least` apart; their order stays."""
    ordered = sorted(range(len(places)), key=lambda index: places[index])
    # Those that would touch stand together around their middle: pooled as in isotonic regression.
    pools: list[tuple[float, int]] = []
    for rank, index in enumerate(ordered):
        total, count = places[index] - rank * least, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            total, count = total + pools[-1][0], count + pools[-1][1]
            pools.pop()
        pools.append((total, count))
    moved = [total / count for total, count in pools for _ in range(count)]
    found = dict(zip(ordered, (place + rank * least for rank, place in enumerate(moved)), strict=True))
    return [found[index] for index in range(len(places))]
