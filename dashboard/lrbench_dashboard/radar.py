"""Two results over the benchmarks as a radar, from 0 to 100 percent on every axis."""

from __future__ import annotations

from typing import Any

from lrbench.results.board import Board
from lrbench.results.rows import Group
from lrbench.results.text import plain
from lrbench_dashboard.theme import arm_color

# What tells the two apart without colours: how lines are dashed, and marks.
LOOKS: tuple[tuple[str | list[int], str], ...] = (("solid", "circle"), ([4, 3], "rect"))


def radar_options(
    board: Board, groups: tuple[Group, Group], names: tuple[str, str], dark: bool
) -> dict[str, Any]:
    """The chart as ECharts takes it; benchmarks that one of them lacks are left out."""
    values = [{name: group.value(name) for name in board.benchmarks} for group in groups]
    shared = [name for name in board.benchmarks if all(own[name] is not None for own in values)]
    ink, line = ("#a8a29e", "#2e323a") if dark else ("#57534e", "#e7e5e4")
    series = []
    for group, own, name, (dash, symbol) in zip(groups, values, names, LOOKS, strict=True):
        color = arm_color(group.rows[0].arm, dark)
        series.append(
            {
                "name": name,
                "value": [round(100 * (own[benchmark] or 0.0), 1) for benchmark in shared],
                "lineStyle": {"color": color, "type": dash, "width": 2},
                "itemStyle": {"color": color},
                "areaStyle": {"color": color, "opacity": 0.08},
                "symbol": symbol,
                "symbolSize": 7,
            }
        )
    return {
        "animation": False,
        "legend": {
            "bottom": 0,
            "textStyle": {"color": ink},
            "itemWidth": 12,
            "itemHeight": 12,
            "data": [{"name": name, "icon": symbol} for name, (_, symbol) in zip(names, LOOKS, strict=True)],
        },
        "tooltip": {"show": False},
        "radar": {
            "indicator": [{"name": plain(name, 24), "min": 0, "max": 100} for name in shared],
            "radius": "62%",
            "center": ["50%", "46%"],
            "splitNumber": 4,
            "axisName": {"color": ink},
            "splitLine": {"lineStyle": {"color": line}},
            "axisLine": {"lineStyle": {"color": line}},
            "splitArea": {"show": False},
        },
        "series": [{"type": "radar", "data": series}],
    }
