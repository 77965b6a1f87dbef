"""Reading JSONL files, plain or gzipped, one line at a time; a mistake is told with its place."""

from __future__ import annotations

import codecs
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from lrbench.data.faults import Faults, noting
from lrbench.errors import DataError
from lrbench.store.strict_json import JsonError, strict_json

MIB = 2**20
# Text of this much is no problem; a file of zeros, or one that is something else, is one long line.
LONGEST_LINE = 16 * MIB
LARGEST_TEXT = 1024 * MIB
# JSON lines are packed to a tenth; what is a hundred times its file is made to fill a memory.
LARGEST_RATIO = 100
ALWAYS_UNPACKED = 16 * MIB
GZIP_MAGIC = b"\x1f\x8b"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_json_lines(
    path: Path, constants: bool = False, faults: Faults | None = None
) -> Iterator[tuple[int, Any]]:
    """The number (from 1) and the value of every line of `path` that is not blank.

    A name that ends in `.gz` is decompressed on the way; a byte order mark is no part of the first line.
    `constants` are read as `strict_json` does. A line that is no JSON is noted among the `faults`, where they
    are given, and the next one is read.
    Raises `DataError` for what is not a regular file that can be read, for one that is too large or changes
    meanwhile, and for a line that is not UTF-8 text or not JSON (`strict_json`).
    """
    try:
        with _regular(path) as file:
            before = os.fstat(file.fileno())
            packed = path.suffix == ".gz"
            largest = max(ALWAYS_UNPACKED, LARGEST_RATIO * before.st_size) if packed else before.st_size
            lines = cast("IO[bytes]", gzip.GzipFile(fileobj=file) if packed else file)
            yield from _values(path, lines, largest, packed, constants, faults)
            after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise _changed(path)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: is not a whole gzip file ({error}); get it again") from error
    except (OSError, ValueError) as error:
        # ValueError: a name with a NUL in it.
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error


def _regular(path: Path) -> IO[bytes]:
    """The file at `path`, opened without waiting for whoever would write into a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        raise DataError(f"{path}: is a {_kind(kind)}, allowed is a JSONL file")
    return os.fdopen(descriptor, "rb")


def _kind(mode: int) -> str:
    named = ((stat.S_ISDIR, "directory"), (stat.S_ISFIFO, "named pipe"))
    return next((name for is_kind, name in named if is_kind(mode)), "device")


def _refuse_other_kinds(path: Path, first: bytes) -> None:
    """What many a file begins with that is text or JSON lines in some other form."""
    if first.startswith(GZIP_MAGIC):
        raise DataError(f"{path}: is a gzip file; give it a name that ends in .gz, or unpack it")
    if first.startswith(UTF_16):
        raise DataError(f"{path}:1:1: is UTF-16 text, allowed is UTF-8; save the file as UTF-8")
    if b"\0" in first:
        column = len(first[: first.index(b"\0")].decode("utf-8", errors="replace")) + 1
        raise DataError(
            f"{path}:1:{column}: holds a byte 0, so it is not UTF-8 text; allowed is a JSONL file"
        )


def _changed(path: Path) -> DataError:
    return DataError(f"{path}: changed while it was read; start again when nothing writes to it")


def _values(
    path: Path, lines: IO[bytes], largest: int, packed: bool, constants: bool, faults: Faults | None
) -> Iterator[tuple[int, Any]]:
    number, read = 0, 0
    while line := lines.readline(LONGEST_LINE + 1):
        number, read = number + 1, read + len(line)
        if number == 1:
            _refuse_other_kinds(path, line)
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{path}:{number}: is a line of more than {LONGEST_LINE // MIB} MiB, allowed is one JSON "
                "object a line"
            )
        if read > LARGEST_TEXT:
            raise DataError(
                f"{path}:{number}: holds more than {LARGEST_TEXT // MIB} MiB of text, which is read at once; "
                "keep the problems that are used"
            )
        if read > largest:
            if not packed:
                raise _changed(path)
            raise DataError(
                f"{path}:{number}: unpacks to more than {largest // MIB} MiB, far more than its size lets "
                "expect; unpack it and look at what is in it"
            )
        if line.strip():
            with noting(faults):
                yield number, _value(path, number, line.rstrip(), constants)


def _value(path: Path, number: int, line: bytes, constants: bool) -> Any:
    try:
        return strict_json(line.decode("utf-8"), constants)
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode("utf-8")) + 1
        raise DataError(
            f"{path}:{number}:{column}: found the byte 0x{line[error.start]:02X}, allowed is UTF-8 text; "
            "save the file as UTF-8"
        ) from error
    except JsonError as error:
        place = f"{path}:{number}" if error.column is None else f"{path}:{number}:{error.column}"
        raise DataError(f"{place}: {error}") from error
