"""Reading one recipe file: everything that can be wrong with it before its fields matter."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

from lrbench.recipe.messages import Position, Problem, did_you_mean, found, printable
from lrbench.recipe.nodes import Fields, Leaf
from lrbench.recipe.yaml_nodes import compose
from lrbench.store.files import UnusableFileError, open_regular

MAX_BYTES = 1024 * 1024


class UnreadableFileError(Exception):
    """A file cannot be read at all; the message says why, to be shown where the file was named."""


def read_file(
    file: Path, source: str, problems: list[Problem], what: str = "recipe", first: str = "name"
) -> Fields | None:
    """The mapping in `file`, with positions that call the file `source`; None when it holds no mapping.

    `what` is what the file should hold, and `first` the field that such a mapping begins with.

    Raises `UnreadableFileError` when there is no such file or it cannot be opened.
    """
    content = _read_bytes(file, what).removeprefix(BOM_UTF8)
    if len(content) > MAX_BYTES:
        problems.append(Problem(Position(source), (), f"larger than 1 MiB; this is not a {what}"))
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        lines = content[: error.start].decode().split("\n")
        at = Position(source, len(lines), len(lines[-1]) + 1)
        wrong_byte = f"found the byte 0x{content[error.start]:02X}"
        problems.append(Problem(at, (), f"{wrong_byte}, allowed is UTF-8 text; save the file as UTF-8"))
        return None
    root = compose(text, lambda line, column: Position(source, line + 1, column + 1), problems)
    if isinstance(root, Fields) or root is None:
        return root
    at = Position(source, 1, 1)
    if isinstance(root, Leaf) and root.value is None:
        problems.append(
            Problem(at, (), f"the file is empty; a {what} is a mapping that begins with `{first}:`")
        )
    else:
        value = root.value if isinstance(root, Leaf) else root.items
        problems.append(
            Problem(root.position, (), f"found {found(value)}, allowed is a mapping of a {what}'s fields")
        )
    return None


def _read_bytes(file: Path, what: str) -> bytes:
    """At most one byte more than `MAX_BYTES` of a regular file."""
    try:
        with open_regular(file) as stream:
            return stream.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise UnreadableFileError(f"this is a directory; name a {what} file") from None
    except UnusableFileError:
        raise UnreadableFileError("this is not a regular file") from None
    except FileNotFoundError:
        raise UnreadableFileError(f"no such file{_nearest_neighbour(file)}") from None
    except PermissionError:
        raise UnreadableFileError("no permission to read this file") from None
    except OSError as error:
        raise UnreadableFileError(f"cannot be read: {error.strerror}") from None


def _nearest_neighbour(file: Path) -> str:
    return did_you_mean(file.name, neighbours(file))


def neighbours(path: Path) -> list[str]:
    """The names beside `path`, sorted; none where the folder cannot be listed."""
    try:
        return sorted(printable(entry.name) for entry in path.parent.iterdir())
    except (OSError, ValueError):
        return []
