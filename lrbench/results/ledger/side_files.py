"""Databases beside the ledger that may be deleted at any time, and are made anew where they are no use."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

from lrbench.store.files import UnusableFileError


def open_beside(path: Path, schema: str) -> sqlite3.Connection:
    """The database at `path` with the tables of `schema`; where there can be none, an empty one in memory.

    What stands in its place and is no such database goes, if it can.
    """
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.lstat().st_mode):
                raise UnusableFileError(path, "it is no regular file")
        database = sqlite3.connect(path, timeout=1.0)
    except (OSError, sqlite3.Error):
        return in_memory(path, schema)
    try:
        # What a failing machine loses of it is made again.
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(schema)
    except sqlite3.Error:
        database.close()
        return in_memory(path, schema)
    return database


def in_memory(path: Path, schema: str) -> sqlite3.Connection:
    """An empty database with these tables; the one at `path` goes, if it can."""
    for name in (path.name, f"{path.name}-journal"):
        with suppress(OSError):
            path.with_name(name).unlink()
    database = sqlite3.connect(":memory:")
    database.executescript(schema)
    return database
