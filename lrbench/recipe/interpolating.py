"""`${training.updates}`: one field's value in the place of another.

OmegaConf resolves the values. Before it may, every reference is checked here: only fields of the recipe
can be named, never a resolver (`${oc.env:HOME}` would carry secrets into a recipe), circles are refused,
and what the references expand to is bounded. Afterwards each value gets back the position it was
written at, also when it was reached through a reference. `\\${` stands for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lrbench.recipe.messages import Path, Problem, did_you_mean, excerpt, found
from lrbench.recipe.nodes import Entry, Fields, Items, Leaf, Node, child, plain, plain_fields
from lrbench.recipe.yaml_nodes import MAX_DEPTH, MAX_VALUES

OPENING = re.compile(r"(\\*)\$\{")
REFERENCE = re.compile(r"\$\{ *([A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*) *\}")
MAX_TEXT = 100_000

# OmegaConf's own mark for a value that is still missing; it refuses to interpolate it.
OMEGACONF_MISSING = "???"


def interpolate(root: Fields, problems: list[Problem]) -> Fields | None:
    """`root` with every reference replaced by what it names; None, with the reasons, when one cannot be."""
    leaves: list[tuple[Path, Node]] = [*_referring(root, ())]
    if not leaves:
        return root
    references = _References(root)
    wrong = []
    for path, node in [*leaves, ((), root)]:
        try:
            references.measure(node, 0)
        except _UnresolvableError as error:
            wrong.append(Problem(node.position, path, str(error)))
    # The whole cannot be measured where a part cannot; it tells something new only where every part can.
    problems.extend(wrong[:-1] if len(wrong) > 1 else wrong)
    if wrong:
        return None
    # Imported here since most recipes have nothing to interpolate, and it costs a quarter of a second.
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(OmegaConf.create(plain_fields(root)), resolve=True)
    placed = references.placed(values, root)
    assert isinstance(placed, Fields)
    return placed


def escaped(text: str) -> str:
    """`text` written so that nothing in it is taken for a reference."""
    return OPENING.sub(lambda opening: opening[1] * 2 + r"\${", text)


def _referring(node: Node, path: Path) -> Iterator[tuple[Path, Leaf]]:
    """Every text with a `${` in it, and its path."""
    match node:
        case Leaf() if "${" in str(node.value):
            yield path, node
        case Items():
            for place, item in enumerate(node.items):
                yield from _referring(item, (*path, place))
        case Fields():
            for name, entry in node.entries.items():
                yield from _referring(entry.node, (*path, name))


class _UnresolvableError(Exception):
    """A reference that cannot be replaced; the message says why."""


class _References:
    """The references of one recipe: what each names, and how large everything becomes."""

    def __init__(self, root: Fields) -> None:
        self._root = root
        self._measured: dict[int, tuple[int, int, int]] = {}
        self._around: set[int] = set()

    def measure(self, node: Node, depth: int) -> tuple[int, int, int]:
        """Values, letters of text and levels of `node`, which lies `depth` down, with references followed.

        Raises `_UnresolvableError` when it has no end, is too large, or names what is not there.
        """
        if id(node) in self._around:
            raise _UnresolvableError("the references go in a circle")
        if id(node) not in self._measured:
            if depth > MAX_DEPTH:
                raise _UnresolvableError(f"references and nesting go more than {MAX_DEPTH} levels deep")
            self._around.add(id(node))
            try:
                parts = [self.measure(part, depth + 1) for part in self._parts(node)]
            finally:
                self._around.discard(id(node))
            values = 1 + sum(part[0] for part in parts)
            text = len(str(node.value)) if isinstance(node, Leaf) else 0
            text += sum(part[1] for part in parts)
            self._measured[id(node)] = values, text, 1 + max((part[2] for part in parts), default=0)
        values, text, levels = self._measured[id(node)]
        if values > MAX_VALUES or text > MAX_TEXT:
            raise _UnresolvableError(
                f"references expand to more than {MAX_VALUES} values or {MAX_TEXT} letters"
            )
        if depth + levels > MAX_DEPTH + 1:
            raise _UnresolvableError(f"references and nesting go more than {MAX_DEPTH} levels deep")
        return values, text, levels

    def _parts(self, node: Node) -> list[Node]:
        match node:
            case Items():
                return list(node.items)
            case Fields():
                return [entry.node for entry in node.entries.values()]
        if not isinstance(node.value, str):
            return []
        names = _names(node.value)
        targets = [self._target(name, MAX_DEPTH) for name in names]
        if REFERENCE.fullmatch(node.value) is None:
            for name, target in zip(names, targets, strict=True):
                value = plain(self._followed(target, MAX_DEPTH))
                if isinstance(value, bool) or not isinstance(value, str | int | float):
                    message = f"`${{{name}}}` is {found(value)}; only text and numbers can stand within text"
                    raise _UnresolvableError(message)
        return targets

    def _target(self, name: str, hops: int) -> Node:
        """The node that a reference names, with the references on the way to it followed."""
        node: Node = self._root
        for part in name.split("."):
            node = self._followed(node, hops)
            inner = child(node, part)
            if inner is None:
                valid = list(node.entries) if isinstance(node, Fields) else []
                raise _UnresolvableError(
                    f"`${{{name}}}` names nothing in this recipe{did_you_mean(part, valid)}"
                )
            node = inner
        if isinstance(node, Leaf) and node.value == OMEGACONF_MISSING:
            raise _UnresolvableError(
                f"`${{{name}}}` is `{OMEGACONF_MISSING}`, which stands for a missing value"
            )
        return node

    def _followed(self, node: Node, hops: int) -> Node:
        while isinstance(node, Leaf) and (whole := REFERENCE.fullmatch(str(node.value))):
            if not hops:
                raise _UnresolvableError("the references go in a circle")
            hops -= 1
            node = self._target(whole[1], hops)
        return node

    def placed(self, values: object, node: Node) -> Node:
        """The resolved `values` with the positions of `node`, or of what `node` refers to."""
        node = self._followed(node, MAX_DEPTH)
        match node:
            case Items():
                assert isinstance(values, list)
                pairs = zip(values, node.items, strict=True)
                return Items(tuple(self.placed(value, item) for value, item in pairs), node.position)
            case Fields():
                assert isinstance(values, dict)
                entries = {
                    name: Entry(entry.key, self.placed(values[name], entry.node))
                    for name, entry in node.entries.items()
                }
                return Fields(entries, node.position)
            case Leaf():
                assert values is None or isinstance(values, str | int | float)
                return Leaf(values, node.position)


def _names(text: str) -> list[str]:
    """The fields that `text` refers to. Raises `_UnresolvableError` for any other kind of `${`."""
    names = []
    for opening in OPENING.finditer(text):
        if len(opening[1]) % 2:
            continue
        reference = REFERENCE.match(text, opening.end(1))
        if reference is None:
            written = excerpt(text[opening.end(1) :])
            ours = "`${field.path}` of this recipe (`\\${` for a literal `${`)"
            raise _UnresolvableError(f"found `{written}`, allowed is {ours}")
        names.append(reference[1])
    return names
