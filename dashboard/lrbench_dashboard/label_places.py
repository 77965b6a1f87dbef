"""Where the names of points stand in a picture, so that no two are ever over each other, however wide it is.

A picture's height is known, its width is the window's. Places are shares of it, and texts are as wide
everywhere: what is apart in the narrowest picture and in the widest, in the same order, is so in all between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Widths in pixels of what is drawn into: on a phone at the least, and wider than any screen.
NARROWEST, WIDEST = 230.0, 4000.0
# In pixels: a text's height with what keeps it apart, the most that a letter takes, and a mark's half.
LINE, LETTER, MARK = 16.0, 6.9, 6.0
# From a mark to its name, and to the name of one that was moved away, which has the mark beside it once more.
NEAR, FAR = 9.0, 19.0
# What it costs, in pixels moved, to stand on the left, and to cover a mark.
ON_THE_LEFT, OVER_A_MARK = 5.0, 9.0


@dataclass(frozen=True)
class Named:
    """What is to be named: `x` as a share of the width, `y` in pixels of the height, and the `text`."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Place:
    """Where a name stands: `y` of its middle in pixels, to the left of the point's `x` or to the right.

    `moved` says that it is not beside its mark.
    """

    y: float
    left: bool
    moved: bool

    def span(self, point: Named, width: float) -> tuple[float, float]:
        """From where to where the name reaches across, in pixels of a picture so wide."""
        near, length = (FAR if self.moved else NEAR), LETTER * len(point.text)
        if self.left:
            return point.x * width - near - length, point.x * width - near
        return point.x * width + near, point.x * width + near + length


def place_labels(points: Sequence[Named], height: float) -> list[Place | None]:
    """A place for the name of every point, as near as can be; None for one that nothing is left for."""
    taken: list[np.ndarray] = []
    found: dict[int, Place] = {}
    # Whoever has others close by is moved for them: from the top down, as one reads.
    for index in sorted(range(len(points)), key=lambda index: (points[index].y, points[index].x)):
        place = _nearest(points[index], points, taken, height)
        if place is not None:
            found[index] = place
            taken.append(_box(points[index], place))
    return [found.get(index) for index in range(len(points))]


def apart(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Which of the `boxes` [N, 5] the `box` [5] touches in no picture: each as `_box` gives it."""
    above = np.abs(boxes[:, 0] - box[0]) >= LINE
    before = (boxes[:, 2] <= box[1]) & (boxes[:, 4] <= box[3])
    after = (boxes[:, 1] >= box[2]) & (boxes[:, 3] >= box[4])
    return np.asarray(above | before | after)


def _box(point: Named, place: Place) -> np.ndarray:
    """The middle's height, then from where to where in the narrowest picture and in the widest."""
    return np.array([place.y, *place.span(point, NARROWEST), *place.span(point, WIDEST)])


def _nearest(
    point: Named, points: Sequence[Named], taken: Sequence[np.ndarray], height: float
) -> Place | None:
    best: tuple[float, Place] | None = None
    boxes = np.array(taken).reshape(-1, 5)
    for offset in _offsets(point.y, height):
        if best is not None and abs(offset) >= best[0]:
            break
        for left in (False, True):
            place = Place(point.y + offset, left, abs(offset) > LINE / 2)
            low, high = place.span(point, NARROWEST)
            inside = low >= 0 if left else high <= NARROWEST
            if not inside or not apart(boxes, _box(point, place)).all():
                continue
            cost = abs(offset) + ON_THE_LEFT * left + OVER_A_MARK * _covered(point, place, points)
            if best is None or cost < best[0]:
                best = cost, place
    return None if best is None else best[1]


def _offsets(y: float, height: float) -> list[float]:
    """How far a name may be moved and stay inside, in half lines, the least first."""
    steps = range(-int(2 * height / LINE), int(2 * height / LINE) + 1)
    inside = (step * LINE / 2 for step in steps if LINE / 2 <= y + step * LINE / 2 <= height - LINE / 2)
    return sorted(inside, key=abs)


def _covered(point: Named, place: Place, points: Sequence[Named]) -> int:
    """How many marks the name would stand over in the narrowest picture."""
    low, high = place.span(point, NARROWEST)
    return sum(
        abs(other.y - place.y) < LINE / 2 + MARK / 2 and low - MARK < other.x * NARROWEST < high + MARK
        for other in points
        if other is not point
    )
