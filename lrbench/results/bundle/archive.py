"""The bundle's file: a gzipped tar of plain files, with a seal over the whole at its end.

Equal content gives equal bytes: names are sorted, and no time, owner or permission of a machine gets in.
The seal is an empty gzip member whose comment holds the SHA-256 of every byte before it, so that `tar xzf`
reads a bundle like any other archive. Reading trusts nothing: whatever is not a plain file as it is
written here (a link, a device, a path that leads elsewhere, a size out of bounds) is refused, and nothing
is written to the disk.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lrbench.errors import RunError
from lrbench.store.files import open_regular, read_regular

BLOCK = 512
LARGEST_FILE = 256 * 1024**2
LARGEST_BUNDLE = 64 * 1024**3
END = bytes(2 * BLOCK)

_NAME = re.compile(r"[a-z]+(\.json|(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+)")
# ID1 ID2, deflate, a comment follows, no time, no hints, unknown system (RFC 1952).
_SEAL_START = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff" + b"lrbench bundle, sha256 of all before: "
# The comment's end, an empty deflate stream, and the checksum and length of nothing.
_SEAL_END = b"\x00\x03\x00" + bytes(8)
SEAL_LENGTH = len(_SEAL_START) + 64 + len(_SEAL_END)


class BundleDamageError(Exception):
    """The file is no bundle from some place on; the message says where and what."""


@dataclass(frozen=True)
class Entry:
    """A file to put into a bundle: its name there, its size and hash, and its content or where that lies."""

    name: str
    size: int
    sha256: str
    content: bytes | Path

    @classmethod
    def of(cls, name: str, content: bytes) -> Entry:
        """An entry whose content is in memory."""
        return cls(name, len(content), hashlib.sha256(content).hexdigest(), content)


def write_archive(file: IO[bytes], entries: Iterable[Entry]) -> None:
    """Write `entries`, which are sorted by name save the first, and the seal.

    Raises `RunError` when a file is no longer what its entry says.
    """
    sealing = _Hashing(file)
    with gzip.GzipFile(filename="", mode="wb", fileobj=sealing, mtime=0) as packed:
        for entry in entries:
            packed.write(_header(entry.name, entry.size))
            data = (
                read_regular(entry.content, LARGEST_FILE)
                if isinstance(entry.content, Path)
                else entry.content
            )
            if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
                raise RunError(f"{entry.name} changed while it was bundled; bundle again")
            packed.write(data + bytes(-len(data) % BLOCK))
        packed.write(END)
    file.write(_seal(sealing.digest.hexdigest()))


def is_sealed(path: Path) -> bool:
    """Whether the file ends with a seal that holds for every byte before it, and is not too large."""
    size = path.stat().st_size
    if size > LARGEST_BUNDLE:
        return False
    digest = hashlib.sha256()
    with open_regular(path) as file:
        left = max(size - SEAL_LENGTH, 0)
        while left and (part := file.read(min(left, 1024**2))):
            digest.update(part)
            left -= len(part)
        return file.read() == _seal(digest.hexdigest())


def read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file, in the order they were written.

    Raises:
        BundleDamageError: from some place on, this is not what `write_archive` writes.
        OSError: the system refused to read.
    """
    if (size := path.stat().st_size) > LARGEST_BUNDLE:
        raise BundleDamageError(f"its {size:,} bytes are more than a bundle may hold")
    where = "the beginning"
    total = 0
    with open_regular(path) as raw, gzip.GzipFile(fileobj=raw) as packed:
        try:
            while (block := packed.read(BLOCK)) != END[:BLOCK]:
                name, size = _parse(block, where)
                total += size
                if size > LARGEST_FILE or total > LARGEST_BUNDLE:
                    raise BundleDamageError(f"{name}: its {size:,} bytes are more than a bundle may hold")
                data = packed.read(size)
                padding = packed.read(-size % BLOCK)
                if len(data) != size or padding != bytes(-size % BLOCK):
                    raise BundleDamageError(f"{name}: is cut short, or not closed as a bundle's files are")
                yield name, data
                where = name
            if packed.read(BLOCK + 1) != END[BLOCK:]:
                raise BundleDamageError(f"after {where}: the archive goes on behind its end")
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise BundleDamageError(f"after {where}: cannot be unpacked ({error})") from error


class _Hashing(io.RawIOBase):
    """Writes through to a file and hashes what passes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.digest.update(data)
        return self.file.write(data)


def _seal(digest: str) -> bytes:
    return _SEAL_START + digest.encode() + _SEAL_END


def _header(name: str, size: int) -> bytes:
    """The one tar header of a plain file of this name and size."""
    record = tarfile.TarInfo(name)
    record.size = size
    record.mode = 0o644
    return record.tobuf(tarfile.USTAR_FORMAT)


def _parse(block: bytes, where: str) -> tuple[str, int]:
    """Name and size in a header, once it is proven to be exactly the one that such a file has."""
    try:
        name = _text(block[:100])
        if prefix := _text(block[345:500]):
            name = f"{prefix}/{name}"
        size = int(_text(block[124:136]) or "x", 8)
        expected = _header(name, size)
    except (ValueError, UnicodeError) as error:
        raise BundleDamageError(f"after {where}: no file of a bundle begins here") from error
    if size < 0 or _NAME.fullmatch(name) is None or block != expected:
        raise BundleDamageError(
            f"after {where}: {name[:100]!r} is no plain file of a bundle; links, devices and other paths are "
            "refused"
        )
    return name, size


def _text(field: bytes) -> str:
    return field.split(b"\x00", 1)[0].decode("ascii").strip()
