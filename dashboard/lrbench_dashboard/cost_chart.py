"""Accuracy against cost: intervals, seeds tied together, the frontier, and what cost nothing set apart."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import streamlit as st

from lrbench.results.frontier import COSTS, Point, frontier
from lrbench.results.rows import Group
from lrbench.results.text import plain
from lrbench.results.wording import accuracy_text, duration_text
from lrbench_dashboard.boards import row_parts
from lrbench_dashboard.charts import LINE_HEIGHT, Palette
from lrbench_dashboard.theme import arm_mark

HEIGHT = 440
# More names than these cover each other; and within this factor of cost they would.
MOST_LABELS, NEAR = 24, 1.6


def show_costs(
    points: Sequence[Point],
    kind: str,
    column: str,
    palette: Palette,
    with_intervals: bool,
    pointed: Group | None = None,
) -> None:
    """Draw the points; intervals of averages take a while, so they can be left out at first.

    A ring is drawn around the runs of the arm `pointed` out.
    """
    spec = cost_spec(points, kind, column, palette, with_intervals)
    if pointed is not None:
        spec["layer"].append(_rings(spec, {row.arm_id for row in pointed.rows}, palette))
    alt = (
        f"{column} accuracy against {COSTS[kind]}, {len(points)} results; the frontier is in the table below"
    )
    st.vega_lite_chart(spec, width="stretch", theme="streamlit", alt=alt)


def cost_spec(
    points: Sequence[Point], kind: str, column: str, palette: Palette, with_intervals: bool
) -> dict[str, Any]:
    """The chart as a Vega-Lite specification. All names are data, none is markup."""
    costs = [point.cost for point in points if point.cost > 0]
    ticks = log_ticks(min(costs, default=1), max(costs, default=10))
    nothing = ticks[0] / 2.2
    # A point at the very edge would be cut in half.
    end = max(ticks[-1], 1.15 * max(costs, default=1))
    values = [_value(point, column, kind, palette, nothing, with_intervals) for point in points]
    low = min((value["low"] for value in values), default=0)
    high = max((value["high"] for value in values), default=100)
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
    seeds = {"groupby": ["group"], "frame": [None, None], "window": [{"op": "count", "as": "seeds"}]}
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
            "transform": [seeds, {"filter": "datum.seeds > 1"}],
            "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.7},
            "encoding": {
                "x": across,
                "y": {**up, "field": "accuracy"},
                "color": color,
                "detail": {"field": "group", "type": "nominal"},
                "order": {"field": "order", "type": "quantitative"},
            },
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
                "stroke": color,
                "fill": {"field": "fill", "type": "nominal", "scale": None},
                "shape": {"field": "shape", "type": "nominal", "scale": None},
                "tooltip": [
                    {"field": "name", "type": "nominal", "title": "result"},
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
                "mark": {"type": "text", "align": "left", "dx": 9, "color": palette.ink, "fontSize": 11},
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


def _rings(spec: dict[str, Any], arm_ids: Collection[str], palette: Palette) -> dict[str, Any]:
    """A layer of rings around some of the points of a chart."""
    encoding = next(layer["encoding"] for layer in spec["layer"] if "shape" in layer["encoding"])
    own = [value for value in spec["data"]["values"] if value["id"] in arm_ids]
    return {
        "data": {"values": own},
        "mark": {"type": "point", "size": 420, "filled": False, "color": palette.ink, "strokeWidth": 1.5},
        "encoding": {"x": encoding["x"], "y": encoding["y"]},
    }


def _labels(values: Sequence[dict[str, Any]], scale: float) -> list[dict[str, Any]]:
    """The name of every arm at the mean of its runs, no two over each other where they stand close.

    `scale` is what the chart's height stands for. None where there are too many to be read.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for value in values:
        groups.setdefault(value["group"], []).append(value)
    if len(groups) > MOST_LABELS:
        return []
    several = len({own[0]["recipe"] for own in groups.values()}) > 1
    labels: list[dict[str, Any]] = []
    for own in sorted(groups.values(), key=lambda own: sum(value["accuracy"] for value in own) / len(own)):
        cost = max(value["cost"] for value in own)
        accuracy = sum(value["accuracy"] for value in own) / len(own)
        near = [other["accuracy"] for other in labels if NEAR > other["cost"] / cost > 1 / NEAR]
        accuracy = max([accuracy, *(other + scale * LINE_HEIGHT / HEIGHT for other in near)])
        arm, recipe = own[0]["arm"], own[0]["recipe"]
        labels.append({"cost": cost, "accuracy": accuracy, "label": f"{arm}, {recipe}" if several else arm})
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
    return duration_text(cost) if kind == "time" else f"{cost:,.0f}"


def _value(
    point: Point, column: str, kind: str, palette: Palette, nothing: float, with_interval: bool
) -> dict[str, Any]:
    row = point.row
    accuracy = 100 * point.accuracy
    estimate = row.on(column) if with_interval else None
    return {
        "name": ", ".join(row_parts(row)),
        "group": palette.group(row),
        "id": row.arm_id,
        "arm": plain(row.arm, 24),
        "recipe": plain(row.recipe, 24),
        "order": row.seed or 0,
        "cost": point.cost or nothing,
        "accuracy": accuracy,
        "low": accuracy if estimate is None else 100 * estimate.interval.low,
        "high": accuracy if estimate is None else 100 * estimate.interval.high,
        "accuracy_text": f"{accuracy:.1f}" if estimate is None else accuracy_text(estimate),
        "cost_text": cost_text(point.cost, kind),
        "color": palette.color(row.arm),
        "shape": arm_mark(row.arm).shape,
        "fill": palette.color(row.arm) if arm_mark(row.arm).filled else "transparent",
    }


def _frontier(points: Sequence[Point], nothing: float, end: float) -> list[dict[str, float]]:
    """The corners of the frontier's line, which goes on to the right edge."""
    line = [{"cost": point.cost or nothing, "accuracy": 100 * point.accuracy} for point in frontier(points)]
    return [*line, {"cost": end, "accuracy": line[-1]["accuracy"]}] if line else []


def _label(kind: str, nothing: float) -> str:
    """What stands at a tick, as a Vega expression over numbers alone."""
    free = f"datum.value < {nothing * 1.2} ? 'none'"
    if kind != "time":
        return f"{free} : format(datum.value, ',~r')"
    return (
        f"{free} : datum.value >= 3600 ? format(datum.value / 3600, '.3~r') + ' h' : "
        "datum.value >= 60 ? format(datum.value / 60, '.3~r') + ' min' : format(datum.value, '.3~r') + ' s'"
    )
