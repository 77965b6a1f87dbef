"""Intervals and tests of boards, kept beside the ledger so that each is computed once.

`computed.sqlite` holds them by the hash of the outcomes, of the code and of the libraries that they follow
from, each with a checksum. It may be deleted at any time, and several processes may use it at once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lrbench.evaluation.statistics import remembering
from lrbench.results.ledger.side_files import in_memory, open_beside

COMPUTED = "computed.sqlite"
# Of several ledgers of ten thousand scores; beyond, what is no longer asked for is not worth its room.
MOST_KEPT = 200_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS computed (key TEXT PRIMARY KEY, value TEXT, checksum TEXT) WITHOUT ROWID;
"""


@contextmanager
def computed_once(folder: Path) -> Iterator[None]:
    """Within the block, statistics are taken from the ledger's `folder` and kept there."""
    if not folder.is_dir():
        yield
        return
    memory = _Computed(folder / COMPUTED)
    try:
        with remembering(memory):
            yield
    finally:
        memory.close()


class _Computed:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = open_beside(path, _SCHEMA)
        self._new: dict[str, str] = {}

    def recall(self, key: str) -> Any:
        """What is kept under `key`, as long as its checksum fits."""
        try:
            row = self._database.execute(
                "SELECT value, checksum FROM computed WHERE key = ?", (key,)
            ).fetchone()
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = in_memory(self._path, _SCHEMA)
            return None
        if row is None or row[1] != _checksum(key, row[0]):
            return None
        return json.loads(row[0])

    def keep(self, key: str, value: Any) -> None:
        """Keep it for the end of the block."""
        self._new[key] = json.dumps(value)

    def close(self) -> None:
        """Write what is new, all at once; another process may be doing the same."""
        with suppress(sqlite3.Error):
            if self._new:
                (count,) = self._database.execute("SELECT count(*) FROM computed").fetchone()
                if count > MOST_KEPT:
                    self._database.execute("DELETE FROM computed")
                self._database.executemany(
                    "INSERT OR REPLACE INTO computed VALUES (?, ?, ?)",
                    ((key, value, _checksum(key, value)) for key, value in self._new.items()),
                )
                self._database.commit()
        with suppress(sqlite3.Error):
            self._database.close()


def _checksum(key: str, value: str) -> str:
    return hashlib.sha256(f"{key} {value}".encode()).hexdigest()[:16]
