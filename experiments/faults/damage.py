"""Ways in which a file goes bad: by a disk, by a crash, by a hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

HUGE_BYTES = 200 * 2**30


def _flip(path: Path, chance: Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def _truncate(path: Path, chance: Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(max(1, len(data)))])


def _append(path: Path, chance: Random) -> None:
    with path.open("ab") as file:
        file.write(bytes(chance.randrange(256) for _ in range(40)))


def _zeros(path: Path, chance: Random) -> None:
    data = bytearray(path.read_bytes())
    place = chance.randrange(max(1, len(data)))
    data[place : place + 64] = bytes(len(data[place : place + 64]))
    path.write_bytes(data)


def _fifo(path: Path, _chance: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(to: str) -> Callable[[Path, Random], None]:
    def damage(path: Path, _chance: Random) -> None:
        path.unlink()
        path.symlink_to(to)

    return damage


def _directory(path: Path, _chance: Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("inside")


def _huge(path: Path, _chance: Random) -> None:
    """Two hundred gigabytes that take no room: what reads all of it takes all memory."""
    os.truncate(path, HUGE_BYTES)


def _double_line(path: Path, chance: Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    place = chance.randrange(max(1, len(lines)))
    path.write_bytes(b"".join([*lines[: place + 1], *lines[place:]]))


def _torn_line(path: Path, chance: Random) -> None:
    data = path.read_bytes().rstrip(b"\n")
    start = data.rfind(b"\n") + 1
    path.write_bytes(data[: chance.randrange(start, max(start + 1, len(data)))])


def _lines_away(path: Path, chance: Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    if lines:
        del lines[chance.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def _swap(path: Path, chance: Random) -> None:
    """Exchange it with another file of the same name, or else with one beside it."""
    same = path.parents[1].glob(f"*/{path.name}") if "store" in path.parts else []
    beside = [other for other in path.parent.iterdir() if other.is_file()]
    data = path.read_bytes()
    others = sorted(o for o in same if o.read_bytes() != data) or sorted(set(beside) - {path})
    if not others:
        _flip(path, chance)
        return
    other = chance.choice(others)
    kept = path.read_bytes()
    shutil.copyfile(other, path)
    other.write_bytes(kept)


def _forbidden(path: Path, _chance: Random) -> None:
    """Nobody may read it; for root, who may read everything, this is no damage."""
    path.chmod(0)


def _forged(path: Path, chance: Random) -> None:
    """A verdict of the ledger turned over, with the checksum made to fit."""
    lines = path.read_bytes().splitlines(keepends=True)
    place = chance.randrange(len(lines))
    record = json.loads(lines[place])["record"]
    if "paper" in record:
        record["paper"] = record["exact"] = "".join("10"[int(c)] for c in record["paper"])
    elif "costs" in record:
        record["costs"]["tuned_tokens"] += 1000
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    lines[place] = b'{"sha256": "%s", "record": %s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)
    path.write_bytes(b"".join(lines))


DAMAGES: dict[str, Callable[[Path, Random], None]] = {
    "flipped": _flip,
    "cut": _truncate,
    "emptied": lambda path, _: path.write_bytes(b"") and None,
    "appended to": _append,
    "deleted": lambda path, _: path.unlink(),
    "zeroed": _zeros,
    "swapped": _swap,
    "a folder": _directory,
    "a FIFO": _fifo,
    "a link to /dev/zero": _link("/dev/zero"),
    "a link to nothing": _link("/nonexistent/file"),
    "a link to itself": lambda path, chance: _link(path.name)(path, chance),
    "huge": _huge,
    "forbidden": _forbidden,
    "a doubled line": _double_line,
    "a torn line": _torn_line,
    "a lost line": _lines_away,
    "forged": _forged,
}
# What leaves what is read as it was: for root, or where every record is read once.
HARMLESS = frozenset({"forbidden"})
OF_LINES = frozenset({"a doubled line", "a torn line", "a lost line", "forged"})
