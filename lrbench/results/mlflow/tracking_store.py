"""Opening an MLflow store: quickly found wanting, made in one piece, and quiet."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.errors import RunError
from lrbench.results.mlflow.place import (
    DIGEST,
    artifact_folder,
    database_file,
    is_server,
    own_artifacts,
    sqlite_uri,
)
from lrbench.results.mlflow.relocating import SECONDS_FOR_DATABASE, check_is_file, local_folder, settle

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LOCK = ".mirror.lock"

# A server that is down is found out in seconds instead of minutes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


def prepare(uri: str, runs: Path) -> None:
    """Import MLflow, and make the database that `uri` names where there is none. Hold the mirror's lock.

    Raises:
        sqlite3.Error: the database cannot be written, or is none.
        RunError: MLflow cannot address the folder of its files.
    """
    _set_up()
    file, artifacts = database_file(uri), artifact_folder(uri, runs)
    if not is_server(uri) and local_folder(artifacts.as_uri()) != artifacts:
        raise RunError("the folder's name is no UTF-8 text, which MLflow needs; rename it")
    if file is None:
        return
    if not file.exists():
        _create_database(file, artifacts)
        return
    _check_database(file)
    if artifacts == own_artifacts(runs):
        settle(file, artifacts, DIGEST)


def connect(uri: str) -> MlflowClient:
    """A client of the store at `uri`; nothing is asked of it yet."""
    _set_up()
    from mlflow.tracking import MlflowClient
    from mlflow.tracking._tracking_service import utils

    # It remembers the places of files by the run alone, and runs of a copied folder have equal names.
    utils._artifact_repos_cache.clear()
    return MlflowClient(tracking_uri=uri)


def empty_run(file: Path, run: str, begin: int) -> None:
    """Take the metrics out of a run in the database `file`, and set when it began: MLflow itself never does.

    Raises `sqlite3.Error` where the database cannot be written.
    """
    with closing(sqlite3.connect(file, timeout=SECONDS_FOR_DATABASE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table in ("metrics", "latest_metrics"):
            connection.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run,))
        connection.execute("UPDATE runs SET start_time = ? WHERE run_uuid = ?", (begin, run))
        connection.execute("COMMIT")


def _set_up() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow.tracking  # noqa: F401 - what takes seconds, and sets up its own loggers

    # Setting up a new database is told in a hundred lines otherwise.
    for logger in ("alembic", "mlflow"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    # It logs every error of the database with its traceback, and raises it besides, where it is told.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _check_database(file: Path) -> None:
    """Find out at once what MLflow finds out after retrying for a minute and a half."""
    check_is_file(file)
    with closing(sqlite3.connect(file, timeout=SECONDS_FOR_DATABASE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _create_database(file: Path, artifacts: Path) -> None:
    """Make the database beside and rename it: MLflow takes seconds, and cannot go on with a half-made one."""
    draft = file.with_name(f".{file.name}.draft")
    _remove_database(draft)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        # Says at once, and not after a minute and a half, that nothing can be written here.
        connection.execute("PRAGMA user_version = 0")
    # Files that the lost database spoke of. Nothing else can: the folder is this database's own.
    if artifacts.exists():
        shutil.rmtree(artifacts)
    try:
        _fill_database(draft, artifacts)
        draft.replace(file)
    finally:
        _remove_database(draft)


def _fill_database(file: Path, artifacts: Path) -> None:
    """Have MLflow make its tables, one version of them after the other, which takes a second."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(sqlite_uri(file), artifacts.as_uri())
    store.engine.dispose()


def _remove_database(file: Path) -> None:
    for name in (file.name, f"{file.name}-journal"):
        file.with_name(name).unlink(missing_ok=True)
