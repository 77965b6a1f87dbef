"""Before MLflow's pages are opened, what would keep them from opening is said in one sentence."""

from __future__ import annotations

import importlib.util
import json
import socket
import sqlite3
from pathlib import Path

import pytest

from lrbench.errors import UserError
from lrbench.pipeline.clearing import Removal, remove
from lrbench.recipe.secrets import without_secrets
from lrbench.results.mlflow.mirror import mirror
from lrbench.results.mlflow.place import (
    artifact_folder,
    default_tracking_uri,
    is_mirrored,
    ledger_state,
    note_mirrored,
)
from lrbench.results.mlflow.serving import check_servable, opening, server_command, server_environment
from lrbench.results.mlflow.views import VIEWS


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def refusal(runs, port):
    with pytest.raises(UserError) as caught:
        check_servable(runs, port)
    return str(caught.value)


def test_without_mlflow_it_says_what_to_install(tmp_path, port, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    missing = "needs MLflow, which is not installed: pip install 'lrbench[mlflow]'"
    assert refusal(tmp_path, port) == f"`lrbench mlflow` {missing}"
    with pytest.raises(UserError, match="mirroring the ledger needs MLflow"):
        mirror(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(UserError, match="deleting what MLflow holds of them needs MLflow"):
        remove(tmp_path, Removal((), (), ()))


def test_without_a_store_it_says_what_to_run(tmp_path, port):
    assert "there is no MLflow store yet; run a recipe first" in refusal(tmp_path, port)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_was_deleted_can_be_made_again(tmp_path, port):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "arms.jsonl").touch()
    assert f"`lrbench rebuild --runs {tmp_path}`" in refusal(tmp_path, port)


def test_a_port_that_is_taken_is_named_with_another_one(tmp_path):
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refusal(tmp_path, port)
    assert f"127.0.0.1:{port} cannot be used (address already in use)" in message
    assert "--port" in message


def test_a_store_behind_a_server_is_opened_there(tmp_path, port, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@example.org/mlflow")
    message = refusal(tmp_path, port)
    assert "https://***@example.org/mlflow" in message
    assert "secret" not in message


def test_the_server_is_for_this_machine_alone_reports_nothing_and_runs_no_jobs(tmp_path, port):
    (tmp_path / "mlflow.db").touch()
    check_servable(tmp_path, port)
    command = server_command(port)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--workers") + 1] == "1"
    assert command[command.index("--allowed-hosts") + 1] == f"127.0.0.1:{port},localhost:{port}"
    own = f"http://127.0.0.1:{port},http://localhost:{port}"
    assert command[command.index("--cors-allowed-origins") + 1] == own
    assert command[command.index("--x-frame-options") + 1] == "DENY"
    environment = server_environment(tmp_path, {"PATH": "/bin", "MLFLOW_TRACKING_URI": "elsewhere"})
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow.db"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "MLFLOW_TRACKING_URI" not in environment


def test_it_opens_on_the_table_of_runs_and_has_the_charts_of_all_arms_in_a_second_address(tmp_path):
    plain = "MLflow will answer at http://127.0.0.1:5007 in some ten seconds; Ctrl-C stops it."
    assert opening(tmp_path, 5007) == plain
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiment_tags (experiment_id, key, value)")
    assert opening(tmp_path, 5007) == plain
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        for name, view in VIEWS.items():
            database.execute("INSERT INTO experiment_tags VALUES (3, ?, ?)", [name, view])
            assert json.loads(json.loads(view)["state"])["selectedColumns"][0] == "metrics.`accuracy/average`"
    runs = (
        "http://127.0.0.1:5007/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=lrbench-"
    )
    assert opening(tmp_path, 5007).splitlines() == [
        plain,
        f"Runs:   {runs}runs",
        f"Charts: {runs}charts&compareRunsMode=CHART",
    ]


def test_a_password_of_the_store_is_not_in_the_command(port, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@host/db")
    assert "secret" not in " ".join(server_command(port))


def test_each_database_has_an_artifact_folder_of_its_own(tmp_path):
    own = artifact_folder(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    assert own == tmp_path / "mlflow-artifacts"
    others = {
        artifact_folder(uri, tmp_path) for uri in ("sqlite:////elsewhere/mlflow.db", "postgresql://h/d")
    }
    assert len({own, *others}) == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:80/x failed", "http://***@host:80/x failed"),
        ("postgresql://u:p@ss@h/db?password=x, again", "postgresql://***@h/db?***"),
        ("sqlite:////runs/mlflow.db", "sqlite:////runs/mlflow.db"),
        ("is 2 + 2 = 4? a@b", "is 2 + 2 = 4? a@b"),
    ],
)
def test_what_stands_before_the_host_and_in_the_query_is_never_shown(text, shown):
    assert without_secrets(text).startswith(shown)
    assert "secret" not in without_secrets(text)


def test_a_damaged_note_means_nothing_is_known(tmp_path):
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "mirrored.json").write_bytes(b"\xff\xfe")
    assert not is_mirrored(tmp_path)


@pytest.mark.parametrize("name", ["mirrored.json", "mlflow.db", "ledger"])
def test_what_cannot_be_read_means_nothing_is_known(tmp_path, monkeypatch, name):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "arms.jsonl").touch()
    (tmp_path / "mlflow.db").touch()
    note_mirrored(tmp_path, ledger_state(tmp_path, default_tracking_uri(tmp_path)))
    assert is_mirrored(tmp_path)
    stat, opened = Path.stat, Path.open

    def refuse(path):
        if name in (path.name, path.parent.name):
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", lambda path, **options: refuse(path) or stat(path, **options))
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **options: refuse(path) or opened(path, *how, **options)
    )
    assert not is_mirrored(tmp_path)


def test_a_folder_in_the_place_of_the_note_means_nothing_is_known(tmp_path):
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "mirrored.json").mkdir()
    assert not is_mirrored(tmp_path)
