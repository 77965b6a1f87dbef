"""YAML text -> nodes with positions, for text nobody vouches for.

PyYAML composes the text into its node graph; nothing is ever constructed from a tag. Before that, one
pass over the parser's events (which need no recursion and expand no alias) measures what the text
would become, so that neither nesting nor aliases can exhaust the process.

Plain scalars are read as YAML 1.2 reads them (`yes` and `010` are text, `5e-5` is a number), and
`1_000` is accepted as 1000, as YAML 1.1 and Python have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from lrbench.recipe.messages import Position, Problem, excerpt, printable
from lrbench.recipe.nodes import Entry, Fields, Items, Leaf, Node, Value

MAX_DEPTH = 30
MAX_VALUES = 10_000

# The C parser of libyaml is in every wheel of PyYAML; only a build from source may lack it.
Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
NOT_A_NUMBER = re.compile(r"\.(nan|NaN|NAN)")
NULLS = {"", "~", "null", "Null", "NULL"}
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
LONGEST_INTEGER = 1000
NAMELESS = re.compile(r"(^|[{,]) *:$")
NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

Locate = Callable[[int, int], Position]


def compose(text: str, locate: Locate, problems: list[Problem]) -> Node | None:
    """The one document of `text` as a node, or None when it is not usable; every reason is in `problems`.

    `locate` makes a position of a line and a column, both counted from 0.
    """
    strange = NOT_YAML.search(text)
    if strange:
        before = text[: strange.start()].splitlines() or [""]
        at = locate(len(before) - 1, len(before[-1]))
        problems.append(Problem(at, (), f"the character U+{ord(strange[0]):04X} is not allowed in YAML"))
        return None
    try:
        if not _is_bounded(text, locate, problems):
            return None
        root = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        problems.append(_syntax_problem(error, text, locate))
        return None
    if root is None:
        return Leaf(None, locate(0, 0))
    return _node(root, locate, problems)


@dataclass
class _Open:
    """A list or mapping whose end was not seen yet: its anchor, its size and depth so far."""

    anchor: str | None
    values: int = 1
    depth: int = 1


def _is_bounded(text: str, locate: Locate, problems: list[Problem]) -> bool:
    """Whether `text` is one document that stays small with every alias expanded; reports tags as well."""
    opened = [_Open(None)]
    measured: dict[str | None, tuple[int, int]] = {}
    documents = 0

    def add(values: int, depth: int) -> None:
        opened[-1].values += values
        opened[-1].depth = max(opened[-1].depth, depth + 1)

    def refuse(message: str) -> bool:
        problems.append(Problem(at, (), message))
        return False

    # The parser's stubs are older than its marks and tags, which every event of ours has.
    event: Any
    for event in yaml.parse(text, Loader=Loader):
        at = locate(event.start_mark.line, event.start_mark.column)
        if getattr(event, "tag", None):
            refuse(f"found the tag `{excerpt(event.tag)}`; a recipe holds plain values, without tags")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                return refuse("a second YAML document begins here; a recipe is one document, without `---`")
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append(_Open(event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = opened.pop()
            if done.anchor:
                measured[done.anchor] = done.values, done.depth
            add(done.values, done.depth)
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor:
                measured[event.anchor] = 1, 1
            add(1, 1)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in {around.anchor for around in opened}:
                return refuse(f"the alias `*{event.anchor}` stands inside what it names, without an end")
            add(*measured.get(event.anchor, (1, 1)))
        if opened[-1].values > MAX_VALUES:
            return refuse(f"more than {MAX_VALUES} values (aliases count as what they stand for)")
        if len(opened) - 1 + opened[-1].depth - 1 > MAX_DEPTH:
            return refuse(f"nested more than {MAX_DEPTH} levels deep")
    return True


def _syntax_problem(error: yaml.YAMLError, text: str, locate: Locate) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    parts = [part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part]
    line, column = (mark.line, mark.column) if mark else (0, 0)
    message = "not valid YAML: " + (printable(", ".join(parts)) or "it cannot be read")
    lines = text.splitlines() or [""]
    if line >= len(lines):
        line, column = len(lines) - 1, len(lines[-1])
    if "\t" in lines[line][: column + 1]:
        message += " (tabs cannot indent YAML; use spaces)"
    elif NAMELESS.search(lines[line][: column + 1]):
        message += " (there is no name before this `:`)"
    return Problem(locate(line, column), (), message)


def _node(node: Any, locate: Locate, problems: list[Problem]) -> Node:
    position = locate(node.start_mark.line, node.start_mark.column)
    if isinstance(node, yaml.SequenceNode):
        return Items(tuple(_node(item, locate, problems) for item in node.value), position)
    if isinstance(node, yaml.MappingNode):
        return _fields(node, position, locate, problems)
    return Leaf(node.value if node.style else plain_scalar(node.value), position)


def _fields(node: yaml.MappingNode, position: Position, locate: Locate, problems: list[Problem]) -> Fields:
    entries: dict[str, Entry] = {}
    for key, value in node.value:
        at = locate(key.start_mark.line, key.start_mark.column)
        if not isinstance(key, yaml.ScalarNode):
            problems.append(Problem(at, (), "a field's name must be text, not a list or mapping"))
        elif key.value == "<<" and not key.style:
            message = "merge keys are not supported; repeat the mapping by an alias, or use `extends`"
            problems.append(Problem(at, ("<<",), message))
        else:
            if key.value in entries:
                message = f"given twice; first at {entries[key.value].key}"
                problems.append(Problem(at, (key.value,), message))
            entries[key.value] = Entry(at, _node(value, locate, problems))
    return Fields(entries, position)


def plain_scalar(text: str) -> Value:
    """What an unquoted scalar stands for."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text) and len(text) <= LONGEST_INTEGER:
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text)
    if INFINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    if NOT_A_NUMBER.fullmatch(text):
        return float("nan")
    return text
