"""Training curves: arms over each other by update, seeds thin and their mean thick."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lrbench.results.curves import CURVES
from lrbench.results.records import ArmRecord
from lrbench.results.rows import Group, Row
from lrbench.results.text import plain
from lrbench_dashboard.boards import row_parts
from lrbench_dashboard.charts import DASHES, LABEL_ROOM, PADDING, Palette, end_labels, padded
from lrbench_dashboard.point_numbers import Numbers

# Of one curve; a longer one is shown by the means of as many equal stretches.
MOST_POINTS = 300
FEW_POINTS = 20
# In the text that stands for a chart.
MOST_NAMED = 6
HEIGHT = 260
# How much of a line's strength is left where another arm is pointed out.
FAINT = 0.2
# More names than these at the ends of lines cannot be read.
MOST_LABELS = 12

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One curve of one row, or the mean over a group's seeds. Values are finite; gaps are left out."""

    row: Row
    points: Curve
    mean: bool


def lines_of(rows: Iterable[Row], arms: dict[str, ArmRecord], name: str) -> list[Line]:
    """The curves called `name`, a line per row; a group of several seeds has its mean besides."""
    groups: dict[tuple[str, ...], list[tuple[Row, Curve]]] = defaultdict(list)
    for row in rows:
        curve = arms[row.arm_id].curves.get(name) if row.arm_id in arms else None
        if curve:
            groups[row.group].append((row, thinned(curve)))
    lines = []
    for members in groups.values():
        lines += [Line(row, curve, mean=False) for row, curve in members]
        if len(members) > 1:
            lines.append(Line(members[0][0], _mean([curve for _, curve in members]), mean=True))
    return lines


