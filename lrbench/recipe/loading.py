"""From a recipe file and overrides to a typed recipe, or to one error that lists everything wrong."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrbench.errors import FieldError
from lrbench.recipe.checks import Finding, ignored_settings, misfits
from lrbench.recipe.claims import wrong_claims
from lrbench.recipe.extending import Extending
from lrbench.recipe.finding import found_recipe
from lrbench.recipe.identity import recipe_hash
from lrbench.recipe.interpolating import interpolate
from lrbench.recipe.known import correct_arms, unknown_things
from lrbench.recipe.messages import OVERRIDE, Position, Problem, dotted, in_reading_order, recipe_error
from lrbench.recipe.nodes import Fields, find, key_position, plain, value_position
from lrbench.recipe.overriding import apply_override
from lrbench.recipe.placing import placed_paths
from lrbench.recipe.schema import Recipe
from lrbench.recipe.spelling import correct_names
from lrbench.recipe.suites import with_suites
from lrbench.recipe.sweeping import (
    WrittenVariant,
    check_choices,
    correct_swept_names,
    remark_on_size,
    written_variants,
)
from lrbench.recipe.validating import is_valid, valid_sections, validated
from lrbench.recipe.yaml_nodes import compose

logger = logging.getLogger(__name__)
# What messages call fields that no file has.
GIVEN = "the given fields"


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in the file `path` with everything it extends, and `overrides` (`key.path=value`) applied.

    `path` may also be the name of a recipe that ships (`recipe.finding`).

    Settings of this file or of an override that have no effect are logged as warnings. Nothing is read but
    the recipe files; models and problem files are only looked for.

    Raises `RecipeError`, whose message lists every problem with its file, line, column and field.
    """
    return _logged(*load_with_warnings(path, overrides))


def load_fields(given: Mapping[str, Any]) -> Recipe:
    """`load_recipe` of fields as a file would have them; what they extend is looked for from here."""
    problems: list[Problem] = []
    if given.get("seeds") is not None and given.get("seed") == Recipe.model_fields["seed"].default:
        # As a recipe's own dump has it: a default beside the seeds says nothing.
        given = {name: value for name, value in given.items() if name != "seed"}
    written = compose(json.dumps(given), lambda _line, _column: Position(GIVEN), problems)
    if isinstance(written, Fields):
        written = interpolate(Extending(problems).with_bases(written, GIVEN), problems)
    if not isinstance(written, Fields):
        problems = problems or [Problem(Position(GIVEN), (), "this is no mapping of a recipe's fields")]
        raise recipe_error(problems, GIVEN)
    return _logged(*_loaded(written, problems, GIVEN))


def _logged(recipe: Recipe, warnings: Sequence[str]) -> Recipe:
    for warning in warnings:
        logger.warning(warning)
    return recipe


def load_with_warnings(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Recipe, list[str]]:
    """`load_recipe`, with the warnings returned for a caller who shows them itself."""
    source = found_recipe(os.fspath(path))
    problems: list[Problem] = []
    written = _read(source, overrides, problems)
    if written is None:
        raise recipe_error(problems, source)
    if {"table", "editions"} <= written.entries.keys():
        message = f"this is a study, not a recipe; run it with `lrbench study {Path(source).stem}`"
        raise recipe_error([Problem(Position(source), (), message)], source)
    return _loaded(written, problems, source)


def _loaded(written: Fields, problems: list[Problem], source: str) -> tuple[Recipe, list[str]]:
    """The typed recipe of what was written, and its warnings; `problems` were met in reading it."""
    written = with_suites(written, problems)
    # A recipe that is valid has no unknown names; looking for them takes the JSON schema of everything.
    if not is_valid(written):
        written = correct_names(written, problems)
    written = correct_swept_names(correct_arms(written, problems), problems)
    remarks: list[Problem] = []
    written = placed_paths(written, remarks)
    recipe = _checked(written, problems)
    check_choices(written, problems)
    variants = written_variants(written, problems)
    checked = [_checked(variant.recipe, problems) for variant in variants]
    problems.extend(_repeated(written, variants, checked))
    if recipe is None or problems:
        raise recipe_error(problems, source)
    warnings = _ignored([variant.recipe for variant in variants] or [written], checked or [recipe])
    # What an extended file sets is meant for all that extend it, and may well be nothing to this one.
    remarks += filter(None, [remark_on_size(written)])
    own = [*remarks, *(found for found in warnings if _is_own(found, source))]
    return recipe, [str(warning) for warning in in_reading_order(own, source)]


@contextmanager
def telling_where(path: str | Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Give a `FieldError` that the recipe meets in the block the place where its field was written.

    `path` and `overrides` are those that `load_recipe` has read it from. Raises `RecipeError`.
    """
    try:
        yield
    except FieldError as error:
        source = found_recipe(os.fspath(path))
        written = _read(source, overrides, [])
        if written is None:
            raise
        # A swept field has its value in one of the variants, and may have another outside the sweep.
        recipes = [variant.recipe for variant in written_variants(written, [])]
        asking = next((recipe for recipe in recipes if _asks(recipe, error)), written)
        raise recipe_error(_placed([(error.path, error.reason)], asking), source) from error


def _asks(written: Fields, error: FieldError) -> bool:
    node = find(written, error.path)
    return node is not None and plain(node) == error.found


def _is_own(warning: Problem, source: str) -> bool:
    return warning.position.source == source or warning.position.source.startswith(OVERRIDE)


def _checked(written: Fields, problems: list[Problem]) -> Recipe | None:
    """The typed recipe, or None; whatever is wrong with its values, or between them, is in `problems`."""
    recipe = validated(written, problems)
    problems.extend(unknown_things(written))
    sections = dict(recipe) if recipe else valid_sections(written)
    problems.extend(_placed(misfits(sections), written))
    problems.extend(_placed(wrong_claims(sections), written))
    return recipe


def _repeated(
    written: Fields, variants: Sequence[WrittenVariant], checked: Sequence[Recipe | None]
) -> list[Problem]:
    """Points of a sweep that make a recipe which an earlier one makes already."""
    first: dict[str, WrittenVariant] = {}
    problems = []
    for variant, recipe in zip(variants, checked, strict=True):
        if recipe is not None and variant.path[1] == "points":
            earlier = first.setdefault(recipe_hash(recipe), variant)
            if earlier is not variant:
                message = f"gives the same recipe as {dotted(earlier.path)}"
                problems.append(Problem(value_position(written, variant.path), variant.path, message))
    return problems


def _ignored(written: Sequence[Fields], recipes: Sequence[Recipe | None]) -> list[Problem]:
    """The settings that have no effect in any of the `recipes`, at their places in the first."""
    findings = [list(ignored_settings(recipe)) for recipe in recipes if recipe is not None]
    everywhere = set(findings[0]).intersection(*findings)
    return _placed([finding for finding in findings[0] if finding in everywhere], written[0])


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
