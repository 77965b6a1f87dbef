"""Colours: every arm has one, readable on its page, and a made-up arm never has that of a known one."""

from __future__ import annotations

import pytest
from lrbench_dashboard import theme

from lrbench.methods.presets import BY_NAME

PAGES = {
    False: theme.OPTIONS["theme.light.backgroundColor"],
    True: theme.OPTIONS["theme.dark.backgroundColor"],
}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True])
def test_an_arm_of_ones_own_never_has_the_colour_of_a_known_one(dark: bool) -> None:
    known = {theme.arm_color(name, dark) for name in BY_NAME}
    made_up = {theme.arm_color(f"mine{place}", dark) for place in range(20)}
    assert len(known) == len(BY_NAME)
    assert len(made_up) == len(theme.OTHER_COLORS)
    assert not known & made_up


@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_stands_out_from_its_page(dark: bool) -> None:
    page = luminance(PAGES[dark])
    for colour in {theme.arm_color(name, dark) for name in (*BY_NAME, "a", "b", "c", "d")}:
        lighter, darker = sorted((luminance(colour), page), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, colour
