"""MLflow's own pages over the store of a runs folder: this machine only, one worker, nothing reported."""

from __future__ import annotations

import os
import shlex
import socket
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import NoReturn

from lrbench.errors import UserError
from lrbench.recipe.secrets import without_secrets
from lrbench.results.mlflow.place import (
    DIGEST,
    artifact_folder,
    database_file,
    default_tracking_uri,
    is_server,
    own_artifacts,
    require_mlflow,
)
from lrbench.results.mlflow.relocating import SECONDS_FOR_DATABASE, check_is_file, settle
from lrbench.results.mlflow.views import VIEWS, pages

HOST = "127.0.0.1"
PORT = 5000

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # What lies where the user stands is not to be imported in the place of a library.
    "PYTHONSAFEPATH": "1",
}


def check_servable(runs: Path, port: int) -> None:
    """Raise `UserError` where there is nothing to show or no port to show it at, saying what to do.

    A store that was moved or copied here shows the files that are here from now on.
    """
    require_mlflow("`lrbench mlflow`")
    uri = default_tracking_uri(runs)
    if is_server(uri):
        raise UserError(
            f"MLflow is served at {without_secrets(uri)} already (MLFLOW_TRACKING_URI); open it in a browser"
        )
    file = database_file(uri)
    if file is not None and not file.exists():
        ledger = runs / "ledger" / "arms.jsonl"
        advice = (
            f"make it from the ledger with `lrbench rebuild --runs {shlex.quote(str(runs))}`"
            if ledger.exists()
            else "run a recipe first, for example `lrbench run quickstart`"
        )
        raise UserError(f"{without_secrets(str(file))}: there is no MLflow store yet; {advice}")
    if file is not None:
        _settle(file, uri, runs)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"{HOST}:{port} cannot be used ({os.strerror(error.errno or 0).lower()}): stop what is "
                f"there, or choose another port, such as `lrbench mlflow --port {_another(port)}`"
            ) from error


def _settle(file: Path, uri: str, runs: Path) -> None:
    try:
        check_is_file(file)
        if artifact_folder(uri, runs) == own_artifacts(runs):
            settle(file, own_artifacts(runs), DIGEST)
    except sqlite3.Error as error:
        rebuild = f"`lrbench rebuild --runs {shlex.quote(str(runs))}`"
        raise UserError(
            f"{file}: cannot be shown as the store of this folder ({error}). Copy the folder to where it can "
            f"be written; a damaged store may be deleted: {rebuild} makes it from the ledger"
        ) from error


def opening(runs: Path, port: int) -> str:
    """What to tell a person: where the runs are shown, and their charts, where the store has such views."""
    server, waiting = f"http://{HOST}:{port}", "in some ten seconds; Ctrl-C stops it."
    file = database_file(default_tracking_uri(runs))
    experiment = None if file is None else _experiment_with_views(file)
    if experiment is None:
        return f"MLflow will answer at {server} {waiting}"
    table, charts = pages(server, experiment)
    return f"MLflow will answer at {server} {waiting}\nRuns:   {table}\nCharts: {charts}"


def _experiment_with_views(file: Path) -> str | None:
    """The experiment that holds our views; none does in what an earlier version left."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(file, timeout=SECONDS_FOR_DATABASE)) as connection:
        found = connection.execute(
            "SELECT MIN(experiment_id) FROM experiment_tags WHERE key = ?", [next(iter(VIEWS))]
        ).fetchone()
        return None if found[0] is None else str(found[0])
    return None


def server_command(port: int) -> list[str]:
    """What starts the server; it refuses requests for other names and those of other pages."""
    return [
        sys.executable, "-m", "mlflow", "server",
        "--host", HOST,
        "--port", str(port),
        "--workers", "1",
        "--allowed-hosts", f"{HOST}:{port},localhost:{port}",
        "--cors-allowed-origins", f"http://{HOST}:{port},http://localhost:{port}",
        "--x-frame-options", "DENY",
    ]  # fmt: skip


def server_environment(runs: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables of the server. The store is among them: commands are seen by every user of a machine."""
    uri = default_tracking_uri(runs)
    artifacts = artifact_folder(uri, runs).as_uri()
    store = {
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts,
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts,
    }
    kept = {name: value for name, value in inherited.items() if name != "MLFLOW_TRACKING_URI"}
    return {**kept, **ENVIRONMENT, **store}


def serve(runs: Path, port: int) -> NoReturn:
    """Become the server: this process is replaced, so that whatever stops it stops the server."""
    os.execve(sys.executable, server_command(port), server_environment(runs, os.environ))


def _another(port: int) -> int:
    return port + 1 if port < 65535 else PORT
