"""From one declared recipe to a recipe per point of its sweep and per seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from lrbench.recipe.fields import leaf_paths
from lrbench.recipe.kinds import Kind, kind_at
from lrbench.recipe.messages import Path
from lrbench.recipe.schema import Recipe
from lrbench.recipe.selecting import SELECT_ON
from lrbench.recipe.suites import SECOND

# What stands for several recipes, and so is in none of them; `seeds` varies the seed.
VARYING = ("seeds", "sweep")

# One choice of values: each swept field with where its value stands within `sweep:`.
Choice = tuple[tuple[str, Path], ...]


@dataclass(frozen=True)
class Variant:
    """One of the recipes that a recipe stands for: it has one seed and no sweep.

    `point` maps every field that the sweep names to its value here, as JSON has it.
    """

    recipe: Recipe
    point: Mapping[str, Any]


def expand(recipe: Recipe) -> tuple[Variant, ...]:
    """Every recipe that `recipe` stands for: all points for the first seed, then for the next.

    Without seeds and sweep that is the recipe itself. Raises `pydantic.ValidationError` for a point that
    gives no valid recipe; `load_recipe` lets none through.
    """
    points = _points(recipe)
    swept = dict.fromkeys(field for values in points for field in values)
    fields = sweepable_fields(arm.name for arm in recipe.arms) if swept else {}
    written = recipe.model_dump(mode="json", exclude_unset=True, exclude=set(VARYING))
    variants = []
    for seed in [recipe.seed] if recipe.seeds is None else recipe.seeds:
        for values in points:
            variant = _variant(written | {"seed": seed}, values, fields)
            complete = variant.model_dump(mode="json")
            variants.append(Variant(variant, {field: _value_at(complete, fields[field]) for field in swept}))
    return tuple(variants)


def point_text(point: Mapping[str, Any]) -> str:
    """A point of a sweep in a few words: `alpha=0.1 beta=0.8`, with more of a name where two end alike."""
    return " ".join(f"{short_field(field, point)}={value_text(value)}" for field, value in point.items())


def short_field(field: str, among: Iterable[str]) -> str:
    """The end of a field's name that no other of them has; of a pair's models always which it is."""
    parts = field.split(".")
    for length in range(2 if parts[0] == "pair" else 1, len(parts)):
        end = ".".join(parts[-length:])
        if sum(f".{other}".endswith(f".{end}") for other in among) == 1:
            return end
    return field


def value_text(value: Any) -> str:
    """A field's value as it is written on the command line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _sweepable() -> tuple[Path, ...]:
    """Every field that can change a result, but for seeds, sweeps, a second suite, what points are
    chosen on, and the names of arms."""
    return tuple(
        path
        for path in leaf_paths()
        if kind_at(Recipe, path) is Kind.OUTPUT
        and path[0] not in ("seed", *VARYING)
        and path not in (("arms", 0, "name"), SECOND)
        and path[: len(SELECT_ON)] != SELECT_ON
    )


def sweepable_fields(arms: Iterable[str]) -> dict[str, Path]:
    """The fields that a sweep can name, as it names them, with their paths in a recipe with these arms."""
    places = {name: place for place, name in reversed(list(enumerate(arms)))}
    fields: dict[str, Path] = {}
    for path in _sweepable():
        if path[0] == "arms":
            own = ".".join(str(part) for part in path[2:])
            fields |= {
                f"arms.{name}.{own}": ("arms", place, *path[2:]) for name, place in places.items() if name
            }
        else:
            fields[".".join(str(part) for part in path)] = path
    return fields


def choices(grid: Mapping[str, int], points: Sequence[Iterable[str]] | None) -> Iterator[Choice]:
    """Every choice of values: all combinations of a `grid` of so many values per field, then the `points`."""
    if grid:
        for places in product(*(range(count) for count in grid.values())):
            yield tuple((field, ("grid", field, place)) for field, place in zip(grid, places, strict=True))
    for place, fields in enumerate(points or ()):
        yield tuple((field, ("points", place, field)) for field in fields)


def _points(recipe: Recipe) -> list[dict[str, Any]]:
    """The values that the sweep gives, point by point; one point without values where nothing is swept."""
    if recipe.sweep is None:
        return [{}]
    grid, points = recipe.sweep.grid, recipe.sweep.points
    sizes = {field: len(values) for field, values in (grid or {}).items()}
    swept = {"grid": grid, "points": points}
    return [{field: _value_at(swept, path) for field, path in choice} for choice in choices(sizes, points)]


def _variant(written: dict[str, Any], values: Mapping[str, Any], fields: Mapping[str, Path]) -> Recipe:
    changed: Any = written
    for field, value in values.items():
        changed = _with_value(changed, fields[field], value)
    return Recipe.model_validate(changed)


def _with_value(inner: Any, path: Path, value: Any) -> Any:
    """A copy of JSON values with one changed; null on the way stands for a section without settings."""
    if not path:
        return value
    if isinstance(inner, list):
        place = int(path[0])
        return [*inner[:place], _with_value(inner[place], path[1:], value), *inner[place + 1 :]]
    inner = inner or {}
    return {**inner, path[0]: _with_value(inner.get(path[0]), path[1:], value)}


def _value_at(inner: Any, path: Path) -> Any:
    for part in path:
        inner = None if inner is None else inner[part]
    return inner
