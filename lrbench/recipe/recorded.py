"""A recipe as a record holds it, read back without looking for the models and files that it names."""

from __future__ import annotations

from lrbench.recipe.interpolating import interpolate
from lrbench.recipe.messages import Position, Problem, recipe_error
from lrbench.recipe.nodes import Fields
from lrbench.recipe.schema import Recipe
from lrbench.recipe.validating import validated
from lrbench.recipe.yaml_nodes import compose


def recorded_recipe(text: str, source: str) -> Recipe:
    """The recipe that `resolved_yaml` wrote as `text`; `source` is what messages call it.

    Raises `RecipeError` when this version of lrbench does not read it.
    """
    problems: list[Problem] = []
    written = compose(text, lambda line, column: Position(source, line + 1, column + 1), problems)
    if isinstance(written, Fields):
        written = interpolate(written, problems)
    recipe = validated(written, problems) if isinstance(written, Fields) else None
    if recipe is None:
        problems = problems or [Problem(Position(source), (), "this is no mapping of a recipe's fields")]
        raise recipe_error(problems, source)
    return recipe
