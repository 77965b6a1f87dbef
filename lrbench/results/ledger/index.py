"""Where the records of a ledger stand, kept beside it, so that an append reads only what it has to.

The ledger's bytes are the truth, and the index may be deleted, damaged or old at any time. It speaks of a
file as it was when the index last saw it, told by inode, size and times: whatever else touched the file since
(a hand, a copy, an earlier version, a writer killed before it got here) has the whole file read anew. What
the index says is there is read from the file itself before it is believed.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from lrbench.results.ledger.raw_lines import AnyRecord, line_at, parse_line, parse_lines
from lrbench.results.ledger.side_files import in_memory, open_beside
from lrbench.store.canonical import canonical_json
from lrbench.store.files import UnusableFileError, open_regular

INDEX = "index.sqlite"

# Far more than was ever measured, and less than a machine's memory.
LARGEST = 4 * 2**30

# Other columns are an error to a version that knows these, and the index is made anew.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, stamp TEXT, generation TEXT, whole INTEGER);
CREATE TABLE IF NOT EXISTS places (
    name TEXT, identity BLOB, offset INTEGER, length INTEGER, PRIMARY KEY (name, identity)
) WITHOUT ROWID;
"""


class LedgerIndex:
    """The index of the ledger in `folder`, whose lock is held. One that cannot be used is made anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / INDEX
        self._database = open_beside(self._path, _SCHEMA)

    def unrecorded(
        self, path: Path, kind: type[AnyRecord], records: Sequence[AnyRecord]
    ) -> tuple[list[AnyRecord], str, int]:
        """Those of `records` that the file at `path` does not hold, each once; and what is known of the file.

        That is its generation, which stays the same while nothing is done to it but appending, and how many
        bytes there are up to its last line feed.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            return self._unrecorded(path, kind, records)
        except sqlite3.Error:
            self._start_anew()
            return self._unrecorded(path, kind, records)

    def note(
        self,
        path: Path,
        generation: str,
        start: int,
        added: Iterable[tuple[AnyRecord, bytes]],
        status: os.stat_result,
    ) -> None:
        """Write down what was appended from the byte `start` on; `status` is that of the file just after."""
        places, end = [], start
        for record, line in added:
            places.append((record, end, len(line) - 1))
            end += len(line)
        if status.st_size != end:
            # Somebody else was quicker who holds no lock: what the file is now is not known.
            return
        try:
            self._add(path, places)
            self._describe(path, stamp_of_status(status), generation, end)
        except sqlite3.Error:
            self._start_anew()

    def close(self) -> None:
        """Keep what was learnt; where that cannot be done, nothing is lost."""
        try:
            self._database.commit()
            self._database.close()
        except sqlite3.Error:
            self._start_anew()

    def _unrecorded(
        self, path: Path, kind: type[AnyRecord], records: Sequence[AnyRecord]
    ) -> tuple[list[AnyRecord], str, int]:
        row = self._database.execute(
            "SELECT generation, whole FROM files WHERE name = ? AND stamp = ?", (path.name, stamp_of(path))
        ).fetchone()
        generation, whole = self._read_anew(path, kind) if row is None else row
        once = list({record.identity: record for record in reversed(records)}.values())[::-1]
        found = {record.identity: place for record in once if (place := self._place(path, record))}
        if any(not _stands_at(path, kind, identity, *place) for identity, place in found.items()):
            generation, whole = self._read_anew(path, kind)
            return [record for record in once if self._place(path, record) is None], generation, whole
        return [record for record in once if record.identity not in found], generation, whole

    def _place(self, path: Path, record: AnyRecord) -> tuple[int, int] | None:
        place: tuple[int, int] | None = self._database.execute(
            "SELECT offset, length FROM places WHERE name = ? AND identity = ?",
            (path.name, _digest(record.identity)),
        ).fetchone()
        return place

    def _read_anew(self, path: Path, kind: type[AnyRecord]) -> tuple[str, int]:
        self._database.execute("DELETE FROM places WHERE name = ?", (path.name,))
        data, stamp = read_stamped(path)
        self._add(
            path,
            (
                (line.found, line.offset, line.length)
                for line in parse_lines(data, kind)
                if not isinstance(line.found, str)
            ),
        )
        generation, whole = os.urandom(16).hex(), data.rfind(b"\n") + 1
        self._describe(path, stamp, generation, whole)
        return generation, whole

    def _add(self, path: Path, lines: Iterable[tuple[AnyRecord, int, int]]) -> None:
        self._database.executemany(
            "INSERT OR IGNORE INTO places VALUES (?, ?, ?, ?)",
            ((path.name, _digest(record.identity), offset, length) for record, offset, length in lines),
        )

    def _describe(self, path: Path, stamp: str, generation: str, whole: int) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (path.name, stamp, generation, whole)
        )

    def _start_anew(self) -> None:
        with suppress(sqlite3.Error):
            self._database.close()
        self._database = in_memory(self._path, _SCHEMA)


def read_stamped(path: Path) -> tuple[bytes, str]:
    """The content of a file of the ledger, and its stamp as it was before it was read; of none, nothing.

    Raises:
        OSError: it cannot be read, or is no regular file, or too large to be a ledger.
    """
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > LARGEST:
                raise UnusableFileError(path, f"it has more than the {LARGEST:,} bytes that are read there")
            return file.read(LARGEST), stamp_of_status(status)
    except FileNotFoundError:
        return b"", ""


def stamp_of(path: Path) -> str:
    """What changes whenever anything is done to the file at `path`; empty where there is none."""
    try:
        return stamp_of_status(path.stat())
    except FileNotFoundError:
        return ""


def stamp_of_status(status: os.stat_result) -> str:
    """The stamp of the file with this status: nobody can set the time of the last change but the system."""
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _stands_at(
    path: Path, kind: type[AnyRecord], identity: tuple[str, ...], offset: int, length: int
) -> bool:
    record = parse_line(line_at(path, offset, length), kind)
    return not isinstance(record, str) and record.identity == identity


def _digest(identity: tuple[str, ...]) -> bytes:
    return hashlib.sha256(canonical_json(list(identity)).encode()).digest()
