"""The addresses in a database of MLflow, made those of the folder that the database is in.

MLflow keeps the absolute address of every run's files. In a folder that was moved or copied they are those of
the folder it came from: what is written there would change the original, and what is read would be the
original's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

SECONDS_FOR_DATABASE = 5.0

# Where MLflow keeps addresses of files, as far as its version has these columns.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def local_folder(address: str) -> Path:
    """The folder that MLflow takes a `file:` address for."""
    return Path(url2pathname(urlsplit(address).path))


def check_is_file(file: Path) -> None:
    """Raise `sqlite3.Error` for what SQLite would take for an empty database, such as a device."""
    if not file.is_file():
        raise sqlite3.OperationalError("it is no file but a folder, a pipe or a device; move it away")


def settle(file: Path, artifacts: Path, mark: str) -> None:
    """See to it that no address in the database `file` is of an `artifacts` folder elsewhere.

    Runs whose files are not in `artifacts` lose their tag `mark`, by which they are known to be whole.
    Addresses that are of no folder with this name are somebody's own choice, and stay.

    Raises:
        sqlite3.Error: the database cannot be read or, where an address is of elsewhere, not be written.
    """
    here = artifacts.as_uri()
    with closing(sqlite3.connect(file, timeout=SECONDS_FOR_DATABASE, isolation_level=None)) as connection:
        places = list(_places(connection))
        elsewhere = {
            root
            for table, column in places
            for (address,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}")
            if (root := _root(address, artifacts.name)) not in (None, here)
        }
        if not elsewhere:
            return
        connection.execute("BEGIN IMMEDIATE")
        for root in elsewhere:
            for table, column in places:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column} || '/', 1, ?) = ?",
                    (here, len(root) + 1, len(root) + 1, f"{root}/"),
                )
        for run, address in connection.execute("SELECT run_uuid, artifact_uri FROM runs").fetchall():
            if _root(address, artifacts.name) == here and not local_folder(address).is_dir():
                connection.execute("DELETE FROM tags WHERE run_uuid = ? AND key = ?", (run, mark))
        connection.execute("COMMIT")


def _places(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for table, column in ADDRESSES:
        if column in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
            yield table, column


def _root(address: object, name: str) -> str | None:
    """The address of the folder `name` that `address` is, or lies in; None where it is of another."""
    if not isinstance(address, str):
        return None
    before, found, _ = f"{address}/".rpartition(f"/{name}/")
    return f"{before}/{name}" if found else None
