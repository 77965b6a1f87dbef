"""How everything looks: Streamlit's theme, the style sheet, and one colour per arm in light and dark."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from lrbench.methods.presets import BY_NAME

STYLE = Path(__file__).with_name("style.css")

# For arms of a user's own making, (light, dark); none is that of a known arm.
OTHER_COLORS = (
    ("#57534e", "#d6d3d1"),
    ("#db2777", "#f9a8d4"),
    ("#0369a1", "#7dd3fc"),
    ("#854d0e", "#fde047"),
)

# Shapes of charts, and the signs that look like them.
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down")
SIGNS = ("●", "■", "◆", "▲", "✚", "▼")

OPTIONS = {
    "theme.baseRadius": "4px",
    "theme.light.primaryColor": "#1d4ed8",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f5f5f4",
    "theme.light.textColor": "#1c1917",
    "theme.dark.primaryColor": "#6ea8fe",
    "theme.dark.backgroundColor": "#14161a",
    "theme.dark.secondaryBackgroundColor": "#1f2228",
    "theme.dark.textColor": "#ececec",
}


def apply() -> None:
    """Load the style sheet into the page."""
    st.html(STYLE)


def is_dark() -> bool:
    """Whether the reader sees the dark theme, for charts that cannot follow the style sheet."""
    return st.context.theme.type == "dark"


def arm_color(arm: str, dark: bool) -> str:
    """The colour of an arm, the same on every page; arms of a user's own making share four."""
    if arm in BY_NAME:
        colour = BY_NAME[arm].colour
        return colour.dark if dark else colour.light
    return OTHER_COLORS[sum(arm.encode()) % len(OTHER_COLORS)][dark]


def arm_color_css(arm: str) -> str:
    """The colour of an arm for a style sheet: follows the theme by itself."""
    return f"light-dark({arm_color(arm, False)}, {arm_color(arm, True)})"


def arm_mark(arm: str) -> str:
    """What stands for an arm beside its colour, so that it is told apart without that: a sign."""
    return SIGNS[SHAPES.index(arm_shape(arm))]


def arm_shape(arm: str) -> str:
    """The same as a chart draws it."""
    place = list(BY_NAME).index(arm) if arm in BY_NAME else sum(arm.encode())
    return SHAPES[place % len(SHAPES)]


def arm_mark_html(arm: str) -> str:
    """The arm's sign in its colour; names stand beside it, so that nobody has to read it."""
    return (
        f'<span class="lr-sign" aria-hidden="true" style="color:{arm_color_css(arm)}">{arm_mark(arm)}</span>'
    )
