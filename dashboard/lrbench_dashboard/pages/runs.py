"""Runs: which processes are at work, how far they are, and how the losses look while they train."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st
from lrbench_dashboard.context import context_html
from lrbench_dashboard.loading import runs_folder
from lrbench_dashboard.look import begin_page

from lrbench.results.run_status import RunStatus, StageNow, now, statuses
from lrbench.results.status_words import stage_text, standing, state_text
from lrbench.results.text import duration
from lrbench.results.web.text import name_html, text_html

SECONDS_BETWEEN_LOOKS = 2.0
# Where nothing runs, a run that is started then is seen soon enough.
SECONDS_WHERE_NOTHING_RUNS = 15.0
MOST_FAILURES = 20
HEIGHT = 200
# How it goes does not show in these.
NOT_SHOWN = frozenset({"learning_rate", "steps"})


def main() -> None:
    """What each process has written down, looked at again every few seconds."""
    begin_page(
        "Runs",
        "What is being made now, and what became of the last run of each recipe. This page looks again by "
        "itself; results stand on the leaderboard as soon as an arm is measured.",
    )
    if chosen := context_html():
        st.html(chosen)
    at = now()
    is_running = any(
        status.state == "running" and not status.is_silent(at) for status in statuses(runs_folder())
    )
    seconds = SECONDS_BETWEEN_LOOKS if is_running else SECONDS_WHERE_NOTHING_RUNS
    st.fragment(show_runs, run_every=seconds)()


def show_runs() -> None:
    """All of them, those heard of last first."""
    found, at = statuses(runs_folder()), now()
    if not found:
        st.html(
            '<div class="lr-empty"><p>No run has left a word here yet. Start one, and watch it:</p>'
            "<pre>lrbench run quickstart</pre></div>"
        )
    for number, status in enumerate(found):
        st.html(status_html(status, at))
        if status.now is not None and status.state == "running":
            for name, points in status.now.curves.items():
                if name not in NOT_SHOWN:
                    show_curve(name, points, status.now, key=f"{number}-{name}")


def status_html(status: RunStatus, at: datetime) -> str:
    """One process: what it is, how far, what it does now, and what failed."""
    is_gone = status.is_silent(at)
    kind = "worker, " if status.worker else ""
    where = f"{kind}{status.machine}, process {status.process}"
    lines = [
        f"<h2>{name_html(status.recipe)}</h2>",
        f'<p class="lv-caption">{name_html(where)}: {html.escape(state_text(status, at))}</p>',
    ]
    if not status.worker:
        # What a worker does counts in the run that it works for.
        lines.append(_bar_html(status.finished, status.stages, standing(status)))
    if status.now is not None and status.state == "running" and not is_gone:
        stage = status.now
        left = stage.remaining_seconds
        rest = "" if left is None else f", about {duration(left)} left"
        lines.append(_bar_html(stage.done, stage.units, stage_text(stage) + rest))
    if status.failures:
        items = "".join(f"<li>{text_html(failure)}</li>" for failure in status.failures[:MOST_FAILURES])
        more = len(status.failures) - MOST_FAILURES
        further = f"<li>and {more} more</li>" if more > 0 else ""
        lines.append(f'<div class="lr-note lr-problem">Not done:<ul>{items}{further}</ul></div>')
    return f'<section class="lr-run">{"".join(lines)}</section>'


def show_curve(name: str, points: Sequence[tuple[int, float]], stage: StageNow, key: str) -> None:
    """One quantity of the stage so far."""
    last = f", now {points[-1][1]:.3f}" if points else ""
    alt = f"{name} of {stage.label}, {len(points)} points{last}"
    st.vega_lite_chart(curve_spec(name, points, stage.units), width="stretch", alt=alt, key=key)


def curve_spec(name: str, points: Sequence[tuple[int, float]], units: int) -> dict[str, Any]:
    """The curve with room for what is to come."""
    axis = {
        "field": "update",
        "type": "quantitative",
        "title": "update",
        "axis": {"grid": False, "tickCount": 8},
    }
    return {
        "data": {"values": [{"update": update, "value": value} for update, value in points]},
        "height": HEIGHT,
        "mark": {"type": "line", "tooltip": True},
        "encoding": {
            "x": {**axis, "scale": {"domain": [0, units]}},
            "y": {"field": "value", "type": "quantitative", "title": name, "scale": {"zero": False}},
        },
    }


def _bar_html(done: int, whole: int, text: str) -> str:
    share = 100 * done / whole if whole else 0.0
    return (
        f'<div class="lr-progress" role="progressbar" aria-valuemin="0" aria-valuemax="{whole}" '
        f'aria-valuenow="{done}" aria-label="{html.escape(text, quote=True)}">'
        f'<div class="lr-done" style="width:{share:.1f}%"></div></div>'
        f'<p class="lr-run-text">{text_html(text)}</p>'
    )


main()
