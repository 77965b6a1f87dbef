"""Overrides from the command line: `training.updates=5`, `arms.1.training.updates=5`.

The value is read as YAML and merged like a file that extends: a mapping adds to the mapping there, all
else replaces. A number names a place in a list that is there already; an arm given by its name alone
becomes a mapping as soon as something in it is overridden. `seed=1` replaces the recipe's `seeds`, and the
other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrbench.recipe.fields import EXTENDS
from lrbench.recipe.messages import OVERRIDE, Path, Position, Problem, dotted, excerpt, found
from lrbench.recipe.nodes import Entry, Fields, Items, Leaf, Node, merge
from lrbench.recipe.secrets import without_secrets
from lrbench.recipe.sweeping import giving_way
from lrbench.recipe.yaml_nodes import compose


def apply_override(recipe: Fields, override: str, problems: list[Problem]) -> Fields:
    """`recipe` with one override applied; left as it is, with the reason in `problems`, when it cannot be."""
    source = f"{OVERRIDE}'{without_secrets(override)}'"
    name, equals, text = override.partition("=")
    if not equals or not all(name.split(".")):
        message = "allowed is `field.path=value`, for example `training.updates=5`"
        problems.append(Problem(Position(source, column=1), (), message))
        return recipe
    value = compose(text, lambda _, column: Position(source, column=len(name) + 2 + column), problems)
    if value is None:
        return recipe
    steps, column = [], 1
    for part in _parts(name):
        steps.append(_Step(part, Position(source, column=column)))
        column += len(part) + 1
    try:
        if steps[0].name == EXTENDS:
            raise _CannotApplyError(steps[0], (EXTENDS,), "can only be given in a recipe file")
        given = Fields({steps[0].name: Entry(steps[0].position, value)}, steps[0].position)
        changed = _changed(giving_way(recipe, given), (), steps, value)
    except _CannotApplyError as error:
        problems.append(error.problem)
        return recipe
    assert isinstance(changed, Fields)
    return changed


def _parts(name: str) -> list[str]:
    """The parts of an override's path; `sweep.grid.divergence.alpha` ends in the name of a swept field."""
    parts = name.split(".")
    if parts[0] != "sweep" or len(parts) < 3:
        return parts
    fixed = 2 if parts[1] == "grid" else 3
    return [*parts[:fixed], *filter(None, [".".join(parts[fixed:])])]


@dataclass(frozen=True)
class _Step:
    """One part of an override's path, and where it stands in the override."""

    name: str
    position: Position


class _CannotApplyError(Exception):
    """An override leads to a place that cannot hold a value."""

    def __init__(self, step: _Step, path: Path, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(step.position, path, message)


def _changed(node: Node, path: Path, steps: list[_Step], value: Node) -> Node:
    """`node`, which stands at `path`, with `value` put where `steps` lead from it."""
    if not steps:
        return merge(node, value)
    step, rest = steps[0], steps[1:]
    if isinstance(node, Items):
        if not (step.name.isdecimal() and int(step.name) < len(node.items)):
            places = f"0 to {len(node.items) - 1}" if node.items else "none, it is empty"
            message = f"found `{excerpt(step.name)}`, allowed is a place in this list: {places}"
            raise _CannotApplyError(step, path, message)
        place = int(step.name)
        inner = _changed(node.items[place], (*path, place), rest, value)
        return Items((*node.items[:place], inner, *node.items[place + 1 :]), node.position)
    fields = node if isinstance(node, Fields) else _as_mapping(node, path, step)
    before = fields.entries.get(step.name)
    start = before.node if before else Leaf(None, step.position)
    inner = _changed(start, (*path, step.name), rest, value)
    return Fields(fields.entries | {step.name: Entry(step.position, inner)}, fields.position)


def _as_mapping(leaf: Leaf, path: Path, step: _Step) -> Fields:
    """A mapping in place of nothing, or of an arm's bare name."""
    if leaf.value is None:
        return Fields({}, leaf.position)
    if isinstance(leaf.value, str) and "${" in leaf.value:
        message = f'`{dotted(path)}` is "{excerpt(leaf.value)}"; override the field that this names'
        raise _CannotApplyError(step, path, message)
    if isinstance(leaf.value, str) and len(path) == 2 and path[0] == "arms":
        return Fields({"name": Entry(leaf.position, leaf)}, leaf.position)
    raise _CannotApplyError(step, path, f"found {found(leaf.value)}, which has no fields to override")
