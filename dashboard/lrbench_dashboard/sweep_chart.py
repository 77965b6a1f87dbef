"""Accuracy against a swept field: means with seed bands, every run, and where the baseline lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrbench.recipe.expanding import value_text
from lrbench.results.web.labels import beside, spread
from lrbench.results.web.sweep_picture import Picture
from lrbench_dashboard.charts import LABEL_ROOM, LINE_HEIGHT, Palette, end_labels, padded
from lrbench_dashboard.theme import MARKS, arm_mark

HEIGHT = 380
# Of the lines of the sweep; baselines are dotted.
LINES, DOTTED = ([1, 0], [7, 4], [14, 4], [8, 3, 2, 3]), [0.1, 5]


def sweep_spec(picture: Picture, arm: str, column: str, palette: Palette) -> dict[str, Any]:
    """The chart as a Vega-Lite specification, in the colour of its `arm`.

    What the lines are set against is dotted, with its name at the left. All names are data, none is
    markup.
    """
    lines, domain = picture.lines, list(picture.domain)
    values = [
        {
            "x": point.at,
            "y": point.mean,
            "low": point.low,
            "high": point.high,
            "line": point.line,
            "name": point.name,
            "said": point.said,
        }
        for point in picture.points
    ]
    runs = [{"x": run.at, "y": run.value, "name": run.name} for run in picture.runs]
    x = _across(picture)
    y = {
        "field": "y",
        "type": "quantitative",
        "title": f"{column}, accuracy in percent",
        "scale": {"domain": domain, "nice": False},
    }
    color = palette.color(arm)
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
            "mark": {
                "type": "tick",
                "orient": "horizontal",
                "thickness": 1.5,
                "size": 10,
                "color": palette.ink,
                "opacity": 0.55,
            },
            "encoding": {"x": x, "y": y, "tooltip": of_run},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1, "color": color},
            "encoding": {"x": x, "y": y, "shape": shape, "tooltip": said},
        },
        *_baselines(picture, x, y, palette),
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


def _across(picture: Picture) -> dict[str, Any]:
    across: dict[str, Any] = {"field": "x", "title": picture.axis}
    if not picture.numeric:
        return {**across, "type": "ordinal", "axis": {"grid": False}, "sort": None}
    scale = {"type": "log", "nice": False} if picture.logarithmic else {"zero": False}
    axis = {"grid": False, "values": picture.ticks}
    return {**across, "type": "quantitative", "axis": axis, "scale": {**scale, "padding": 24}}


def _baselines(
    picture: Picture, x: dict[str, Any], y: dict[str, Any], palette: Palette
) -> list[dict[str, Any]]:
    """Every baseline as a dotted line with its name; with marks where it is another result at every point."""
    values, numeric = [], picture.numeric
    for number, line in enumerate(picture.baselines.lines):
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
            "data": {"values": _names(picture, values)},
            "mark": {
                "type": "text",
                "align": "left",
                "baseline": "alphabetic",
                "dx": 4,
                "x": 0,
                "color": palette.ink,
            },
            "encoding": {"y": {**y, "field": "y"}, "text": {"field": "name", "type": "nominal"}},
        },
    ]


def _names(picture: Picture, values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The baselines' names at the left edge: the lines' own names stand at their ends."""
    low, high = picture.domain
    pixels = HEIGHT / (high - low)
    # Of a baseline's points the first stands at the left.
    first = {value["line"]: value for value in reversed(values)}
    marks = [pixels * (high - point.mean) for point in picture.points if point.at == picture.ticks[0]]
    places = [beside(pixels * (high - value["y"]), marks) for value in first.values()]
    return [
        {"name": value["name"], "y": high - place / pixels}
        for value, place in zip(first.values(), spread(places, LINE_HEIGHT), strict=True)
    ]


def _cycle(marks: Sequence[Any], lines: Sequence[str]) -> list[Any]:
    return [marks[place % len(marks)] for place in range(len(lines))]
