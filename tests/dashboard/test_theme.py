"""Colours: every arm has one, readable on its page, and a made-up arm never has that of a known one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from lrbench_dashboard import theme

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
    known = {theme.arm_color(name, dark) for name in theme.COLOURED}
    made_up = {theme.arm_color(f"mine{place}", dark) for place in range(20)}
    assert len(known) == len(theme.COLOURED)
    assert len(made_up) == len(theme.OTHER_COLORS)
    assert not known & made_up


@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_stands_out_from_its_page(dark: bool) -> None:
    page = luminance(PAGES[dark])
    for colour in {theme.arm_color(name, dark) for name in (*theme.COLOURED, "a", "b", "c", "d")}:
        lighter, darker = sorted((luminance(colour), page), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, colour


# What is left without one of the three kinds of cones, in linear sRGB (Machado et al., 2009).
VISIONS = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]
WHITE = np.array([0.95047, 1.0, 1.08883])
APART = 15.0


def lab(colour: str, vision: str) -> np.ndarray:
    """A colour in CIELAB (D65), as seen with this vision."""
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISIONS[vision]) @ linear, 0, 1)
    ratio = np.array(TO_XYZ) @ seen / WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def distance(first: str, second: str) -> float:
    """The CIE 1976 distance of two colours to those who tell them apart worst."""
    return min(float(np.linalg.norm(lab(first, vision) - lab(second, vision))) for vision in VISIONS)


@pytest.mark.parametrize("dark", [False, True])
def test_known_arms_are_told_apart_by_colour_in_every_vision_and_by_mark_without_any(dark: bool) -> None:
    pairs = list(combinations(theme.COLOURED, 2))
    for first, second in pairs:
        apart = distance(theme.arm_color(first, dark), theme.arm_color(second, dark))
        assert apart >= APART, (first, second, apart)
        assert theme.arm_mark(first) != theme.arm_mark(second)
    assert len({mark.sign for mark in (*theme.MARKS, *theme.OTHER_MARKS)}) == 20


@pytest.mark.parametrize("dark", [False, True])
def test_arms_of_ones_own_are_told_apart_by_mark_or_else_by_colour(
    dark: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theme.st, "session_state", {})
    own = [f"mine{place}" for place in range(32)]
    theme.know(["base", *own, "sft"])
    for first, second in combinations(own, 2):
        if theme.arm_mark(first) == theme.arm_mark(second):
            apart = distance(theme.arm_color(first, dark), theme.arm_color(second, dark))
            assert apart >= APART, (first, second, apart)
    assert not {theme.arm_mark(arm) for arm in own} & {theme.arm_mark(arm) for arm in theme.COLOURED}
    theme.know([*own, "later"])
    assert theme.arm_mark("mine3") == theme.OTHER_MARKS[3], "what comes later changes nothing"
