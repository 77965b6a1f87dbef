"""Where the recipes and studies that ship lie: in the package, or in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]


def _place(name: str) -> Path:
    inside = HERE / name
    return inside if inside.is_dir() else CHECKOUT / name


RECIPES = _place("recipes")
STUDIES = _place("experiments")


def recipe_names() -> list[str]:
    """Every recipe that ships, as its path in `RECIPES` without `.yaml`; none that others only extend."""
    files = (file.relative_to(RECIPES) for file in RECIPES.rglob("*.yaml"))
    return sorted(str(file.with_name(file.stem)) for file in files if file.parent.name != "shared")
