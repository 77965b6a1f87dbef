"""The known arms as data: their order on a board, their colours, and what they are set against.

What an arm is called is compared nowhere else: whoever needs an order, a colour or a baseline asks here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """One colour in three surroundings, as `#rrggbb`: on a light page, on a dark page, and printed.

    On pages colours are of equal weight; in print they are Okabe and Ito's. Both are told apart without full
    colour vision.
    """

    light: str
    dark: str
    printed: str


@dataclass(frozen=True)
class Preset:
    """One known arm.

    `against` names the presets that it is set against, the one that matters most first; none for the
    untrained expert, which everything else is measured from. A recipe that does not say what it is about
    is about an arm that `leads`, where it has one.
    """

    name: str
    colour: Colour
    against: tuple[str, ...] = ()
    leads: bool = False


# In the order of a board: what others are set against stands first.
PRESETS = (
    Preset("base", Colour("#6b7280", "#9ca3af", "#7f7f7f")),
    Preset("sft", Colour("#b45309", "#f59e0b", "#e69f00"), against=("base",)),
    Preset("lightr", Colour("#1d4ed8", "#6ea8fe", "#0072b2"), against=("sft", "base"), leads=True),
    Preset("no_selection", Colour("#047857", "#34d399", "#56b4e9"), against=("sft", "base")),
    Preset("no_contrast", Colour("#a21caf", "#e879f9", "#d55e00"), against=("sft", "base")),
    Preset("neither", Colour("#be123c", "#fb7185", "#cc79a7"), against=("sft", "base")),
    Preset("ground_truth", Colour("#0e7490", "#22d3ee", "#009e73"), against=("sft", "base")),
)
BY_NAME = {preset.name: preset for preset in PRESETS}
# The expert as it is, and the arm that a recipe is about where it does not say.
UNTRAINED = next(preset for preset in PRESETS if not preset.against)
LEADER = next(preset for preset in PRESETS if preset.leads)


def place_of(name: str) -> int:
    """Where arms of this preset stand on a board; those of none stand after all others."""
    return next((place for place, preset in enumerate(PRESETS) if preset.name == name), len(PRESETS))
