"""A recorded recipe made fit to be run from any folder: its paths are those of the folder it was run in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrbench.recipe.identity import written_yaml
from lrbench.recipe.interpolating import interpolate
from lrbench.recipe.messages import Position, Problem
from lrbench.recipe.nodes import Fields, Leaf, find, plain_fields, with_value
from lrbench.recipe.placing import is_model, is_relative, places
from lrbench.recipe.references import HUB_ID, is_there
from lrbench.recipe.yaml_nodes import compose


@dataclass(frozen=True)
class Moved:
    """A recipe as text. `found` says whether paths in it were made absolute; `lost` are the fields whose path
    is in none of the folders looked in, each with that path.
    """

    text: str
    found: bool
    lost: tuple[tuple[str, str], ...]


def runs_anywhere(text: str, folders: Sequence[Path]) -> Moved:
    """The recipe that `resolved_yaml` wrote as `text`, with its relative paths made absolute.

    Which folder they were relative to, a record does not say: the first of `folders` that holds a path is
    taken. A recipe that this version does not read, or that has no such path, stays as it is, byte for byte.
    """
    problems: list[Problem] = []
    written = compose(text, lambda line, column: Position("recipe", line + 1, column + 1), problems)
    recipe = interpolate(written, problems) if isinstance(written, Fields) else None
    if recipe is None or problems:
        return Moved(text, False, ())
    found, lost = False, []
    for field, path in list(places(recipe)):
        leaf = find(recipe, path)
        if not (isinstance(leaf, Leaf) and isinstance(leaf.value, str) and is_relative(leaf.value)):
            continue
        place = next((folder / leaf.value for folder in folders if is_there(folder / leaf.value)), None)
        if place is not None:
            # Links stay links: they lead where they will lead when it is run.
            absolute = os.path.normpath(Path.cwd() / place)
            changed = with_value(recipe, path, Leaf(absolute, leaf.position))
            assert isinstance(changed, Fields)
            recipe, found = changed, True
        elif not (is_model(field) and HUB_ID.fullmatch(leaf.value)):
            lost.append((".".join(map(str, path)), leaf.value))
    return Moved(written_yaml(plain_fields(recipe)) if found else text, found, tuple(lost))
