"""How often answers are right, by how sure they are: one result's reliability with the n of every bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from lrbench.results.rows import Row
from lrbench.results.statistics import Bin, Calibration
from lrbench_dashboard.boards import row_parts
from lrbench_dashboard.charts import Palette

HEIGHT = 340
# In percent of the axis: below nought stand the bars of how many there are, with their numbers over them.
LOWEST, TALLEST_BAR = -30.0, 16.0


def show_reliability(row: Row, found: Calibration, palette: Palette) -> None:
    """Draw one result's picture."""
    said = "; ".join(_bin_text(one) for one in found.bins)
    alt = f"How often answers of {', '.join(row_parts(row))} are right, by confidence: {said}"
    st.vega_lite_chart(
        reliability_spec(found.bins, palette.color(row.arm), palette),
        width="stretch",
        theme="streamlit",
        alt=alt,
    )


def reliability_spec(bins: Sequence[Bin], color: str, palette: Palette) -> dict[str, Any]:
    """The picture as a Vega-Lite specification: what is calibrated lies on the dashed line."""
    most = max(one.n for one in bins)
    values = [
        {
            "low": 100 * one.low,
            "high": 100 * one.high,
            "middle": 50 * (one.low + one.high),
            "confidence": 100 * one.confidence,
            "right": 100 * one.right,
            "n": one.n,
            "bottom": LOWEST,
            "top": LOWEST + TALLEST_BAR * one.n / most,
        }
        for one in bins
    ]
    across: dict[str, Any] = {
        "type": "quantitative",
        "title": "confidence, percent",
        "scale": {"domain": [0, 100], "nice": False},
        "axis": {"values": [0, 20, 40, 60, 80, 100], "grid": False},
    }
    up: dict[str, Any] = {
        "type": "quantitative",
        "title": "right, percent",
        "scale": {"domain": [LOWEST, 100], "nice": False},
        "axis": {"values": [0, 20, 40, 60, 80, 100]},
    }
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"confidence": end, "right": end} for end in (0, 100)]},
            "mark": {"type": "line", "strokeWidth": 1.5, "strokeDash": [5, 3], "opacity": 0.8},
            "encoding": {
                "x": {**across, "field": "confidence"},
                "y": {**up, "field": "right"},
                "color": {"value": palette.ink},
            },
        },
        {
            "mark": {"type": "bar", "opacity": 0.45, "binSpacing": 2},
            "encoding": {
                "x": {**across, "field": "low"},
                "x2": {"field": "high"},
                "y": {**up, "field": "bottom"},
                "y2": {"field": "top"},
                "color": {"value": palette.ink},
            },
        },
        {
            "mark": {"type": "text", "baseline": "bottom", "dy": -2, "fontSize": 10},
            "encoding": {
                "x": {**across, "field": "middle"},
                "y": {**up, "field": "top"},
                "text": {"field": "n", "type": "quantitative", "format": ",d"},
                "color": {"value": palette.ink},
            },
        },
        {
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6},
            "encoding": {
                "x": {**across, "field": "confidence"},
                "y": {**up, "field": "right"},
                "y2": {"field": "confidence"},
                "color": {"value": color},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 85, "opacity": 1},
            "encoding": {
                "x": {**across, "field": "confidence"},
                "y": {**up, "field": "right"},
                "color": {"value": color},
                "tooltip": [
                    {"field": "n", "type": "quantitative", "title": "answers", "format": ",d"},
                    {
                        "field": "confidence",
                        "type": "quantitative",
                        "title": "confidence, mean",
                        "format": ".1f",
                    },
                    {"field": "right", "type": "quantitative", "title": "right, percent", "format": ".1f"},
                ],
            },
        },
    ]
    return {"data": {"values": values}, "layer": layers, "height": HEIGHT}


def _bin_text(one: Bin) -> str:
    return (
        f"above {100 * one.low:g}% up to {100 * one.high:g}%: {one.n:,} answers, {100 * one.right:.1f}% right"
    )
