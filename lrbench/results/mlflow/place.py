"""Where MLflow's store of a runs folder is, and whether it says what the ledger says. Imports no MLflow.

MLflow is an extra: without it all that it would show is in the ledger, and can be brought into it later.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from lrbench.errors import UserError
from lrbench.store.canonical import canonical_json, stable_hash
from lrbench.store.files import read_regular, write_atomically

DATABASE = "mlflow.db"
ARTIFACTS = "mlflow-artifacts"
NOTE = "mirrored.json"
SQLITE = "sqlite:///"
# The same to SQLAlchemy, which decodes both. Where the shorter one is quoted, MLflow makes the quoted folder.
SQLITE_QUOTED = "sqlite+pysqlite:///"
# The tag that says that a run is whole, and of which records.
DIGEST = "lrbench.digest"
INSTALLATION = "pip install 'lrbench[mlflow]'"


def is_installed() -> bool:
    """Whether MLflow is; asked without the seconds that importing it takes."""
    return importlib.util.find_spec("mlflow") is not None


def require_mlflow(why: str) -> None:
    """Raise `UserError` where MLflow is not installed, which `why` needs."""
    if not is_installed():
        raise UserError(f"{why} needs MLflow, which is not installed: {INSTALLATION}")


def default_tracking_uri(runs: Path) -> str:
    """`MLFLOW_TRACKING_URI` where it is set, otherwise the sqlite file in the runs folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(runs.resolve() / DATABASE)


def sqlite_uri(file: Path) -> str:
    """The address of a sqlite file, quoted where its name asks for it."""
    name = quote(os.fsencode(file))
    return f"{SQLITE if name == str(file) else SQLITE_QUOTED}{name}"


def database_file(uri: str) -> Path | None:
    """The file of a sqlite address; None where the store is of another kind."""
    if not uri.startswith((SQLITE, SQLITE_QUOTED)):
        return None
    return Path(unquote(uri.partition(":///")[2].partition("?")[0]))


def is_server(uri: str) -> bool:
    """Whether the store is behind a server, which then decides where files go."""
    return urlsplit(uri).scheme in ("http", "https", "databricks")


def has_store(runs: Path) -> bool:
    """Whether there is a store that could hold anything of the folder."""
    uri = default_tracking_uri(runs)
    file = database_file(uri)
    return is_server(uri) or (file is not None and file.exists())


def own_artifacts(runs: Path) -> Path:
    """The files of the database in the runs folder."""
    return runs.resolve() / ARTIFACTS


def artifact_folder(uri: str, runs: Path) -> Path:
    """Where the files of a store go that is no server.

    Each store has a folder of its own: `mlflow-artifacts` belongs to the database in the runs folder alone.
    """
    own = own_artifacts(runs)
    file = database_file(uri)
    if file is not None and file.resolve() == runs.resolve() / DATABASE:
        return own
    return own.with_name(f"{ARTIFACTS}-{stable_hash(uri)[:8]}")


def ledger_state(runs: Path, uri: str) -> str:
    """What the note says once this store holds all of the ledger as it is now."""
    sizes = {path.name: path.stat().st_size for path in sorted((runs / "ledger").glob("*.jsonl"))}
    return canonical_json({"ledger": sizes, "store": stable_hash(uri)})


def is_mirrored(runs: Path) -> bool:
    """Whether the store holds all of the ledger, as far as can be seen without asking it.

    False where anything that would say so cannot be read.
    """
    uri = default_tracking_uri(runs)
    file = database_file(uri)
    try:
        if file is not None and not file.exists():
            return False
        return read_regular(runs / NOTE).decode() == ledger_state(runs, uri)
    except (OSError, UnicodeDecodeError):
        return False


def note_mirrored(runs: Path, state: str) -> None:
    """Write down that the store holds the ledger as it was when `state` was taken."""
    write_atomically(runs / NOTE, state)
