"""The bytes of result files: regular files alone, none larger than is read, nothing but JSON and CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrbench.errors import DataError
from lrbench.store.files import open_regular, read_regular
from lrbench.store.strict_json import JsonError, strict_json

MIB = 2**20
# Read as a whole, and parsed into several times as much.
LARGEST_JSON = 256 * MIB
LARGEST_TABLE = 1024 * MIB
LARGEST_FIELD = 16 * MIB
LARGEST_ARCHIVE = 4096 * MIB
# Text packs to a tenth; what unpacks to a thousand times its size is made to fill a memory.
LARGEST_RATIO = 1000
ZIP_MAGIC = b"PK\x03\x04"
_HEAD = 64 * 1024
_ZSTANDARD = 93
_LOCAL_HEADER = 30


def head_of(path: Path) -> bytes:
    """The first bytes of a file. Raises `DataError` where it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(_HEAD)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def sha256_of(path: Path) -> str:
    """The hash of a file's content."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_json(path: Path) -> Any:
    """The value of a JSON file; the numbers NaN and infinity, which harnesses write, are None.

    Raises `DataError` for a file that cannot be read, that is too large, or that is not JSON in UTF-8.
    """
    try:
        content = read_regular(path, LARGEST_JSON)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return json_of(str(path), content)


def json_of(place: str, content: bytes) -> Any:
    """The value of JSON text that stands at `place`; raises `DataError` as `read_json` does."""
    try:
        return strict_json(content.decode("utf-8-sig"), constants=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except JsonError as error:
        raise DataError(f"{place}: {error}") from error


def read_table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV file by their number, each as field -> text; the first line names the fields.

    Raises `DataError` for a file that cannot be read, is too large or is not CSV in UTF-8, for a field that
    is named twice, and for a line that has more or fewer fields than are named.
    """
    csv.field_size_limit(LARGEST_FIELD)
    try:
        content = read_regular(path, LARGEST_TABLE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    lines = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        names = [name.strip() for name in next(lines, [])]
        if len(set(names)) < len(names):
            raise DataError(f"{path}:1: names a field twice; give every column a name of its own")
        for values in lines:
            if not values:
                continue
            if len(values) != len(names):
                counts = f"{len(values)} fields, and the first line names {len(names)}"
                raise DataError(f"{path}:{lines.line_num}: has {counts}")
            yield lines.line_num, dict(zip(names, values, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{lines.line_num}: is not a line of CSV ({error})") from error


class Archive:
    """The members of a zip file, read one by one. `names` are in the order of the archive.

    Members packed with Zstandard are read too, as inspect_ai writes them, which Python's own reader cannot
    before 3.14.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with open_regular(path):
                self._zip = zipfile.ZipFile(path)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        except zipfile.BadZipFile as error:
            raise DataError(f"{path}: is not a whole zip file ({error}); get it again") from error
        self._members = {member.filename: member for member in self._zip.infolist()}
        if sum(member.file_size for member in self._members.values()) > LARGEST_ARCHIVE:
            raise DataError(
                f"{path}: unpacks to more than {LARGEST_ARCHIVE // MIB:,} MiB, far more than is read"
            )
        self.names = tuple(self._members)

    def json(self, name: str) -> Any:
        """The value of a member that is JSON. Raises `DataError` as `read_json` does."""
        return json_of(f"{self._path}, {name}", self._read(name))

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def _read(self, name: str) -> bytes:
        member = self._members[name]
        largest = min(LARGEST_JSON, max(MIB, LARGEST_RATIO * member.compress_size))
        if member.file_size > largest:
            raise DataError(
                f"{self._path}, {name}: unpacks to {member.file_size / MIB:,.0f} MiB, far more than is read"
            )
        try:
            if member.compress_type == _ZSTANDARD:
                return self._zstandard(member, largest)
            with self._zip.open(member) as file:
                content = file.read(largest + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise DataError(f"{self._path}, {name}: cannot be unpacked ({error})") from error
        return content

    def _zstandard(self, member: zipfile.ZipInfo, largest: int) -> bytes:
        import pyarrow as pa

        with open_regular(self._path) as file:
            file.seek(member.header_offset)
            header = file.read(_LOCAL_HEADER)
            lengths = (int.from_bytes(header[start : start + 2], "little") for start in (26, 28))
            file.seek(sum(lengths), 1)
            packed = file.read(member.compress_size)
        content = bytes(pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read(largest + 1))
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise zipfile.BadZipFile("its checksum is another one")
        return content


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{path}: cannot be read ({reason})")
