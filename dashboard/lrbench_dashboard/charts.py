"""Which colour, mark and dash stands for which arm in a chart, its legend as HTML, and names at line ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.results.rows import Row
from lrbench.results.web.labels import spread
from lrbench.results.web.text import name_html
from lrbench_dashboard import theme

# In pixels: between two names at the ends of lines, the room for them, and what else stands free at an edge.
LINE_HEIGHT, LABEL_ROOM, PADDING = 15, 130, 5
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def padded(right: int) -> dict[str, int]:
    """A chart's padding in pixels; an edge that is not named would have none, and cut what stands there."""
    return {"left": PADDING, "top": PADDING, "right": right, "bottom": PADDING}


@dataclass(frozen=True)
class Palette:
    """Colours and marks of arms, in light or dark."""

    dark: bool
    arms: tuple[str, ...]

    @property
    def ink(self) -> str:
        """The colour of what belongs to no arm."""
        return "#d6d3d1" if self.dark else "#44403c"

    @property
    def line(self) -> str:
        """The colour of what only separates."""
        return "#3a3f48" if self.dark else "#d6d3d1"

    def color(self, arm: str) -> str:
        """The arm's colour."""
        return theme.arm_color(arm, self.dark)

    def dash(self, arm: str) -> int:
        """Which of `DASHES` the arm's lines have."""
        return self.arms.index(arm) % len(DASHES)

    def group(self, row: Row) -> str:
        """The same for rows that are seeds of one arm."""
        return "/".join(row.group)

    def legend_html(self) -> str:
        """Every arm's mark with its name."""
        keys = (
            f'<span class="lv-key">{theme.arm_mark_html(arm)}{name_html(arm)}</span>' for arm in self.arms
        )
        return f'<p class="lv-legend">{"".join(keys)}</p>'


def end_labels(
    values: Sequence[dict[str, Any]], across: str, up: str, name: str, scale: float, pixels: float
) -> list[dict[str, Any]]:
    """The name of every line at its last value, no two over each other.

    `values` hold the fields `across`, `up` and `name` in the order of the lines; `scale` is what the chart's
    `pixels` of height stand for. The labels have the same fields.
    """
    last = list({value[name]: value for value in values}.values())
    places = spread([float(value[up]) for value in last], scale * LINE_HEIGHT / pixels)
    return [
        {across: value[across], up: place, name: value[name]}
        for value, place in zip(last, places, strict=True)
    ]


def palette_of(rows: Iterable[Row]) -> Palette:
    """The palette of these rows, the arms in their order."""
    rows = list(rows)
    return Palette(
        theme.is_dark(),
        tuple(dict.fromkeys(row.arm for row in rows)),
    )
