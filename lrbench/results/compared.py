"""What recorded recipes are about: their subjects, their baselines, and which preset each arm is like."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

import yaml
from pydantic import ValidationError

from lrbench.methods.presets import place_of
from lrbench.recipe.comparing import Comparisons, compared
from lrbench.recipe.schema import Compare
from lrbench.results.declarations import standing
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord

# A record's recipe is what `resolved_yaml` wrote: sections begin at the margin, and nothing else does.
_SECTIONS = re.compile(r"^(?:arms|compare):\n(?:[- ].*\n)*", re.MULTILINE)
_MOST_REMEMBERED = 4096


class Compared:
    """What the recipes behind some results are about, as they are declared now, by name.

    Where no declaration of a recipe was recorded, the recipe behind the latest of its arms counts; where that
    cannot be read, the names of its arms do.
    """

    def __init__(
        self, recipes: Iterable[RecipeRecord], arms: Iterable[ArmRecord], scores: Iterable[ScoreRecord]
    ) -> None:
        self._declared = standing(recipes)
        self._arms = {arm.arm_id: arm for arm in arms}
        self._latest: dict[str, ArmRecord] = {}
        for arm in sorted(self._arms.values(), key=lambda arm: (arm.recorded_at, arm.arm_id)):
            self._latest[arm.recipe] = arm
        self._names: dict[str, set[str]] = defaultdict(set)
        named = [(arm.recipe, arm.arm) for arm in self._arms.values()]
        for recipe, name in (*named, *((score.recipe, score.arm) for score in scores)):
            self._names[recipe].add(name)

    def by_recipe(self) -> dict[str, Comparisons]:
        """Recipe -> what it compares."""
        return {name: self._of(name) for name in sorted(self._names)}

    def places(self) -> dict[str, dict[str, int]]:
        """Recipe -> where each of its arms stands in it; of a recipe that nothing is known of, nothing."""
        return {name: {arm: at for at, arm in enumerate(self._written(name)[0])} for name in self._names}

    def preset(self, score: ScoreRecord) -> str:
        """The preset that the arm of this score is like, or its name where nothing says."""
        made = self._arms.get(score.arm_id)
        presets = {} if made is None else _read(made.recipe_yaml)[0]
        return presets.get(score.arm, score.arm)

    def _of(self, recipe: str) -> Comparisons:
        presets, compare = self._written(recipe)
        if not presets:
            names = sorted(self._names[recipe], key=lambda name: (place_of(name), name))
            presets = {name: name for name in names}
        return compared(presets, compare)

    def _written(self, recipe: str) -> tuple[Mapping[str, str], Compare]:
        """Arm -> the preset it is like, in the order declared, and what the recipe compares."""
        if (declared := self._declared.get(recipe)) is not None:
            return _read(declared.recipe_yaml)[0], declared.compare
        made = self._latest.get(recipe)
        return _read("" if made is None else made.recipe_yaml)


@lru_cache(_MOST_REMEMBERED)
def _read(recipe_yaml: str) -> tuple[Mapping[str, str], Compare]:
    """Arm -> the preset it is like, and what a recorded recipe compares; nothing where that cannot be read.

    The whole recipe is not read: other versions' need not be valid, and a ledger may hold thousands.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        written = yaml.load("".join(_SECTIONS.findall(recipe_yaml)), Loader=loader) or {}
        presets = {str(arm["name"]): str(arm.get("like") or arm["name"]) for arm in written["arms"]}
        return presets, Compare.model_validate(written.get("compare", {}))
    except (yaml.YAMLError, ValidationError, TypeError, KeyError, AttributeError):
        return {}, Compare()
