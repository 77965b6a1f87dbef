"""Accuracy against a swept field: means with seed bands, every run, and where the baseline lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrbench.recipe.expanding import value_text
from lrbench.results.board_arms import estimate_of
from lrbench.results.choosing import Sweep
from lrbench_dashboard.charts import LABEL_ROOM, Palette, end_labels, padded
from lrbench_dashboard.sweep_baselines import BaselineLine, fields_of, line_of
from lrbench_dashboard.theme import MARKS, arm_mark

HEIGHT = 380
# Of the lines of the sweep; baselines are dotted.
LINES, DOTTED = ([1, 0], [7, 4], [14, 4], [8, 3, 2, 3]), [0.1, 5]


def sweep_spec(
    sweep: Sweep, across: str, column: str, palette: Palette, baselines: Sequence[BaselineLine]
) -> dict[str, Any]:
    """The chart as a Vega-Lite specification; a line for the points that agree in all fields but `across`.

    What the lines are set against is dotted, with its name at the left. All names are data, none is
    markup.
    """
    numeric = all(_is_number(value) for value in sweep.fields[across])
    values, runs = _values(sweep, across, column, numeric)
    lines = list(dict.fromkeys(value["line"] for value in values))
    bounds = [bound for value in values for bound in (value["low"], value["high"])]
    bounds += [run["y"] for run in runs]
    bounds += [value for line in baselines for _, value in line.points]
    low, high = min(bounds, default=0.0), max(bounds, default=100.0)
    margin = 0.08 * max(high - low, 1.0)
    domain = [max(0.0, low - margin), min(100.0, high + margin)]
    x = _across(fields_of(sweep).get(across, across), numeric, values)
    y = {
        "field": "y",
        "type": "quantitative",
        "title": f"{column}, accuracy in percent",
        "scale": {"domain": domain, "nice": False},
    }
    color = palette.color(sweep.first.arm)
    by_line = {"field": "line", "type": "nominal", "legend": None}
    dash = {**by_line, "scale": {"domain": lines, "range": _cycle(LINES, lines)}}
    shape = {**by_line, "scale": {"domain": lines, "range": _cycle([mark.shape for mark in MARKS], lines)}}
    said = [{"field": "name", "type": "nominal", "title": "point"}]
    said += [{"field": "said", "type": "nominal", "title": column}]
    of_run = [said[0], {"field": "y", "type": "quantitative", "format": ".1f"}]
    band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "detail": {"field": "line"}}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "area", "opacity": 0.13, "color": color}, "encoding": band},
        {
            "mark": {"type": "line", "color": color, "strokeWidth": 1.8},
            "encoding": {"x": x, "y": y, "strokeDash": dash, "detail": {"field": "line"}},
        },
        {
            "data": {"values": runs},
            "mark": {"type": "tick", "thickness": 1.5, "width": 9, "color": palette.ink, "opacity": 0.55},
            "encoding": {"x": x, "y": y, "tooltip": of_run},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1, "color": color},
            "encoding": {"x": x, "y": y, "shape": shape, "tooltip": said},
        },
        *_baselines(baselines, numeric, x, y, palette),
    ]
    several = len(lines) > 1
    if several:
        layers.append(
            {
                "data": {"values": end_labels(values, "x", "y", "line", domain[1] - domain[0], HEIGHT)},
                "mark": {"type": "text", "align": "left", "dx": 9, "color": palette.ink, "fontSize": 12},
                "encoding": {"x": x, "y": y, "text": {"field": "line"}},
            }
        )
    padding = padded(LABEL_ROOM if several else 20)
    return {"data": {"values": values}, "layer": layers, "height": HEIGHT, "padding": padding}


def _is_number(value: object) -> bool:
    """Whether a swept value lies on a scale."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _across(title: str, numeric: bool, values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not numeric:
        return {"field": "x", "type": "ordinal", "title": title, "axis": {"grid": False}, "sort": None}
    ticks = sorted({value["x"] for value in values})
    return {
        "field": "x",
        "type": "quantitative",
        "title": title,
        "axis": {"grid": False, "values": ticks},
        "scale": {"zero": False, "padding": 24},
    }


def _values(
    sweep: Sweep, across: str, column: str, numeric: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The points with their bands, and the single runs of those that have several."""
    short = fields_of(sweep)
    points, runs = [], []
    for group in sweep.groups:
        mean, point = group.value(column), group.rows[0].point
        if mean is None or across not in point:
            continue
        x = point[across] if numeric else value_text(point[across])
        said = {
            field: f"{name}={value_text(point[field])}" for field, name in short.items() if field in point
        }
        estimate = estimate_of(group, column)
        low, high = (mean, mean) if estimate is None else (estimate.interval.low, estimate.interval.high)
        name = ", ".join(said.values())
        points.append(
            {
                "x": x,
                "y": 100 * mean,
                "low": 100 * low,
                "high": 100 * high,
                "line": line_of(sweep, group, across),
                "name": name,
                "said": f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}], runs: {len(group.rows)}",
            }
        )
        if len(group.rows) > 1:
            runs += [
                {"x": x, "y": 100 * value, "name": f"{name}, seed {row.seed}"}
                for row in group.rows
                if (value := row.value(column)) is not None
            ]
    if numeric:
        points.sort(key=lambda value: value["x"])
    return points, runs


def _baselines(
    lines: Sequence[BaselineLine], numeric: bool, x: dict[str, Any], y: dict[str, Any], palette: Palette
) -> list[dict[str, Any]]:
    """Every baseline as a dotted line with its name; with marks where it is another result at every point."""
    values = []
    for number, line in enumerate(lines):
        for at, value in sorted(line.points) if numeric else line.points:
            values.append(
                {
                    "line": number,
                    "name": line.name,
                    "x": at if numeric else value_text(at),
                    "y": value,
                    "said": f"{value:.1f}",
                    "color": palette.color(line.arm),
                    "shape": arm_mark(line.arm).shape,
                    "marked": not line.level or len(line.points) == 1,
                }
            )
    if not values:
        return []
    along = {
        "x": x,
        "y": {**y, "field": "y"},
        "color": {"field": "color", "type": "nominal", "scale": None},
        "detail": {"field": "line", "type": "nominal"},
    }
    said = [
        {"field": "name", "type": "nominal", "title": "baseline"},
        {"field": "said", "type": "nominal", "title": "percent"},
    ]
    shape = {"field": "shape", "type": "nominal", "scale": None}
    low, high = y["scale"]["domain"]
    # Of equals the first counts, which stands at the left edge: the lines' own names stand at their ends.
    names = end_labels(values[::-1], "x", "y", "name", high - low, HEIGHT)
    return [
        {
            "data": {"values": values},
            "mark": {"type": "line", "strokeDash": DOTTED, "strokeCap": "round", "strokeWidth": 2},
            "encoding": along,
        },
        {
            "data": {"values": [value for value in values if value["marked"]]},
            "mark": {"type": "point", "filled": False, "size": 45, "opacity": 1},
            "encoding": {**along, "shape": shape, "tooltip": said},
        },
        {
            "data": {"values": names},
            "mark": {"type": "text", "align": "left", "dx": 4, "dy": -8, "x": 0, "color": palette.ink},
            "encoding": {"y": {**y, "field": "y"}, "text": {"field": "name", "type": "nominal"}},
        },
    ]


def _cycle(marks: Sequence[Any], lines: Sequence[str]) -> list[Any]:
    return [marks[place % len(marks)] for place in range(len(lines))]
