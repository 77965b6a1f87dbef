"""Accuracy against a swept field: means with seed bands, every run, and where the baseline lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrbench.recipe.expanding import value_text
from lrbench.results.board_arms import estimate_of
from lrbench.results.choosing import Sweep
from lrbench.results.rows import Group
from lrbench_dashboard.charts import DASHES, LABEL_ROOM, Palette, end_labels
from lrbench_dashboard.sweep_table import fields_of
from lrbench_dashboard.theme import MARKS

HEIGHT = 380


def sweep_spec(
    sweep: Sweep, across: str, column: str, palette: Palette, baseline: Group | None
) -> dict[str, Any]:
    """The chart as a Vega-Lite specification; a line for the points that agree in all fields but `across`.

    All names are data, none is markup.
    """
    numeric = all(_is_number(value) for value in sweep.fields[across])
    values, runs = _values(sweep, across, column, numeric)
    lines = list(dict.fromkeys(value["line"] for value in values))
    bounds = [bound for value in values for bound in (value["low"], value["high"])]
    bounds += [run["y"] for run in runs]
    rule: list[dict[str, Any]] = []
    at = None if baseline is None else baseline.value(column)
    if baseline is not None and at is not None:
        bounds.append(100 * at)
        rule = _rule(100 * at, baseline.rows[0].arm, palette)
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
    dash = {**by_line, "scale": {"domain": lines, "range": _cycle(DASHES, lines)}}
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
        *rule,
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
    padding = {"right": LABEL_ROOM if several else 20}
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
        others = " ".join(text for field, text in said.items() if field != across)
        estimate = estimate_of(group, column)
        low, high = (mean, mean) if estimate is None else (estimate.interval.low, estimate.interval.high)
        name = ", ".join(said.values())
        points.append(
            {
                "x": x,
                "y": 100 * mean,
                "low": 100 * low,
                "high": 100 * high,
                "line": others or sweep.first.arm,
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


def _rule(at: float, name: str, palette: Palette) -> list[dict[str, Any]]:
    """The baseline as a dashed line with its name."""
    here = {"values": [{"y": at, "name": name}]}
    encoding = {"y": {"field": "y", "type": "quantitative"}, "color": {"value": palette.color(name)}}
    line = {"type": "rule", "strokeDash": [3, 3], "strokeWidth": 1.5}
    text = {"type": "text", "align": "left", "dx": 4, "dy": -6, "x": 0}
    return [
        {"data": here, "mark": line, "encoding": encoding},
        {"data": here, "mark": text, "encoding": {**encoding, "text": {"field": "name"}}},
    ]


def _cycle(marks: Sequence[Any], lines: Sequence[str]) -> list[Any]:
    return [marks[place % len(marks)] for place in range(len(lines))]
