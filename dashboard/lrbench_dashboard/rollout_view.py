"""A rollout as text, every token coloured by the divergence of its step; click or keys choose a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from lrbench.results.microscope import RolloutView
from lrbench.results.web.tokens import token_name, token_text

# Colour follows the square root of KL, so that small divergences can be told apart too.
HOTTEST = 4.0
TICKS = (0.0, 0.1, 0.4, 1.0, 2.0, 4.0)
# From where on text in the dark theme is dark, and text in the light theme is light: contrast is best so.
DEEP, DEEPEST = 0.54, 0.67
HOVERED_TOKENS = 3

_HERE = Path(__file__).parent
_draw = st.components.v2.component(
    "lrbench_rollout",
    html='<div class="rollout"></div>',
    css=(_HERE / "rollout_view.css").read_text(encoding="utf-8"),
    js=(_HERE / "rollout_view.js").read_text(encoding="utf-8"),
)


def show_rollout(
    view: RolloutView, texts: Mapping[int, str], selected: int, on_choose: Callable[[int], None]
) -> None:
    """Draw the completion; `on_choose` is called with the step that the reader chooses, before a rerun."""

    def chosen() -> None:
        step = st.session_state["rollout_view"].get("chosen")
        # What a browser sends may be anything.
        if isinstance(step, int | float) and 0 <= step < view.rollout.steps:
            on_choose(int(step))

    _draw(key="rollout_view", data=content(view, texts, selected), on_chosen_change=chosen)


def content(view: RolloutView, texts: Mapping[int, str], selected: int) -> dict[str, Any]:
    """What the browser is sent: texts to be shown as such, and numbers."""
    heats = heat(view.scores.kl)
    return {
        "label": "The completion, one option per token",
        "unit": "KL(expert ‖ amateur), nats",
        "ticks": [
            [float(heat(np.array(tick))), f"{tick:g}" + ("+" if tick == HOTTEST else "")] for tick in TICKS
        ],
        "deep": DEEP,
        "deepest": DEEPEST,
        "selected": selected,
        "tokens": [
            {
                "text": token_text(text),
                "blank": text.isspace(),
                "breaks": min(text.count("\n"), 2),
                "kept": bool(view.kept[step]),
                "heat": round(float(heats[step]), 3),
                "lines": _lines(view, texts, step, text),
            }
            for step, text in enumerate(text_of(texts, token) for token in view.rollout.completion_ids)
        ],
    }


def heat(kl: np.ndarray) -> np.ndarray:
    """Where a KL in nats lies on the colour scale, from 0 to 1."""
    bounded: np.ndarray = np.clip(np.nan_to_num(kl, nan=0.0), 0.0, HOTTEST)
    return np.sqrt(bounded / HOTTEST)


def text_of(texts: Mapping[int, str], token: int) -> str:
    """What a token reads as; its id where the artifact does not say."""
    return texts.get(token, f"token {token}")


def _lines(view: RolloutView, texts: Mapping[int, str], step: int, text: str) -> list[str]:
    scores = view.scores
    span = slice(int(scores.offsets[step]), int(scores.offsets[step + 1]))
    verdict = "kept" if view.kept[step] else "not kept"
    lines = [f"step {step}: {token_name(text)} · KL {scores.kl[step]:.2f} · {verdict}"]
    sure = scores.top1_log_p_amateur
    figure = "" if sure is None else f" {math.exp(sure[step]):.2f}"
    for name, log_p, first in (
        ("expert", scores.support_log_p_expert[span], int(scores.top1_expert[step])),
        ("amateur", scores.support_log_p_amateur[span], int(scores.top1_amateur[step])),
    ):
        ids = scores.support_ids[span]
        order = np.argsort(-log_p, kind="stable")[:HOVERED_TOKENS].tolist()
        found = [f"{token_name(text_of(texts, int(ids[i])), 20)} {math.exp(log_p[i]):.2f}" for i in order]
        if first not in ids:
            # Only the amateur's: the expert's own is always plausible.
            name_of_first = f"{token_name(text_of(texts, first), 20)}{figure} (first choice)"
            found = [name_of_first, *found][:HOVERED_TOKENS]
        lines.append(f"{name}: {', '.join(found)}")
    return lines
