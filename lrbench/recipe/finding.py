"""Which file is meant by what a user writes for a recipe: its path, or the name of one that ships."""

from __future__ import annotations

import os
from pathlib import Path

from lrbench.errors import RecipeError
from lrbench.recipe.messages import nearest, printable
from lrbench.recipe.references import is_file, is_there
from lrbench.shipped.places import RECIPES, recipe_names

# Where `lrbench init` lays recipes, and a checkout has them.
HERE = Path("recipes")
SUFFIXES = (".yaml", ".yml")


def found_recipe(written: str) -> str:
    """The path of the recipe that is meant by `written`.

    `quickstart` is `recipes/quickstart.yaml` of the folder that lrbench is started in or, where that has
    none, the recipe that ships; `paper/NAME` too. What names neither is a path, there or not.

    Raises `RecipeError` where a recipe that ships was most likely meant.
    """
    path = Path(written)
    if written.endswith(SUFFIXES) or path.is_absolute() or ".." in path.parts or is_file(path):
        return written
    for folder in (HERE, RECIPES):
        if is_file(file := folder / f"{written}.yaml"):
            return str(file)
    if not is_there(path) and (meant := nearest(written, recipe_names())):
        raise RecipeError(
            f"{printable(written)}: neither a file nor a recipe that ships; did you mean `{meant}`?"
        )
    return written


def spoken_recipe(path: str) -> str:
    """The shortest of what `found_recipe` takes for the recipe file `path`: for one that ships its name."""
    if RECIPES not in Path(path).parents:
        return path
    name = os.path.relpath(path, RECIPES).removesuffix(".yaml")
    return name if found_recipe(name) == path else path
