"""What a known arm is as data: its name, its colour where it has one, what it is made of and set against."""

from __future__ import annotations

from dataclasses import dataclass

from lrbench.methods.answers import Answer, Plain
from lrbench.methods.changes import Edit
from lrbench.methods.ingredients import Ingredients

PLAIN = Plain()


@dataclass(frozen=True)
class Colour:
    """One colour in three surroundings, as `#rrggbb`: on a light page, on a dark page, and printed.

    On pages any two are at least 15 apart in CIELAB, also without one of the three cones; in print they are
    Okabe and Ito's. Pages give every arm a mark besides.
    """

    light: str
    dark: str
    printed: str


@dataclass(frozen=True)
class Preset:
    """One known arm: what it learns from, None where it is not trained, and what answers.

    Without a `colour` it shares those of arms of a user's own making. `against` names the presets that it is
    set against, the one that matters most first; none for the untrained expert, which everything else is
    measured from. A recipe that does not say what it is about is about an arm that `leads`, where it has one.
    `edit` is what of the expert is changed without training.
    """

    name: str
    colour: Colour | None
    ingredients: Ingredients | None = None
    answer: Answer = PLAIN
    against: tuple[str, ...] = ()
    leads: bool = False
    edit: Edit | None = None
