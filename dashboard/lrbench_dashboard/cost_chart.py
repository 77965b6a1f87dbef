"""Accuracy against cost: arms with intervals and single runs, the frontier, what cost nothing set apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import streamlit as st

from lrbench.results.board_arms import estimate_of
from lrbench.results.frontier import ANSWERING, COSTS, HOLDING, Point, cost_of, frontier
from lrbench.results.rows import Group, Row
from lrbench.results.text import plain
from lrbench.results.wording import accuracy_text, bytes_text, duration_text
from lrbench_dashboard.boards import group_parts
from lrbench_dashboard.charts import Palette
from lrbench_dashboard.label_places import FAR, NEAR, Named, place_labels
from lrbench_dashboard.point_numbers import Numbers
from lrbench_dashboard.theme import arm_mark

HEIGHT = 440
# Of the height, what is left for the plot itself below a title and above an axis at the least.
PLOT_HEIGHT = 360
# More names than these, and more numbers of points, cannot be read.
MOST_NAMES, MOST_LABELS = 28, 60
LONGEST_NAME = 24


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
    # Rounded here and not by the chart: where names stand is counted in its pixels.
    floor, ceiling = _rounded(max(0, low - margin), min(100, high + margin))
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
        "scale": {"domain": [floor, ceiling], "nice": False},
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
                    {"field": "answering", "type": "nominal", "title": "to answer"},
                ],
            },
        },
    ]
    labels = _labels(values, (nothing / 1.5, end), (floor, ceiling))
    layers += _label_layers(labels, across, up, marked, palette)
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


def _labels(
    values: Sequence[dict[str, Any]], costs: tuple[float, float], scale: tuple[float, float]
) -> list[dict[str, Any]]:
    """What every arm is called, and where: beside its mark, or as near as no other name is.

    `costs` and `scale` are the ends of the axes. Where all would be too many to be read, points of sweeps
    keep their numbers, which are short. Names for which there is no room are left out.
    """
    named = [value for value in values if not value["number"]]
    kept = values if len(named) <= MOST_NAMES else [value for value in values if value["number"]]
    if len(kept) > MOST_LABELS:
        return []
    (first, last), (low, high) = costs, scale
    several = len({value["recipe"] for value in named}) > 1
    texts = [value["number"] or _name(value, several) for value in kept]
    points = [
        Named(
            math.log(value["cost"] / first) / math.log(last / first),
            PLOT_HEIGHT * (high - value["accuracy"]) / (high - low),
            text,
        )
        for value, text in zip(kept, texts, strict=True)
    ]
    found = zip(kept, texts, place_labels(points, PLOT_HEIGHT), strict=True)
    return [
        {
            **{name: value[name] for name in ("cost", "color", "shape", "fill", "accuracy")},
            "place": high - place.y * (high - low) / PLOT_HEIGHT,
            "label": text,
            "left": place.left,
            "moved": place.moved,
        }
        for value, text, place in found
        if place is not None
    ]


def _name(value: dict[str, Any], several: bool) -> str:
    name = f"{value['arm']}, {value['recipe']}" if several else str(value["arm"])
    return plain(name, LONGEST_NAME - len(value["dearer"])) + str(value["dearer"])


def _label_layers(
    labels: Sequence[dict[str, Any]],
    across: dict[str, Any],
    up: dict[str, Any],
    marked: dict[str, Any],
    palette: Palette,
) -> Iterator[dict[str, Any]]:
    """The names; one that was moved has its mark beside it once more, and a thin line to where it belongs."""
    moved = [label for label in labels if label["moved"]]
    at = {"x": across, "y": {**up, "field": "place"}}
    if moved:
        yield {
            "data": {"values": moved},
            "mark": {"type": "rule", "strokeWidth": 1, "color": palette.line},
            "encoding": {**at, "y2": {"field": "accuracy"}},
        }
    for left in (False, True):
        side = -1 if left else 1
        for again in (True, False):
            own = [label for label in labels if label["left"] == left and label["moved"] == again]
            if own and again:
                yield {
                    "data": {"values": own},
                    "mark": {"type": "point", "size": 40, "strokeWidth": 1.4, "xOffset": side * NEAR},
                    "encoding": {**at, **marked},
                }
            if own:
                yield {
                    "data": {"values": own},
                    "mark": {
                        "type": "text",
                        "align": "right" if left else "left",
                        "baseline": "middle",
                        "dx": side * (FAR if again else NEAR),
                        "color": palette.ink,
                        "fontSize": 11,
                    },
                    "encoding": {**at, "text": {"field": "label", "type": "nominal"}},
                }


def _rounded(low: float, high: float) -> tuple[float, float]:
    """From a multiple of 5 to one, or of 1 where that is most of it."""
    step = 5 if high - low >= 20 else 1
    return step * math.floor(low / step), step * math.ceil(high / step)


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten, around `low` to `high`; powers alone where that would be many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    begin = max((place for place, tick in enumerate(ticks) if tick <= low), default=0)
    end = next((place for place, tick in enumerate(ticks) if tick >= high), len(ticks) - 1)
    return ticks[begin : max(end, begin + 1) + 1]


def dearer_text(row: Row) -> str:
    """` \u00d72`: how many passes a token of an answer takes where it is not one, or how many models."""
    passes, models = row.uses.passes_per_token, row.uses.models_at_test
    if passes is not None and not 0.95 <= passes <= 1.05:
        return f" \u00d7{passes:.2g}"
    return f" ({models} models)" if models is not None and models > 1 else ""


def answering_text(row: Row) -> str:
    """`2.00 passes per token, 2 models`; empty where it is not known."""
    passes, models = row.uses.passes_per_token, row.uses.models_at_test
    read = [] if models is None else [f"{models} model{'s' * (models != 1)}"]
    return ", ".join([*([] if passes is None else [f"{passes:.2f} passes per token"]), *read])


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
        "arm": plain(row.arm, LONGEST_NAME),
        "recipe": plain(row.recipe, LONGEST_NAME),
        "dearer": "" if kind == ANSWERING else dearer_text(row),
        "answering": answering_text(row),
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
