"""Recorded recipes, read and expanded once each: what the records made from them have to agree with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from lrbench.recipe.arms import Arm, resolve_arms
from lrbench.recipe.expanding import Variant, expand
from lrbench.recipe.identity import recipe_hash
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.findings import Findings
from lrbench.results.records import ArmRecord

# A few words can ask for any number of points; no bundle holds the arms of so many.
MOST_POINTS = 10_000


def refuse_endless(recipe: Recipe, what: str) -> None:
    """Raise `ValueError` for a sweep of more points than anybody measured."""
    grid = recipe.sweep.grid if recipe.sweep else None
    if grid and prod(map(len, grid.values())) > MOST_POINTS:
        raise ValueError(f"the sweep of {what} has more than {MOST_POINTS:,} points")


@dataclass(frozen=True)
class Declared:
    """One recipe, and every arm of every recipe that it stands for."""

    recipe: Recipe

    @cached_property
    def arms(self) -> dict[str, list[tuple[Variant, Arm]]]:
        """The arms by name, each once per seed and point."""
        found: dict[str, list[tuple[Variant, Arm]]] = {}
        for variant in expand(self.recipe):
            for arm in resolve_arms(variant.recipe):
                found.setdefault(arm.name, []).append((variant, arm))
        return found

    def meant_by(self, record: ArmRecord) -> Iterator[tuple[Variant, Arm]]:
        """What `record` can have been made from, by its name, seed and point."""
        for variant, arm in self.arms.get(record.arm, []):
            if is_of(record, variant, arm):
                yield variant, arm


class Recipes:
    """The recipes of a bundle by their text."""

    def __init__(self) -> None:
        self._known: dict[str, Declared] = {}
        self._hashed: set[tuple[str, str]] = set()

    def read(self, text: str, where: str) -> Declared:
        """The recipe in `text`. Raises `RecipeError` or `ValueError` where it holds none."""
        if text not in self._known:
            recipe = recorded_recipe(text, where)
            refuse_endless(recipe, where)
            self._known[text] = Declared(recipe)
        return self._known[text]

    def check_hash(self, text: str, recorded: str, where: str, findings: Findings) -> None:
        """Whether the recipe in `text` has the recorded hash; each text and hash is found wrong once."""
        if (text, recorded) in self._hashed:
            return
        self._hashed.add((text, recorded))
        recipe = self.read(text, where).recipe
        found = recipe_hash(recipe)
        if recorded != found:
            findings.add(
                where,
                f"the recipe's hash is recorded as {recorded}, but is {found} (or the lrbench in index.json "
                "reads recipes otherwise than this one)",
            )


def is_of(record: ArmRecord, variant: Variant, arm: Arm) -> bool:
    """Whether `record` is by its seed and point that of `arm` in `variant`."""
    seed = variant.recipe.seed if arm.is_random else None
    return record.seed == seed and all(
        field in variant.point and variant.point[field] == value for field, value in record.point.items()
    )
