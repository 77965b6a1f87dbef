"""What results are called where any of the ledger can be chosen, measured or not."""

from __future__ import annotations

from typing import Any

import streamlit as st

from lrbench.recipe.expanding import point_text
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.results.text import plain
from lrbench.results.variations import PLAIN, variations
from lrbench_dashboard import state
from lrbench_dashboard.context import Context
from lrbench_dashboard.loading import Results

LONGEST = 40


def name_of(record: ArmRecord | ScoreRecord, variant: str = "") -> str:
    """`lightr, quickstart, alpha=0.2, seed 0, 2026-11-21`, and what else sets it apart.

    On one line, as text.
    """
    parts = [plain(record.arm, LONGEST), plain(record.recipe, LONGEST)]
    parts += [plain(point_text(record.point), LONGEST)] if record.point else []
    parts += [] if record.seed is None else [f"seed {record.seed}"]
    parts += [plain(variant, LONGEST)] if variant else []
    return ", ".join([*parts, record.recorded_at[:10]])


def result_names(results: Results) -> dict[str, str]:
    """arm_id -> name of everything made or measured, the latest first."""
    return _names(results.stamp, results)


def names_first_of(context: Context | None, names: dict[str, str]) -> dict[str, str]:
    """The names with those of the context before all others."""
    own = set() if context is None else {row.arm_id for row in context.rows}
    first = {arm_id: name for arm_id, name in names.items() if arm_id in own}
    return first | names


def note_if_outside(context: Context | None, arm_id: str) -> None:
    """Say it where what is shown is no result of the context."""
    if context is not None and all(row.arm_id != arm_id for row in context.rows):
        state.note("What is shown is outside the suite, protocol, recipe and expert chosen.")


@st.cache_resource(max_entries=2, show_spinner=False)
def _names(stamp: Any, _results: Results) -> dict[str, str]:  # noqa: ARG001 - the key of the cache
    contents = _results.contents
    named: dict[str, ArmRecord | ScoreRecord] = {score.arm_id: score for score in contents.scores}
    named |= {arm.arm_id: arm for arm in contents.arms}
    varied = variations(contents.arms, {score.arm_id: score.expert_weights for score in contents.scores})
    latest_first = sorted(named.items(), key=lambda item: item[1].recorded_at, reverse=True)
    return {arm_id: name_of(record, varied.get(arm_id, PLAIN).words) for arm_id, record in latest_first}
