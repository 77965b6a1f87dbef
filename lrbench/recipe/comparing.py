"""What a recipe is about: the arm it asks of, and the arms that one is set against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lrbench.methods.controls import CONTROLS
from lrbench.methods.presets import BY_NAME, LEADER, PRESETS, Preset, place_of
from lrbench.recipe.schema import ArmDeclaration, Compare, Recipe

# Arms that are there to be compared with: without being told, a subject is set against those of its recipe.
CONTROLS_ALONE = tuple(
    control.name for control in CONTROLS if control.name not in {preset.name for preset in PRESETS}
)


@dataclass(frozen=True)
class Comparisons:
    """The `subject` of a recipe and the arms it is set `against`, the one that matters most first.

    There is no subject where everything is the untrained expert. Baselines that were not declared may be
    names of presets that the recipe does not have: another recipe of the same expert may. `meant` says that
    something was declared or that the subject leads, and is not only the first arm there is.
    """

    subject: str | None
    against: tuple[str, ...]
    meant: bool = True


def comparisons_of(recipe: Recipe) -> Comparisons:
    """What `recipe` says that it compares, or what its arms say where it does not."""
    return compared(presets_of(recipe.arms), recipe.compare)


def presets_of(arms: Iterable[ArmDeclaration]) -> dict[str, str]:
    """Arm -> the preset it is like, in the order declared."""
    return {arm.name: arm.like or arm.name for arm in arms}


def compared(presets: Mapping[str, str], declared: Compare) -> Comparisons:
    """The comparisons among arms, given as arm -> the preset it is like, in the order declared."""
    subject = declared.subject or _subject(presets, declared.against or ())
    if subject is None:
        return Comparisons(None, declared.against or (), False)
    preset = _preset(presets.get(subject, subject))
    names = declared.against
    if names is None:
        baselines = (_alike(presets, name, subject) for name in preset.against or LEADER.against)
        names = (*baselines, *(name for name in CONTROLS_ALONE if name in presets))
    against = tuple(dict.fromkeys(name for name in names if name != subject))
    return Comparisons(subject, against, declared != Compare() or preset.leads)


def board_place(name: str, preset: str) -> tuple[int, bool, str]:
    """Arms in this order stand as on a board: by what they are like, the preset itself before the others."""
    return (place_of(preset), name != preset, name)


def _subject(presets: Mapping[str, str], against: tuple[str, ...]) -> str | None:
    """The first arm that leads; where there is none, the first of those that are set against most."""
    asked = [name for name, preset in presets.items() if name not in against and _preset(preset).against]
    return max(asked, key=lambda name: _weight(_preset(presets[name])), default=None)


def _weight(preset: Preset) -> tuple[bool, int]:
    return (preset.leads, len(preset.against))


def _preset(name: str) -> Preset:
    """The preset of this name. An arm that only another version knows is compared as one that leads."""
    return BY_NAME.get(name, LEADER)


def _alike(presets: Mapping[str, str], preset: str, subject: str) -> str:
    """The arm that is like `preset`, the one so called before others; the preset itself where none is."""
    if preset in presets:
        return preset
    return next((name for name, like in presets.items() if like == preset and name != subject), preset)
