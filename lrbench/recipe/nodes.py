"""A recipe's values with the place each was written at."""

from __future__ import annotations

from dataclasses import dataclass

from lrbench.recipe.messages import Path, Position

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Leaf:
    """One value: text, a number, true, false or null."""

    value: Value
    position: Position


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    position: Position


@dataclass(frozen=True)
class Entry:
    """One field of a mapping: where its name is, and what it holds."""

    key: Position
    node: Node


@dataclass(frozen=True)
class Fields:
    """A mapping."""

    entries: dict[str, Entry]
    position: Position


Node = Leaf | Items | Fields


def plain(node: Node) -> object:
    """The values alone, as Python's own types."""
    match node:
        case Leaf():
            return node.value
        case Items():
            return [plain(item) for item in node.items]
        case Fields():
            return plain_fields(node)


def plain_fields(fields: Fields) -> dict[str, object]:
    """The values of a mapping alone."""
    return {name: plain(entry.node) for name, entry in fields.entries.items()}


def child(node: Node, part: str | int) -> Node | None:
    """The node one step down, or None where there is none."""
    if isinstance(node, Fields):
        entry = node.entries.get(str(part))
        return entry.node if entry else None
    if isinstance(node, Items) and str(part).isdecimal() and int(part) < len(node.items):
        return node.items[int(part)]
    return None


def find(node: Node, path: Path) -> Node | None:
    """The node at `path`, or None where nothing was written."""
    for part in path:
        inner = child(node, part)
        if inner is None:
            return None
        node = inner
    return node


def value_position(node: Node, path: Path) -> Position:
    """Where the value at `path` was written; where it was not, the name of the nearest mapping around it."""
    named = node.position
    for part in path:
        inner = child(node, part)
        if inner is None:
            return named
        named = node.entries[str(part)].key if isinstance(node, Fields) else inner.position
        node = inner
    return node.position


def key_position(node: Node, path: Path) -> Position:
    """Where the name of the field at `path` was written, or of the nearest field around it."""
    named = node.position
    for part in path:
        inner = child(node, part)
        if inner is None:
            break
        named = node.entries[str(part)].key if isinstance(node, Fields) else inner.position
        node = inner
    return named


def replaced(node: Node, path: Path, entry: Entry) -> Node:
    """`node` with `entry` at `path`, which may lead through what is not there yet, and through an arm's name.

    The names on the way keep their positions. Where something on the way can hold no such thing (a list or a
    text in place of a section), it stays as it is: what is wrong with it is said of it.
    """
    return _replaced(node, (), path, entry)


def _replaced(node: Node, above: Path, path: Path, entry: Entry) -> Node:
    if not path:
        return entry.node
    part, rest = path[0], path[1:]
    if isinstance(node, Items):
        if not isinstance(part, int) or part >= len(node.items):
            return node
        inner = _replaced(node.items[part], (*above, part), rest, entry)
        return Items((*node.items[:part], inner, *node.items[part + 1 :]), node.position)
    if isinstance(part, int):
        return node
    entries = node.entries if isinstance(node, Fields) else {}
    if isinstance(node, Leaf) and node.value is not None:
        if len(above) != 2 or above[0] != "arms":
            return node
        entries = {"name": Entry(node.position, node)}
    before = entries.get(part, Entry(entry.key, Leaf(None, entry.key)))
    inner = _replaced(before.node, (*above, part), rest, entry)
    return Fields(entries | {part: Entry(before.key, inner)}, node.position)


def with_value(node: Node, path: Path, value: Node) -> Node:
    """`node` with `value` in the place of what was written at `path`."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(node, Items):
        place = int(part)
        inner = with_value(node.items[place], rest, value)
        return Items((*node.items[:place], inner, *node.items[place + 1 :]), node.position)
    assert isinstance(node, Fields)
    before = node.entries[str(part)]
    after = Entry(before.key, with_value(before.node, rest, value))
    return Fields(node.entries | {str(part): after}, node.position)


def merge(earlier: Node, later: Node) -> Node:
    """Later wins; mappings merge field by field, everything else (lists too) is replaced whole."""
    if isinstance(earlier, Fields) and isinstance(later, Fields):
        return merge_fields(earlier, later)
    return later


def merge_fields(earlier: Fields, later: Fields) -> Fields:
    """Two mappings in one; where both have a field, `later` wins as `merge` says."""
    entries = dict(earlier.entries)
    for name, entry in later.entries.items():
        before = entries.get(name)
        entries[name] = Entry(entry.key, merge(before.node, entry.node) if before else entry.node)
    return Fields(entries, later.position)
