"""From a recipe file and overrides to a typed recipe, or to one error that lists everything wrong."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lrbench.recipe.checks import Finding, ignored_settings, misfits
from lrbench.recipe.extending import Extending
from lrbench.recipe.interpolating import interpolate
from lrbench.recipe.known import unknown_things
from lrbench.recipe.messages import Problem, in_reading_order, recipe_error
from lrbench.recipe.nodes import Fields, find, key_position, value_position
from lrbench.recipe.overriding import apply_override
from lrbench.recipe.schema import Recipe
from lrbench.recipe.spelling import correct_names
from lrbench.recipe.validating import valid_sections, validated

logger = logging.getLogger(__name__)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in the file `path` with everything it extends, and `overrides` (`key.path=value`) applied.

    Settings that have no effect are logged as warnings. Nothing is read but the recipe files; models and
    problem files are only looked for.

    Raises `RecipeError`, whose message lists every problem with its file, line, column and field.
    """
    recipe, warnings = load_with_warnings(path, overrides)
    for warning in warnings:
        logger.warning(warning)
    return recipe


def load_with_warnings(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Recipe, list[str]]:
    """`load_recipe`, with the warnings returned for a caller who shows them itself."""
    source = os.fspath(path)
    problems: list[Problem] = []
    written = _read(source, overrides, problems)
    if written is None:
        raise recipe_error(problems, source)
    written = correct_names(written, problems)
    recipe = validated(written, problems)
    problems.extend(unknown_things(written))
    problems.extend(_placed(misfits(dict(recipe) if recipe else valid_sections(written)), written))
    if recipe is None or problems:
        raise recipe_error(problems, source)
    warnings = in_reading_order(_placed(ignored_settings(recipe), written), source)
    return recipe, [str(warning) for warning in warnings]


def _read(source: str, overrides: Sequence[str], problems: list[Problem]) -> Fields | None:
    """What the files and overrides say together; None when that cannot be known for all the problems."""
    written = Extending(problems).read(source)
    if written is None:
        return None
    for override in overrides:
        written = apply_override(written, override, problems)
    return interpolate(written, problems)


def _placed(findings: Iterable[Finding], written: Fields) -> list[Problem]:
    """Findings with positions: a value's own, or for a whole section and for what is missing its name's."""
    placed = []
    for path, message in findings:
        node = find(written, path)
        position = key_position if isinstance(node, Fields) else value_position
        placed.append(Problem(position(written, path), path, message))
    return placed
