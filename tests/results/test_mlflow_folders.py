"""Nothing of a runs folder points outside it, wherever it is moved or copied to and whatever it is called."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from lrbench.errors import RunError, UserError
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.mirror import mirror
from lrbench.results.mlflow.place import database_file, default_tracking_uri
from lrbench.results.mlflow.serving import check_servable
from tests.results.mlflow_contents import contents_of

pytestmark = pytest.mark.usefixtures("empty_place", "quick_stores")

AWKWARD = "a#b?c%41 d+é:@'\"&;=~[]*\\x"


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def tree(folder):
    """Every file and folder under `folder`, with the content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.slow
def test_a_copy_of_a_folder_of_any_name_is_written_alone(tmp_path, arm_record, score_records):
    runs, copy = tmp_path / AWKWARD, tmp_path / "copy?"
    Ledger(runs / "ledger").append([arm_record("base"), *score_records({"chain": 50}, arm="base")])
    assert mirror(runs).added == 1
    assert len(list((runs / "mlflow-artifacts").glob("*/artifacts/board.md"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == [AWKWARD]
    written = contents_of(default_tracking_uri(runs))

    shutil.copytree(runs, copy)
    before = tree(runs)
    Ledger(copy / "ledger").append([arm_record("sft"), *score_records({"chain": 60}, arm="sft")])
    report = mirror(copy)
    assert (report.added, report.unchanged) == (1, 1)
    assert tree(runs) == before
    assert {path.name for path in tmp_path.iterdir()} == {AWKWARD, "copy?"}

    shutil.rmtree(runs)
    found = contents_of(default_tracking_uri(copy))
    assert {run["name"] for run in found} == {"base seed 0", "sft seed 0", "quickstart"}
    assert [run for run in found if run["name"] == "base seed 0"] == [
        run for run in written if run["name"] == "base seed 0"
    ]


def test_a_moved_store_is_shown_with_its_own_files(tmp_path):
    (tmp_path / "ledger").mkdir()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (artifact_location)")
        database.execute("CREATE TABLE runs (run_uuid, artifact_uri)")
        database.execute("CREATE TABLE tags (run_uuid, key, value)")
        for address in ("file:///old/mlflow-artifacts", "file:///old/mlflow-artifacts/0", "s3://own/choice"):
            database.execute("INSERT INTO experiments VALUES (?)", [address])
        for run, root in (("here", "file:///a/mlflow-artifacts"), ("lost", "file:///b/mlflow-artifacts")):
            database.execute("INSERT INTO runs VALUES (?, ?)", [run, f"{root}/{run}/artifacts"])
            database.execute("INSERT INTO tags VALUES (?, 'lrbench.digest', '')", [run])
    (tmp_path / "mlflow-artifacts/here/artifacts").mkdir(parents=True)
    check_servable(tmp_path, 0)
    root = (tmp_path / "mlflow-artifacts").as_uri()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        found = [address for (address,) in database.execute("SELECT artifact_location FROM experiments")]
        runs = dict(database.execute("SELECT run_uuid, artifact_uri FROM runs"))
        whole = [run for (run,) in database.execute("SELECT run_uuid FROM tags")]
    assert found == [root, f"{root}/0", "s3://own/choice"]
    assert runs == {"here": f"{root}/here/artifacts", "lost": f"{root}/lost/artifacts"}
    # The other one's files stayed behind: it is made anew.
    assert whole == ["here"]


def test_a_store_that_cannot_be_read_or_written_is_said(tmp_path):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match=r"the store of this folder \(file is not a database"):
        check_servable(tmp_path, 0)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_a_pipe_device_or_folder_is_no_store(tmp_path, make):
    make(tmp_path / "mlflow.db")
    with pytest.raises(UserError, match="it is no file but a folder, a pipe or a device; move it away"):
        check_servable(tmp_path, 0)


@pytest.mark.slow
def test_a_name_that_is_no_text_is_refused(tmp_path, arm_record, score_records):
    runs = tmp_path / os.fsdecode(b"a\xffb")
    Ledger(runs / "ledger").append([arm_record("base"), *score_records({"chain": 50}, arm="base")])
    with pytest.raises(RunError, match="the folder's name is no UTF-8 text, which MLflow needs; rename it"):
        mirror(runs)
    assert not (runs / "mlflow.db").exists()


def test_an_address_names_its_file_whatever_it_is_called(tmp_path):
    for name in (AWKWARD, "runs", "a?b", "100%", "%3F", "a#b", "file:x"):
        runs = tmp_path / name
        assert database_file(default_tracking_uri(runs)) == runs / "mlflow.db"
