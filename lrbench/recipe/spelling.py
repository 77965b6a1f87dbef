"""Field names that the schema does not know, and the recipe as it was probably meant."""

from __future__ import annotations

from lrbench.recipe.fields import elsewhere, has_free_names, is_list, is_mapping, names_at
from lrbench.recipe.messages import Path, Problem, nearest
from lrbench.recipe.nodes import Entry, Fields, Items, Node


def correct_names(recipe: Fields, problems: list[Problem]) -> Fields:
    """Reports every unknown field of `recipe`, at every depth, and returns `recipe` without them.

    A misspelt field goes on under its right name, so that its value is checked too and it is not reported
    as missing besides.
    """
    corrected = _corrected(recipe, (), problems)
    assert isinstance(corrected, Fields)
    return corrected


def _corrected(node: Node, path: Path, problems: list[Problem]) -> Node:
    if isinstance(node, Items) and is_list(path):
        items = [_corrected(item, (*path, place), problems) for place, item in enumerate(node.items)]
        return Items(tuple(items), node.position)
    if isinstance(node, Fields) and has_free_names(path):
        inner = {
            name: Entry(entry.key, _corrected(entry.node, (*path, name), problems))
            for name, entry in node.entries.items()
        }
        return Fields(inner, node.position)
    if not (isinstance(node, Fields) and is_mapping(path)):
        return node
    known = names_at(path)
    entries: dict[str, Entry] = {}
    for name, entry in node.entries.items():
        right = name
        if name not in known:
            # Of two names equally near, the one that is not there yet is meant.
            meant = nearest(name, sorted(known, key=lambda valid: valid in node.entries))
            problems.append(Problem(entry.key, (*path, name), _unknown(name, meant, known)))
            if meant is None or meant in node.entries:
                continue
            right = meant
        entries[right] = Entry(entry.key, _corrected(entry.node, (*path, right), problems))
    return Fields(entries, node.position)


def _unknown(name: str, meant: str | None, known: list[str]) -> str:
    if meant is not None:
        return f"unknown field; did you mean `{meant}`?"
    section = elsewhere(name)
    if section is not None:
        return f"unknown field here; `{name}` belongs to `{section}`"
    return f"unknown field; allowed here are {', '.join(known)}"
