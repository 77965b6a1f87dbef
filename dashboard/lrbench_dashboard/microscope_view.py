"""What the microscope's page shows besides the rollout: statistics side by side and the histogram of KL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lrbench.results.microscope import HISTOGRAM_EDGES, Summary
from lrbench_dashboard import theme
from lrbench_dashboard.look import table_html

NOTHING = "–"
# Nats; what lies above is drawn at the edge. Beyond e^30 nothing a model writes diverges.
LARGEST_SHOWN = 32.0


def statistics_html(columns: Mapping[str, Summary], contrasted: bool) -> str:
    """The summaries in `columns` (name -> summary) side by side; target rows where there is a contrast."""
    rows = [
        _row("steps", columns, lambda s: f"{s.divergence['steps']:,}"),
        _row("steps kept, the tokens to tune", columns, lambda s: f"{s.divergence['kept_steps']:,}"),
        _row("share kept", columns, lambda s: _percent(s.divergence["share_kept"])),
        _row("mean KL, nats", columns, lambda s: _nats(s.divergence["mean_kl"])),
        _row("both models’ first choices agree", columns, lambda s: _percent(s.divergence["top1_agreement"])),
        _row("mean KL where they agree", columns, lambda s: _nats(s.divergence["mean_kl_where_top1_agrees"])),
        _row(
            "mean KL where they differ", columns, lambda s: _nats(s.divergence["mean_kl_where_top1_differs"])
        ),
    ]
    if any("mean_covered" in summary.divergence for summary in columns.values()):
        rows += [
            _row(
                "probability on shared tokens", columns, lambda s: _percent(s.divergence.get("mean_covered"))
            ),
            _row(
                "left out, too little on shared tokens",
                columns,
                lambda s: _percent(s.divergence.get("share_covered_too_little")),
            ),
        ]
    if contrasted:
        rows += [
            _row("plausible tokens per kept step", columns, lambda s: _count(s.plausible_tokens)),
            _row("kept with one plausible token", columns, lambda s: _percent(s.share_single)),
            _row(
                "target prefers another token than the expert",
                columns,
                lambda s: _percent(s.share_overturned),
            ),
        ]
        if any(summary.share_odd is not None for summary in columns.values()):
            rows.append(
                _row(
                    "target prefers what is hardly ever written there",
                    columns,
                    lambda s: _percent(s.share_odd),
                )
            )
    return table_html(["", *columns], rows, "Statistics of the steps")


def show_histogram(summary: Summary, beta: float | None, whose: str, height: int) -> None:
    """How many steps have which KL, those kept in colour, with the line at beta where one selects.

    `whose` names the steps on the axis; `height` is in pixels, axes included.
    """
    dark = theme.is_dark()
    kept, other, ink = ("#fbbf77", "#4b5563", "#ececec") if dark else ("#a3400b", "#d6d3d1", "#1c1917")
    bins = [
        {"from": low, "to": high, "not_kept": count - among, "count": count, "kept": among}
        for low, high, count, among in zip(
            HISTOGRAM_EDGES[:-1].tolist(),
            HISTOGRAM_EDGES[1:].tolist(),
            summary.counts.tolist(),
            summary.counts_kept.tolist(),
            strict=True,
        )
    ]
    across = {
        "scale": {"type": "log", "domain": [HISTOGRAM_EDGES[0], LARGEST_SHOWN], "nice": False, "clamp": True},
        "type": "quantitative",
    }
    axis = {"values": [1e-4, 1e-3, 1e-2, 0.1, 1, 10], "format": "~g", "grid": False}
    up = {"type": "quantitative", "scale": {"domain": [0, max(summary.counts.tolist()) or 1]}}
    tooltip = [
        {"field": "from", "format": ".3g", "title": "KL from"},
        {"field": "to", "format": ".3g", "title": "to"},
        {"field": "count", "format": ",", "title": "steps"},
        {"field": "kept", "format": ",", "title": "kept"},
    ]
    bars: list[dict[str, Any]] = [
        {
            "mark": {"type": "rect", "color": color},
            "encoding": {
                "x": {"field": "from", **across, "title": "KL(expert ‖ amateur), nats", "axis": axis},
                "x2": {"field": "to"},
                "y": {"field": high, **up, "title": whose, "axis": {"tickCount": 4}},
                "y2": low,
                "tooltip": tooltip,
            },
        }
        for low, high, color in (({"datum": 0}, "not_kept", other), ({"field": "not_kept"}, "count", kept))
    ]
    if beta:
        at = {"datum": max(beta, float(HISTOGRAM_EDGES[0])), **across}
        text = {"type": "text", "align": "right", "dx": -5, "dy": 4, "baseline": "top", "color": ink}
        rule = {"type": "rule", "color": ink, "strokeWidth": 1.5, "strokeDash": [4, 3]}
        once: dict[str, Any] = {"values": [{}]}
        bars += [
            {"data": once, "mark": rule, "encoding": {"x": at}},
            {
                "data": once,
                "mark": text,
                "encoding": {"x": at, "y": {"value": 0}, "text": {"value": f"β {beta:g}"}},
            },
        ]
    spec = {"data": {"values": bins}, "layer": bars, "height": height}
    alt = f"Histogram of the KL of {whose}, kept ones coloured; the statistics are in the table"
    st.vega_lite_chart(spec, width="stretch", theme="streamlit", alt=alt)


def _row(name: str, columns: Mapping[str, Summary], text: Any) -> list[str]:
    return [name, *(text(summary) for summary in columns.values())]


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f}%"


def _nats(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _count(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"
