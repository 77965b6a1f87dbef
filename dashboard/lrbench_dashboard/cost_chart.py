"""Accuracy against cost: arms with intervals and single runs, the frontier, what cost nothing set apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import streamlit as st

from lrbench.results.board_arms import estimate_of
from lrbench.results.frontier import COSTS, HOLDING, Point, cost_of, frontier
from lrbench.results.rows import Group, Row
from lrbench.results.text import plain
from lrbench.results.web.labels import spread
from lrbench.results.wording import accuracy_text, bytes_text, duration_text
from lrbench_dashboard.boards import group_parts
from lrbench_dashboard.charts import LINE_HEIGHT, Palette
from lrbench_dashboard.point_numbers import Numbers
from lrbench_dashboard.theme import arm_mark

HEIGHT = 440
# More names than these, and more numbers of points, cover each other.
MOST_NAMES, MOST_LABELS = 24, 60
# Within these factors of cost a name, or two numbers alone, would.
NEAR_NAMES, NEAR_NUMBERS = 1.6, 1.1


def show_costs(
    points: Sequence[Point],
    kind: str,
    column: str,
    palette: Palette,
    numbers: Numbers,
    with_intervals: bool,
    pointed: Group | None = None,
) -> None:
    """Draw the points; intervals of averages take a while, so they can be left out at first.

    A ring is drawn around the arm `pointed` out.
    """
    spec = cost_spec(points, kind, column, palette, numbers, with_intervals)
    if pointed is not None:
        spec["layer"].append(_ring(spec, pointed.rows[-1].arm_id, palette))
    alt = f"{column} accuracy against {COSTS[kind]}, {len(points)} arms; the frontier is in the table below"
    st.vega_lite_chart(spec, width="stretch", theme="streamlit", alt=alt)


def cost_spec(
    points: Sequence[Point],
    kind: str,
    column: str,
    palette: Palette,
    numbers: Numbers,
    with_intervals: bool,
) -> dict[str, Any]:
    """The chart as a Vega-Lite specification. All names are data, none is markup."""
    runs = [(point, _run_cost(row, kind), row) for point in points for row in point.rows]
    costs = [cost for _, cost, _ in runs if cost > 0]
    ticks = log_ticks(min(costs, default=1), max(costs, default=10))
    nothing = ticks[0] / 2.2
    # A point at the very edge would be cut in half.
    end = max(ticks[-1], 1.15 * max(costs, default=1))
    values = [_value(point, column, kind, palette, numbers, nothing, with_intervals) for point in points]
    single = [
        {**_look(point, palette), "cost": cost or nothing, "accuracy": 100 * (row.value(column) or 0.0)}
        for point, cost, row in runs
        if len(point.rows) > 1
    ]
    low = min((value["low"] for value in [*values, *_bounds(single)]), default=0)
    high = max((value["high"] for value in [*values, *_bounds(single)]), default=100)
    margin = 0.05 * max(high - low, 1)
    across = {
        "field": "cost",
        "type": "quantitative",
        "title": f"{COSTS[kind]} (logarithmic)",
        "scale": {"type": "log", "domain": [nothing / 1.5, end], "nice": False},
        "axis": {"values": [nothing, *ticks], "labelExpr": _label(kind, nothing), "grid": False},
    }
    up = {
        "type": "quantitative",
        "title": f"{column}, accuracy in percent",
        "scale": {"domain": [max(0, low - margin), min(100, high + margin)], "nice": True},
    }
    color = {"field": "color", "type": "nominal", "scale": None}
    marked = {
        "stroke": color,
        "fill": {"field": "fill", "type": "nominal", "scale": None},
        "shape": {"field": "shape", "type": "nominal", "scale": None},
    }
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": _frontier(points, nothing, end)},
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "opacity": 0.8},
            "encoding": {
                "x": across,
                "y": {**up, "field": "accuracy"},
                "color": {"value": palette.ink},
                "strokeDash": {"value": [5, 3]},
            },
        },
        {
            "data": {"values": single},
            "mark": {"type": "point", "size": 16, "opacity": 0.55, "strokeWidth": 1},
            "encoding": {"x": across, "y": {**up, "field": "accuracy"}, **marked},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.7},
            "encoding": {"x": across, "y": {**up, "field": "low"}, "y2": {"field": "high"}, "color": color},
        },
        {
            "mark": {"type": "point", "size": 85, "opacity": 1, "strokeWidth": 1.6},
            "encoding": {
                "x": across,
                "y": {**up, "field": "accuracy"},
                **marked,
                "tooltip": [
                    {"field": "name", "type": "nominal", "title": "arm"},
                    {"field": "accuracy_text", "type": "nominal", "title": column},
                    {"field": "cost_text", "type": "nominal", "title": COSTS[kind]},
                ],
            },
        },
    ]
    if names := _labels(values, high - low + 2 * margin):
        layers.append(
            {
                "data": {"values": names},
                "mark": {
                    "type": "text",
                    "align": "left",
                    "dx": 9,
                    "dy": -7,
                    "color": palette.ink,
                    "fontSize": 11,
                },
                "encoding": {
                    "x": across,
                    "y": {**up, "field": "accuracy"},
                    "text": {"field": "label", "type": "nominal"},
                },
            }
        )
    if any(point.cost == 0 for point in points):
        wall = {"x": {"datum": nothing * 1.5, "type": "quantitative"}, "color": {"value": palette.line}}
        layers.insert(0, {"data": {"values": [{}]}, "mark": {"type": "rule"}, "encoding": wall})
    return {"data": {"values": values}, "layer": layers, "height": HEIGHT}


def _ring(spec: dict[str, Any], arm_id: str, palette: Palette) -> dict[str, Any]:
    """A layer with a ring around one arm of a chart."""
    encoding = next(layer["encoding"] for layer in spec["layer"] if "tooltip" in layer["encoding"])
    own = [value for value in spec["data"]["values"] if value["id"] == arm_id]
    return {
        "data": {"values": own},
        "mark": {"type": "point", "size": 420, "filled": False, "color": palette.ink, "strokeWidth": 1.5},
        "encoding": {"x": encoding["x"], "y": encoding["y"]},
    }


def _labels(values: Sequence[dict[str, Any]], scale: float) -> list[dict[str, Any]]:
    """What every arm is called beside its mark, no two over each other where they stand close.

    `scale` is what the chart's height stands for. Where all would be too many to be read, points of sweeps
    keep their numbers, which are short.
    """
    named = [value for value in values if not value["number"]]
    kept = values if len(named) <= MOST_NAMES else [value for value in values if value["number"]]
    if len(kept) > MOST_LABELS:
        return []
    several = len({value["recipe"] for value in named}) > 1
    near: list[list[dict[str, Any]]] = []
    for value in sorted(kept, key=lambda value: float(value["cost"])):
        first = near[-1][0] if near else value
        factor = NEAR_NUMBERS if first["number"] and value["number"] else NEAR_NAMES
        if near and value["cost"] < factor * first["cost"]:
            near[-1].append(value)
        else:
            near.append([value])
    labels = []
    for own in near:
        places = spread([value["accuracy"] for value in own], scale * LINE_HEIGHT / HEIGHT)
        for value, place in zip(own, places, strict=True):
            name = f"{value['arm']}, {value['recipe']}" if several else value["arm"]
            labels.append({"cost": value["cost"], "accuracy": place, "label": value["number"] or name})
    return labels


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten, around `low` to `high`; powers alone where that would be many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    begin = max((place for place, tick in enumerate(ticks) if tick <= low), default=0)
    end = next((place for place, tick in enumerate(ticks) if tick >= high), len(ticks) - 1)
    return ticks[begin : max(end, begin + 1) + 1]


def cost_text(cost: float, kind: str) -> str:
    """A cost with its unit."""
    if kind == HOLDING:
        return bytes_text(cost)
    return duration_text(cost) if kind == "time" else f"{cost:,.0f}"


def _value(
    point: Point,
    column: str,
    kind: str,
    palette: Palette,
    numbers: Numbers,
    nothing: float,
    with_interval: bool,
) -> dict[str, Any]:
    row = point.rows[-1]
    accuracy = 100 * point.accuracy
    estimate = estimate_of(point.group, column) if with_interval else None
    number = numbers.get(row.group)
    return {
        **_look(point, palette),
        "name": ", ".join(group_parts(point.group)),
        "number": "" if number is None else f"{number}",
        "id": point.group.rows[-1].arm_id,
        "arm": plain(row.arm, 24),
        "recipe": plain(row.recipe, 24),
        "cost": point.cost or nothing,
        "accuracy": accuracy,
        "low": accuracy if estimate is None else 100 * estimate.interval.low,
        "high": accuracy if estimate is None else 100 * estimate.interval.high,
        "accuracy_text": f"{accuracy:.1f}" if estimate is None else accuracy_text(estimate),
        "cost_text": cost_text(point.cost, kind),
    }


def _look(point: Point, palette: Palette) -> dict[str, Any]:
    """The colour and shape of an arm's marks."""
    arm = point.rows[-1].arm
    color, mark = palette.color(arm), arm_mark(arm)
    return {"color": color, "shape": mark.shape, "fill": color if mark.filled else "transparent"}


