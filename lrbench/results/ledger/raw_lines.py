"""The lines of a ledger's file: `{"sha256": "...", "record": {...}}`, the hash over the record's bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.store.files import open_regular

AnyRecord = TypeVar("AnyRecord", RecipeRecord, ArmRecord, ScoreRecord)

CUT = "not a whole ledger line (cut short or overwritten)"
CHANGED = "the record differs from its checksum"
DAMAGES = (CUT, CHANGED)

_LINE = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "record": (\{.*\})\}')


@dataclass(frozen=True)
class ReadLine(Generic[AnyRecord]):
    """A line: its number from 1, where it stands in bytes, and its record or what is wrong with it."""

    number: int
    offset: int
    length: int
    found: AnyRecord | str


@dataclass(frozen=True)
class BrokenLine:
    """A line of the ledger that does not read; `number` counts from 1.

    `damaged` where its bytes are not what was written, and not only more than this version understands.
    """

    path: Path
    number: int
    reason: str
    damaged: bool

    @classmethod
    def of(cls, path: Path, line: ReadLine[AnyRecord]) -> BrokenLine:
        """What is wrong with a line of the file at `path` in which no record was found."""
        assert isinstance(line.found, str)
        return cls(path, line.number, line.found, line.found in DAMAGES)

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: {self.reason}"


def line_of(record: RecipeRecord | ArmRecord | ScoreRecord) -> bytes:
    """The record as it stands in the ledger, with its line feed."""
    body = record.model_dump_json().encode()
    return b'{"sha256": "%s", "record": %s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


def parse_line(line: bytes, kind: type[AnyRecord]) -> AnyRecord | str:
    """The record in `line`, without its line feed, or why there is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return CUT
    digest, body = match.groups()
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return CHANGED
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "record"
        return f"not a record this version of lrbench reads: {place}: {first['msg']}"


def parse_lines(
    data: bytes, kind: type[AnyRecord], first: int = 1, offset: int = 0
) -> Iterator[ReadLine[AnyRecord]]:
    """Every line of `data` that is not blank; the first has the number `first` and stands at `offset`."""
    for number, line in enumerate(data.split(b"\n"), start=first):
        if line.strip():
            yield ReadLine(number, offset, len(line), parse_line(line, kind))
        offset += len(line) + 1


def line_at(path: Path, offset: int, length: int) -> bytes:
    """So many bytes of the file at `path`, or fewer where it ends before.

    Raises:
        OSError: it is gone, or the system refused.
    """
    with open_regular(path) as file:
        file.seek(offset)
        return file.read(length)


def bytes_from(path: Path, offset: int) -> bytes:
    """What the file at `path` holds from `offset` on; of no file, nothing.

    Raises:
        OSError: the system refused.
    """
    try:
        with open_regular(path) as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


def unfinished(path: Path, known: int) -> tuple[int, bytes]:
    """Where in the file at `path` its last line feed ends, and what stands after it; of no file, nothing.

    It is looked for from `known` on, where a line feed should end, and from the beginning where none does.

    Raises:
        OSError: the file cannot be read.
    """
    start = max(0, known - 1)
    data = bytes_from(path, start)
    if start and b"\n" not in data:
        start, data = 0, bytes_from(path, 0)
    end = data.rfind(b"\n") + 1
    return start + end, data[end:]


def mended(tail: bytes, kind: type[AnyRecord]) -> tuple[int, bytes]:
    """How many bytes of an unfinished line stay, and what to write first so that the next line starts afresh.

    A last line without its line feed was never reported as recorded. Complete but for the line feed,
    it stays; otherwise it is cut off.
    """
    if not tail or isinstance(parse_line(tail, kind), str):
        return 0, b""
    return len(tail), b"\n"