def thinned(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """The curve without its non-finite values, by means of equal stretches where it has over `most`."""
    finite = [(update, value) for update, value in curve if math.isfinite(value)]
    if len(finite) <= most:
        return finite
    width = -(-len(finite) // most)
    stretches = [finite[start : start + width] for start in range(0, len(finite), width)]
    return [
        (sum(update for update, _ in part) / len(part), sum(value for _, value in part) / len(part))
        for part in stretches
    ]


def without_numbers(rows: Iterable[Row], arms: dict[str, ArmRecord]) -> list[str]:
    """One sentence per curve that holds values which are no numbers."""
    found = []
    for row in rows:
        for name, curve in arms[row.arm_id].curves.items() if row.arm_id in arms else ():
            count = sum(not math.isfinite(value) for _, value in curve)
            if name in CURVES and count:
                found.append(
                    f"{', '.join(row_parts(row))}: {name} is not finite at {count} of {len(curve)} updates."
                )
    return found


def show_curve(
    lines: Sequence[Line], name: str, palette: Palette, numbers: Numbers, pointed: Group | None = None
) -> None:
    """Draw one chart; points of sweeps go by their `numbers`, and all but the arm `pointed` out are faint."""
    named = dict.fromkeys(_name(line) for line in lines)
    alt = f"{CURVES[name][0]} by update, of {'; '.join(list(named)[:MOST_NAMED])}"
    st.vega_lite_chart(
        curve_spec(lines, name, palette, numbers, pointed), width="stretch", theme="streamlit", alt=alt
    )


def curve_spec(
    lines: Sequence[Line], name: str, palette: Palette, numbers: Numbers, pointed: Group | None = None
) -> dict[str, Any]:
    """The chart as a Vega-Lite specification."""
    title, decades = CURVES[name]
    averaged = {line.row.group for line in lines if line.mean}
    several = len({line.row.recipe for line in lines}) > 1
    values: list[dict[str, Any]] = []
    for line in lines:
        thin = not line.mean and line.row.group in averaged
        faint = pointed is not None and line.row.group != pointed.rows[0].group
        same = {
            "line": f"{line.row.arm_id}{'/mean' if line.mean else ''}",
            "name": _name(line),
            "color": palette.color(line.row.arm),
            "width": 1 if thin else 2,
            "opacity": (0.45 if thin else 1) * (FAINT if faint else 1),
            "thin": thin,
            "dash": palette.dash(line.row.arm),
            "label": _label(line.row, several, numbers),
        }
        values += [
            {"update": update, "value": value, **same}
            for update, value in line.points
            if value > 0 or not decades
        ]
    updates = [value["update"] for value in values]
    smallest = min((value["value"] for value in values), default=0.0)
    largest = max((value["value"] for value in values), default=1.0)
    spread = largest > 20 * smallest > 0
    scale: dict[str, Any] = {"type": "log"} if decades and spread else {"zero": False}
    drawn: dict[str, Any] = {
        "mark": {"type": "line", "interpolate": "linear", "tooltip": True, "point": _sparse(lines)},
        "encoding": {
            "x": {
                "field": "update",
                "type": "quantitative",
                "title": "update",
                # There is no half an update.
                "axis": {"grid": False, "tickMinStep": 1},
                "scale": {"domain": [min(updates, default=0), max(updates, default=1)], "nice": False},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {**scale, "domain": [smallest, largest]},
            },
            "color": {"field": "color", "type": "nominal", "scale": None},
            "detail": {"field": "line", "type": "nominal"},
            "strokeWidth": {"field": "width", "type": "quantitative", "scale": None},
            "strokeDash": {
                "field": "dash",
                "type": "ordinal",
                "scale": {"domain": list(range(len(DASHES))), "range": [*DASHES]},
                "legend": None,
            },
            "opacity": {"field": "opacity", "type": "quantitative", "scale": None},
            "tooltip": [
                {"field": "name", "type": "nominal", "title": "result"},
                {"field": "update", "type": "quantitative"},
                {"field": "value", "type": "quantitative", "format": ".4~g", "title": title},
            ],
        },
    }
    thick = [value for value in values if not value["thin"]]
    log = scale.get("type") == "log"
    names = _end_names(thick, smallest, largest, log)
    text = {
        "data": {"values": names},
        "mark": {"type": "text", "align": "left", "dx": 6, "color": palette.ink, "fontSize": 11},
        "encoding": {
            "x": drawn["encoding"]["x"],
            "y": drawn["encoding"]["y"],
            "text": {"field": "label", "type": "nominal"},
        },
    }
    return {
        "data": {"values": values},
        "height": HEIGHT,
        "layer": [drawn, text] if names else [drawn],
        # Upright at the axis a long title would be cut; above the picture there is room.
        "title": {"text": title, "anchor": "start", "fontSize": 13, "fontWeight": "normal"},
        "padding": padded(LABEL_ROOM if names else PADDING),
    }


def _end_names(
    thick: Sequence[dict[str, Any]], smallest: float, largest: float, log: bool
) -> list[dict[str, Any]]:
    """The name of every thick line at its end, apart as they are seen; none where they are too many."""
    if len({value["label"] for value in thick}) > MOST_LABELS:
        return []
    if not log:
        return end_labels(thick, "update", "value", "label", largest - smallest, HEIGHT)
    flat = [{**value, "value": math.log10(value["value"])} for value in thick]
    names = end_labels(flat, "update", "value", "label", math.log10(largest / smallest), HEIGHT)
    return [{**name, "value": 10 ** name["value"]} for name in names]


def _sparse(lines: Sequence[Line]) -> bool:
    """Whether the values are so few that each is seen better with a dot."""
    return max((len(line.points) for line in lines), default=0) <= FEW_POINTS


def _label(row: Row, several: bool, numbers: Numbers) -> str:
    """What stands at a line's end: the arm, of which recipe where there are several, and at which point."""
    parts = [plain(row.arm, 20)] + ([plain(row.recipe, 20)] if several else [])
    number = numbers.get(row.group)
    return " ".join([*parts, *([] if number is None else [f"{number}"])])


def _name(line: Line) -> str:
    parts = row_parts(line.row)
    if line.mean:
        seed = f"seed {line.row.seed}"
        parts = [*(part for part in parts if part != seed), "mean over seeds"]
    return ", ".join(parts)


def _mean(curves: Sequence[Curve]) -> Curve:
    """The mean where all have a value at the same update."""
    at: dict[float, list[float]] = defaultdict(list)
    for curve in curves:
        for update, value in curve:
            at[update].append(value)
    return [
        (update, sum(values) / len(values))
        for update, values in sorted(at.items())
        if len(values) == len(curves)
    ]
