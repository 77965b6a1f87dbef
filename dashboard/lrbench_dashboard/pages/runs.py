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

from lrbench.results.curves import curve_title, in_order
from lrbench.results.run_status import RunView, StageNow, now, statuses, views
from lrbench.results.status_words import failures_of, stage_text, standing, state_text, worker_text
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
    is_running = any(status.is_at_work(at) for status in statuses(runs_folder()))
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
    for number, view in enumerate(views(found, at)):
        st.html(view_html(view, at))
        for status in (view.run, *view.workers):
            if status.now is None or status.state != "running":
                continue
            curves = {
                name: curve for name, curve in in_order(status.now.curves).items() if name not in NOT_SHOWN
            }
            if curves:
                st.html(f'<p class="lv-caption">Curves of the {name_html(status.now.label)}</p>')
            for name, points in curves.items():
                key = f"{number}-{status.machine}-{status.process}-{name}"
                show_curve(curve_title(name), points, status.now, key)


def view_html(view: RunView, at: datetime) -> str:
    """One run with its workers: what it is, how far, what each does now, and what failed."""
    status = view.run
    kind = "worker, " if status.worker else ""
    where = f"{kind}{status.machine}, process {status.process}"
    lines = [
        f"<h2>{name_html(status.recipe)}</h2>",
        f'<p class="lv-caption">{name_html(where)}: {html.escape(state_text(status, at))}</p>',
    ]
    lines.append(_bar_html(status.finished, status.stages, standing(status)))
    if status.now is not None and status.is_at_work(at):
        stage = status.now
        left = stage.remaining_seconds
        rest = "" if left is None else f", about {duration(left)} left"
        lines.append(_bar_html(stage.done, stage.units, stage_text(stage) + rest))
    for worker in view.workers:
        done, units = (0, 0) if worker.now is None else (worker.now.done, worker.now.units)
        lines.append(_bar_html(done, units, worker_text(worker)))
    if failures := failures_of(view):
        items = "".join(f"<li>{text_html(failure)}</li>" for failure in failures[:MOST_FAILURES])
        more = len(failures) - MOST_FAILURES
        further = f"<li>and {more} more</li>" if more > 0 else ""
        lines.append(f'<div class="lr-note lr-problem">Not done:<ul>{items}{further}</ul></div>')
    return f'<section class="lr-run">{"".join(lines)}</section>'


def show_curve(title: str, points: Sequence[tuple[int, float]], stage: StageNow, key: str) -> None:
    """One quantity of the stage so far."""
    last = f", now {points[-1][1]:.3f}" if points else ""
    alt = f"{title} of {stage.label}, {len(points)} points{last}"
    st.vega_lite_chart(curve_spec(title, points, stage.units), width="stretch", alt=alt, key=key)


def curve_spec(title: str, points: Sequence[tuple[int, float]], units: int) -> dict[str, Any]:
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
            "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}},
        },
        # Upright at the axis a long title would be cut.
        "title": {"text": title, "anchor": "start", "fontSize": 13, "fontWeight": "normal"},
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
