"""Paths of models and data: as files write them, and as everything behind the recipe reads them.

A path is relative to the file that writes it, through `extends` too, as the paths in `extends` are; one in an
override, to the folder that lrbench is started in. Behind loading all are relative to that folder. Recipes
from before this rule wrote all paths from there: such a path is still found, with a warning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from lrbench.data.sets import TRAINING_SETS
from lrbench.recipe.messages import OVERRIDE, Problem, printable
from lrbench.recipe.messages import Path as FieldPath
from lrbench.recipe.nodes import Fields, Items, Leaf, Node, find, with_value
from lrbench.recipe.references import EMBEDDED, HUB, HUB_ID, is_there
from lrbench.recipe.suites import file_places
from lrbench.recipe.training_sources import training_places

FOLDERS = ("evaluation.lm_eval.include_path",)
MODELS = ("pair.expert.model", "pair.amateur.model")
# Those beside the pair have names of their own: `models.NAME.model`.
BESIDE, MODEL = "models", "model"
FILE = "file"
TRAIN = "data.train"
FIELDS = (*FOLDERS, *MODELS, TRAIN, "runtime.data_root")


def placed_paths(recipe: Fields, warnings: list[Problem]) -> Fields:
    """`recipe` with every path that a file writes put as it is from the folder that lrbench is started in."""
    for field, path in places(recipe):
        leaf = find(recipe, path)
        if not (isinstance(leaf, Leaf) and isinstance(leaf.value, str) and is_relative(leaf.value)):
            continue
        if leaf.position.source.startswith(OVERRIDE):
            continue
        folder = Path(leaf.position.source).parent
        if field == FILE or field in FOLDERS:
            # Newer than the rule, so nobody has written one from elsewhere.
            value, warning = os.path.relpath(folder / leaf.value), ""
        else:
            value, warning = _placed(leaf.value, folder, is_model(field))
        if warning:
            warnings.append(Problem(leaf.position, path, warning))
        changed = with_value(recipe, path, Leaf(value, leaf.position))
        assert isinstance(changed, Fields)
        recipe = changed
    return recipe


def places(recipe: Fields) -> Iterator[tuple[str, FieldPath]]:
    """Every place where a path may stand, with the name of its field."""
    for path in chain(file_places(recipe), _training_files(recipe)):
        yield FILE, path
    beside = find(recipe, (BESIDE,))
    named = beside.entries if isinstance(beside, Fields) else ()
    for field in (*FIELDS, *(f"{BESIDE}.{name}.{MODEL}" for name in named)):
        yield field, tuple(field.split("."))
        for place in range(_length(find(recipe, ("sweep", "grid", field)))):
            yield field, ("sweep", "grid", field, place)
        for place in range(_length(find(recipe, ("sweep", "points")))):
            yield field, ("sweep", "points", place, field)


def is_model(field: str) -> bool:
    """Whether a field of `places` names a model, which may be one of the hub as well."""
    return field in MODELS or field.startswith(f"{BESIDE}.")


def _training_files(recipe: Fields) -> Iterator[FieldPath]:
    """Every place where one of several sources of training problems may name a file."""
    yield from training_places(recipe, ("data", "train"))
    for place in range(_length(find(recipe, ("sweep", "grid", TRAIN)))):
        yield from training_places(recipe, ("sweep", "grid", TRAIN, place))
    for place in range(_length(find(recipe, ("sweep", "points")))):
        yield from training_places(recipe, ("sweep", "points", place, TRAIN))


def _length(node: Node | None) -> int:
    return len(node.items) if isinstance(node, Items) else 0


def is_relative(text: str) -> bool:
    """Whether this is written as a path from somewhere, if it is a path and no name of the hub."""
    named = text in TRAINING_SETS or text.startswith((EMBEDDED, HUB))
    return bool(text) and not named and not text.startswith("~") and not Path(text).is_absolute()


def _placed(text: str, folder: Path, of_model: bool) -> tuple[str, str]:
    """`text`, written in a file of `folder`, from the working folder; and a warning, or nothing."""
    if _same(folder, Path()):
        return text, ""
    beside, here = folder / text, Path(text)
    if is_there(beside):
        if is_there(here) and not _same(beside, here):
            return _from_here(beside), (
                f"`{printable(text)}` is there both beside this file and where lrbench is started; "
                f"meant is {printable(_from_here(beside))}, since paths are relative to the file"
            )
        return _from_here(beside), ""
    if is_there(here):
        right = printable(os.path.relpath(here, folder))
        return text, (
            "is there only as seen from the folder that lrbench is started in; paths are relative to this "
            f"file, so write `{right}`"
        )
    if of_model and HUB_ID.fullmatch(text):
        return text, ""
    return _from_here(beside), ""


def _from_here(path: Path) -> str:
    """`path` from the working folder, written so that no id of the hub is like it."""
    text = os.path.relpath(path)
    return f"./{text}" if HUB_ID.fullmatch(text) else text


def _same(first: Path, second: Path) -> bool:
    return os.path.realpath(first) == os.path.realpath(second)
