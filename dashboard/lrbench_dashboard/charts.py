"""Which colour, shape and dash stands for what in a chart, and its legend as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lrbench.results.rows import Row
from lrbench.results.web.text import name_html
from lrbench_dashboard import theme

# By recipe, so that arms of the same name are told apart without colour.
SHAPES = ("circle", "diamond", "square", "triangle-up", "triangle-down", "cross")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
_GLYPHS = ("●", "◆", "■", "▲", "▼", "✚")
_STROKES = ("——", "– –", "·····", "–·–")


@dataclass(frozen=True)
class Palette:
    """Colours of arms and shapes of recipes, in light or dark."""

    dark: bool
    arms: tuple[str, ...]
    recipes: tuple[str, ...]

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

    def place(self, recipe: str) -> int:
        """Which shape and dash a recipe has."""
        return self.recipes.index(recipe)

    def group(self, row: Row) -> str:
        """The same for rows that are seeds of one arm."""
        return "/".join(row.group)

    def legend_html(self, with_dashes: bool) -> str:
        """Arms by colour and, where there are several, recipes by shape or dash."""
        arms = [
            f'<span class="lv-key"><span class="lv-dot" style="background:{theme.arm_color_css(arm)}">'
            f"</span>{name_html(arm)}</span>"
            for arm in self.arms
        ]
        marks = _STROKES if with_dashes else _GLYPHS
        recipes = [
            f'<span class="lv-key"><span class="lv-mark">{marks[place % len(marks)]}</span>'
            f"{name_html(recipe)}</span>"
            for place, recipe in enumerate(self.recipes)
        ]
        shown = arms + (recipes if len(self.recipes) > 1 else [])
        return f'<p class="lv-legend">{"".join(shown)}</p>'


def palette_of(rows: Iterable[Row]) -> Palette:
    """The palette of these rows, arms and recipes in their order."""
    rows = list(rows)
    return Palette(
        theme.is_dark(),
        tuple(dict.fromkeys(row.arm for row in rows)),
        tuple(dict.fromkeys(row.recipe for row in rows)),
    )
