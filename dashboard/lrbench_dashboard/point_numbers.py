"""Numbers that tell the points of sweeps apart in charts, where there is no room for what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lrbench.recipe.expanding import point_text
from lrbench.results.rows import Group
from lrbench.results.web.text import name_html
from lrbench_dashboard import state
from lrbench_dashboard.theme import arm_mark_html

Numbers = Mapping[tuple[str, ...], int]


def numbers_of(groups: Iterable[Group]) -> Numbers:
    """A number for every arm at a point of a sweep, by `Row.group`, in their order."""
    swept = (group.rows[0].group for group in groups if group.rows[0].point)
    return {name: number for number, name in enumerate(dict.fromkeys(swept), 1)}


def numbers_html(groups: Iterable[Group], numbers: Numbers) -> str:
    """What each number stands for, a line for every arm; a point leads to itself pointed out."""
    lines: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        row = group.rows[0]
        if row.group in numbers:
            where = name_html(state.here(of=group.rows[-1].arm_id), 2000)
            point = name_html(point_text(row.point), 60)
            lines.setdefault((row.arm, row.recipe), []).append(
                f'<a href="{where}" target="_self"><b>{numbers[row.group]}</b> {point}</a>'
            )
    several = len({recipe for _, recipe in lines}) > 1
    shown = "".join(
        f"<li>{arm_mark_html(arm)}{name_html(arm)}{f' of {name_html(recipe)}' if several else ''}: "
        f"{' '.join(points)}</li>"
        for (arm, recipe), points in lines.items()
    )
    return f'<ul class="lv-points" aria-label="Points of sweeps">{shown}</ul>' if shown else ""
