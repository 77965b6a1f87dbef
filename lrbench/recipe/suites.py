"""Suites as recipes write them: the folder of a suite is read, and stands in the recipe as what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lrbench.recipe.files import UnreadableFileError, read_file
from lrbench.recipe.messages import OVERRIDE, Problem
from lrbench.recipe.messages import Path as FieldPath
from lrbench.recipe.nodes import Fields, Items, Leaf, Node, find, with_value
from lrbench.recipe.references import is_file, is_there, local_path
from lrbench.suites.shipped import FILE, SHIPPED
from lrbench.suites.suite import shipped_suite

SUITE = ("evaluation", "suite")
FIELD = ".".join(SUITE)
# The second suite, on which it is measured what training makes a model forget.
SECOND = ("measure", "forgetting")


def with_suites(recipe: Fields, problems: list[Problem]) -> Fields:
    """`recipe` with what its `suite.yaml` says in the place of every folder of a suite.

    A folder is relative to the file that writes it, or, in an override, to the folder that lrbench is started
    in. One that is not there stays as it is written.
    """
    for path in _places(recipe):
        leaf = find(recipe, path)
        if not (isinstance(leaf, Leaf) and isinstance(leaf.value, str)) or leaf.value in SHIPPED:
            continue
        written = leaf.position.source
        beside = Path() if written.startswith(OVERRIDE) else Path(written).parent
        file = Path(os.path.normpath(beside / local_path(leaf.value) / FILE))
        try:
            said = _said(leaf, file, problems)
        except UnreadableFileError as error:
            problems.append(Problem(leaf.position, path, f"`{file}`: {error}"))
            continue
        if said is not None:
            changed = with_value(recipe, path, said)
            assert isinstance(changed, Fields)
            recipe = changed
    return recipe


def _said(leaf: Leaf, file: Path, problems: list[Problem]) -> Node | None:
    """What the `suite.yaml` of a folder says; where there is none, the folder, from the working one."""
    said = read_file(file, str(file), problems, "suite", "name") if is_file(file) else None
    if said is None and ("/" in str(leaf.value) or is_there(file.parent)):
        return Leaf(str(file.parent), leaf.position)
    return said


def suite_names(recipe: Fields) -> tuple[str, list[str]] | None:
    """The name of the written suite and those of its benchmarks; None where it is not said rightly."""
    suite, tasks = find(recipe, SUITE), find(recipe, ("evaluation", "lm_eval", "tasks"))
    if isinstance(tasks, Items):
        return "lm_eval", [str(task.value) for task in tasks.items if isinstance(task, Leaf)]
    if isinstance(suite, Leaf) and suite.value in SHIPPED:
        return str(suite.value), list(shipped_suite(str(suite.value)).names)
    benchmarks = None if suite is None else find(suite, ("benchmarks",))
    return ("the suite", list(benchmarks.entries)) if isinstance(benchmarks, Fields) else None


def file_places(recipe: Fields) -> Iterator[FieldPath]:
    """Every place where a suite that is written out names a file."""
    for place in _places(recipe):
        suite = find(recipe, place)
        if isinstance(suite, Fields):
            yield (*place, "examples", "file")
            benchmarks = find(suite, ("benchmarks",))
            for name in benchmarks.entries if isinstance(benchmarks, Fields) else ():
                yield (*place, "benchmarks", name, "file")
                yield (*place, "benchmarks", name, "examples", "file")


def _places(recipe: Fields) -> Iterator[FieldPath]:
    """Every place where a suite may stand."""
    yield SUITE
    yield SECOND
    swept = ("sweep", "grid", FIELD)
    for place in range(_length(find(recipe, swept))):
        yield (*swept, place)
    for place in range(_length(find(recipe, ("sweep", "points")))):
        yield "sweep", "points", place, FIELD


def _length(node: Node | None) -> int:
    return len(node.items) if isinstance(node, Items) else 0
