"""How everything looks: Streamlit's theme, the style sheet, and for every arm a colour and a mark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lrbench.methods.presets import BY_NAME

STYLE = Path(__file__).with_name("style.css")

# For arms of a user's own making, (light, dark); their marks are hollow, those of known arms are not.
OTHER_COLORS = (
    ("#57534e", "#d6d3d1"),
    ("#db2777", "#ff66aa"),
    ("#0369a1", "#38bdf8"),
    ("#854d0e", "#fde047"),
)
_OWN = "theme.own"
# The known arms that have a colour of their own, in their order.
COLOURED = {name: preset.colour for name, preset in BY_NAME.items() if preset.colour is not None}


@dataclass(frozen=True)
class Mark:
    """What stands for an arm besides its colour: a sign of text, and the shape by which a chart draws it."""

    sign: str
    shape: str
    filled: bool = True


_STAR = "M0,-1L.26,-.36L.95,-.31L.43,.14L.59,.81L0,.45L-.59,.81L-.43,.14L-.95,-.31L-.26,-.36Z"
_HEXAGON = "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z"
_PENTAGON = "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z"
_X = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"
# For every known arm its own, in their order.
MARKS = (
    Mark("●", "circle"),
    Mark("■", "square"),
    Mark("◆", "diamond"),
    Mark("▲", "triangle-up"),
    Mark("▼", "triangle-down"),
    Mark("◀", "triangle-left"),
    Mark("▶", "triangle-right"),
    Mark("✚", "cross"),
    Mark("⬢", _HEXAGON),
    Mark("★", _STAR),
    Mark("⬟", _PENTAGON),
    Mark("✖", _X),
)
OTHER_MARKS = (
    Mark("○", "circle", False),
    Mark("□", "square", False),
    Mark("◇", "diamond", False),
    Mark("△", "triangle-up", False),
    Mark("▽", "triangle-down", False),
    Mark("◁", "triangle-left", False),
    Mark("▷", "triangle-right", False),
    Mark("☆", _STAR, False),
)

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


def know(arms: Iterable[str]) -> None:
    """Give the arms of a user's own making their marks and colours, in the order of the ledger.

    The first 32 differ in one or the other. Whoever comes later changes nothing of those before.
    """
    own = dict.fromkeys(arm for arm in arms if arm not in COLOURED)
    st.session_state[_OWN] = {arm: place for place, arm in enumerate(own)}


def arm_color(arm: str, dark: bool) -> str:
    """The colour of an arm, the same on every page; arms without one of their own share four."""
    if arm in COLOURED:
        colour = COLOURED[arm]
        return colour.dark if dark else colour.light
    return OTHER_COLORS[_place(arm) % len(OTHER_COLORS)][dark]


def arm_color_css(arm: str) -> str:
    """The colour of an arm for a style sheet: follows the theme by itself."""
    return f"light-dark({arm_color(arm, False)}, {arm_color(arm, True)})"


def arm_mark(arm: str) -> Mark:
    """The mark of an arm, the same on every page."""
    if arm in COLOURED:
        return MARKS[list(COLOURED).index(arm)]
    place = _place(arm)
    # Eight places on, a colour comes with another mark.
    return OTHER_MARKS[(place + place // len(OTHER_MARKS)) % len(OTHER_MARKS)]


def arm_mark_html(arm: str) -> str:
    """The arm's sign in its colour; names stand beside it, so that nobody has to read it."""
    colour, sign = arm_color_css(arm), arm_mark(arm).sign
    return f'<span class="lr-sign" aria-hidden="true" style="color:{colour}">{sign}</span>'


def _place(arm: str) -> int:
    """Which of the arms of a user's own making this is; of one that is not known, any."""
    known: dict[str, int] = st.session_state.get(_OWN, {})
    return known.get(arm, sum(arm.encode()))
