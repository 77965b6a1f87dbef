"""Values against the schema: pydantic finds what is wrong, the wording is ours."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lrbench.methods.families import CLASS_MARK
from lrbench.recipe.fields import (
    FREE_NAME,
    allowed,
    choices_at,
    is_number,
    is_text,
    names_at,
    takes_packages,
)
from lrbench.recipe.messages import Path, Problem, did_you_mean, excerpt, found, nearest
from lrbench.recipe.nodes import Fields, find, key_position, plain, value_position
from lrbench.recipe.schema import LARGEST_COUNT, Recipe
from lrbench.recipe.yaml_nodes import plain_scalar

ADDED = "; where a package adds it, install that (`lrbench doctor` lists what installed ones add)"
COUNTS = "a whole number of at least"
# How the schema speaks of a name in a mapping, where that is what is wrong.
KEY = "[key]"
LEADING_ZEROS = re.compile(r"[-+]?0[0-9_]+")


def is_valid(recipe: Fields) -> bool:
    """Whether the schema takes the recipe as it is."""
    try:
        Recipe.model_validate(plain(recipe))
    except ValidationError:
        return False
    return True


def validated(recipe: Fields, problems: list[Problem]) -> Recipe | None:
    """The typed recipe, or None with a problem for every value that the schema refuses."""
    try:
        return Recipe.model_validate(plain(recipe))
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            path = tuple(part for part in detail["loc"] if not str(part).startswith(CLASS_MARK))
            bare = _written(recipe, path[:2]) if path[0] == "arms" and path[1:] else None
            if bare and isinstance(bare, str):
                # A bare name is that of a known arm: which there are is said by who knows them.
                continue
            # Beside a wrong item pydantic calls a list too short as well; only an empty one is.
            if detail["type"] != "too_short" or not plain(find(recipe, path) or recipe):
                problems.append(_problem(recipe, path, detail["type"], detail["msg"]))
        return None


def _written(recipe: Fields, path: Path) -> object:
    """What stands at `path`; None where nothing does."""
    node = find(recipe, path)
    return None if node is None else plain(node)


def valid_sections(recipe: Fields) -> dict[str, Any]:
    """The fields of `recipe` that are valid by themselves, typed; for checks when others are not."""
    sections = {}
    for name, field in Recipe.model_fields.items():
        annotation: Any = field.annotation
        if name in recipe.entries:
            try:
                value = plain(recipe.entries[name].node)
                sections[name] = TypeAdapter(annotation).validate_python(value)
            except ValidationError:
                continue
        elif not field.is_required():
            sections[name] = field.default
    return sections


def _problem(recipe: Fields, path: Path, kind: str, said: str) -> Problem:
    if kind == "extra_forbidden":
        beside = find(recipe, path[:-1])
        names = beside.entries if isinstance(beside, Fields) else ()
        others = ", ".join(f"`{name}`" for name in names if name != path[-1])
        message = f"does not go with {others}" if others else "does not stand alone"
        return Problem(key_position(recipe, path), path, message)
    if kind == "value_error":
        return Problem(value_position(recipe, path), path, said.removeprefix("Value error, "))
    if path[-1] == KEY:
        message = f"`{excerpt(str(path[-2]))}` is no name that can be given; allowed is {FREE_NAME}"
        return Problem(key_position(recipe, path[:-1]), path[:-1], message)
    if kind == "missing":
        message = f"missing; needed is {allowed(path)}"
        return Problem(key_position(recipe, path[:-1]), path, message)
    node = find(recipe, path)
    while node is None:
        # A bare name in `arms:` stands for a mapping; what is wrong with that is said of the name.
        path = path[:-1]
        node = find(recipe, path)
    value = plain(node)
    message = f"found {found(value)}, allowed is {allowed(path)}{_hint(path, value)}"
    return Problem(value_position(recipe, path), path, message)


def _field_meant(path: Path, word: str) -> str:
    """Where a word stands for a mapping, the field of it that has such a value."""
    for name in names_at(path):
        meant = nearest(word, choices_at((*path, name)))
        if meant is not None:
            return f"; did you mean `{{{name}: {meant}}}`?"
    return ""


def _hint(path: Path, value: object) -> str:
    """What to do about the commonest mistakes."""
    if isinstance(value, int) and value > LARGEST_COUNT and allowed(path).startswith(COUNTS):
        return f" and at most {LARGEST_COUNT:,}"
    if isinstance(value, str) and is_number(path):
        if LEADING_ZEROS.fullmatch(value):
            return "; write it without the leading zeros"
        if isinstance(plain_scalar(value), int | float):
            return "; write it without quotes"
    if isinstance(value, str):
        meant = did_you_mean(value, choices_at(path)) or _field_meant(path, value)
        return meant or (ADDED if takes_packages(path) else "")
    if isinstance(value, bool | int | float) and is_text(path):
        return "; put it in quotes"
    return ""
