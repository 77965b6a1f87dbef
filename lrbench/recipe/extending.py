"""A recipe file with everything it extends merged beneath it.

    extends: base.yaml               # or a list; paths are relative to the file that names them

Bases are merged in the order given, each with its own bases first; the file itself comes last. Later
wins, mappings merge field by field and lists are replaced whole; `seeds` replace a `seed`, and a `seed`
replaces `seeds`. Every value keeps the position it
was written at.
"""

from __future__ import annotations

import os
from pathlib import Path

from lrbench.recipe.fields import EXTENDS, section_names
from lrbench.recipe.files import UnreadableFileError, read_file
from lrbench.recipe.messages import Position, Problem, found, nearest, printable
from lrbench.recipe.nodes import Fields, Items, Leaf, Node, merge_fields, plain
from lrbench.recipe.sweeping import giving_way

MAX_CHAIN = 20


class Extending:
    """Reads files and what they extend, each file once, and collects the problems met on the way."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._known: dict[str, Fields | None] = {}

    def read(self, path: str) -> Fields | None:
        """The whole recipe that begins in the file `path`, or None where nothing could be made of it."""
        try:
            return self._with_bases(path, chain=())
        except UnreadableFileError as error:
            self._problems.append(Problem(Position(path), (), str(error)))
            return None

    def with_bases(self, own: Fields, source: str) -> Fields:
        """Fields that are in no file, with what they extend; paths are relative to where we are."""
        return self._merged(own, source, ())

    def _with_bases(self, path: str, chain: tuple[str, ...]) -> Fields | None:
        identity = _identity(path)
        if identity not in self._known:
            own = read_file(Path(path), path, self._problems)
            self._known[identity] = own and self._merged(own, path, (*chain, path))
        return self._known[identity]

    def _merged(self, own: Fields, path: str, chain: tuple[str, ...]) -> Fields:
        own, bases = self._take_bases(own)
        merged = Fields({}, own.position)
        for leaf in bases:
            base = self._base(leaf, path, chain)
            if base is not None:
                merged = merge_fields(giving_way(merged, base), base)
        return merge_fields(giving_way(merged, own), own)

    def _take_bases(self, own: Fields) -> tuple[Fields, list[Leaf]]:
        """The file without its `extends`, and the entries of that."""
        name = EXTENDS if EXTENDS in own.entries else self._misspelt(own)
        if name is None:
            return own, []
        entries = dict(own.entries)
        given = entries.pop(name).node
        listed: tuple[Node, ...] = given.items if isinstance(given, Items) else (given,)
        bases = []
        for node in listed:
            if isinstance(node, Leaf) and isinstance(node.value, str) and node.value:
                bases.append(node)
            else:
                message = (
                    f"found {found(plain(node))}, allowed is the path of a recipe file or a list of such"
                )
                self._problems.append(Problem(node.position, (EXTENDS,), message))
        return Fields(entries, own.position), bases

    def _misspelt(self, own: Fields) -> str | None:
        """The field that was meant to be `extends`. It is followed, so that only the spelling is wrong."""
        known = [*section_names(), EXTENDS]
        for name, entry in own.entries.items():
            if name not in known and nearest(name, known) == EXTENDS:
                message = f"unknown field; did you mean `{EXTENDS}`?"
                self._problems.append(Problem(entry.key, (name,), message))
                return name
        return None

    def _base(self, leaf: Leaf, path: str, chain: tuple[str, ...]) -> Fields | None:
        def refuse(message: str) -> None:
            self._problems.append(Problem(leaf.position, (EXTENDS,), message))

        named = os.path.normpath(Path(path).parent / str(leaf.value))
        try:
            around = [_identity(file) for file in chain]
            if _identity(named) in around:
                circle = [*chain[around.index(_identity(named)) :], named]
                refuse("goes in a circle: " + " -> ".join(printable(file) for file in circle))
                return None
            if len(chain) >= MAX_CHAIN:
                refuse(f"a chain of more than {MAX_CHAIN} files")
                return None
            return self._with_bases(named, chain)
        except UnreadableFileError as error:
            refuse(f"`{printable(named)}`: {error}")
            return None


def _identity(path: str) -> str:
    """The same for every way to name one file."""
    try:
        return os.path.realpath(path)
    except ValueError:
        raise UnreadableFileError("this cannot be a file's name") from None
