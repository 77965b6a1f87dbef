"""Which colour, mark and dash stands for which arm in a chart, its legend as HTML, and names at line ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.results.rows import Row
from lrbench.results.web.text import name_html
from lrbench_dashboard import theme

# In pixels: between two names at the ends of lines, and the room for them.
LINE_HEIGHT, LABEL_ROOM = 15, 130
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


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
    last = {value[name]: value for value in values}
    labels: list[dict[str, Any]] = []
    for value in sorted(last.values(), key=lambda value: float(value[up])):
        lowest = labels[-1][up] + scale * LINE_HEIGHT / pixels if labels else value[up]
        labels.append({across: value[across], up: max(value[up], lowest), name: value[name]})
    return labels


def palette_of(rows: Iterable[Row]) -> Palette:
    """The palette of these rows, the arms in their order."""
    rows = list(rows)
    return Palette(
        theme.is_dark(),
        tuple(dict.fromkeys(row.arm for row in rows)),
    )