def _bounds(single: Sequence[dict[str, Any]]) -> Iterator[dict[str, float]]:
    return ({"low": run["accuracy"], "high": run["accuracy"]} for run in single)


def _run_cost(row: Row, kind: str) -> float:
    cost = cost_of(row, kind)
    assert cost is not None
    return cost


def _frontier(points: Sequence[Point], nothing: float, end: float) -> list[dict[str, float]]:
    """The corners of the frontier's line, which goes on to the right edge."""
    line = [{"cost": point.cost or nothing, "accuracy": 100 * point.accuracy} for point in frontier(points)]
    return [*line, {"cost": end, "accuracy": line[-1]["accuracy"]}] if line else []


def _label(kind: str, nothing: float) -> str:
    """What stands at a tick, as a Vega expression over numbers alone."""
    free = f"datum.value < {nothing * 1.2} ? 'none'"
    if kind == HOLDING:
        return f"{free} : format(datum.value, '.3~s') + 'B'"
    if kind != "time":
        return f"{free} : format(datum.value, ',~r')"
    return (
        f"{free} : datum.value >= 3600 ? format(datum.value / 3600, '.3~r') + ' h' : "
        "datum.value >= 60 ? format(datum.value / 60, '.3~r') + ' min' : format(datum.value, '.3~r') + ' s'"
    )
