"""Mirroring beside a run: nothing it does, or fails to do, can be felt by the run."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from lrbench.results.ledger import Ledger
from lrbench.results.mlflow import background as mlflow_background
from lrbench.results.mlflow.background import mirrored
from lrbench.results.mlflow.mirror import mirror
from lrbench.results.mlflow.place import default_tracking_uri, is_mirrored
from tests.results.mlflow_contents import contents_of

pytestmark = pytest.mark.usefixtures("empty_place", "quick_stores")

# A run that records its second arm only after it is told to, so that a test can strike in between.
RUN = """
import sys
from pathlib import Path
from lrbench.results.mlflow.background import mirrored

with mirrored(Path(sys.argv[1]), print) as mirroring:
    mirroring.start()
    mirroring.tell()
    print("recorded", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _mirroring(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("LRBENCH_MLFLOW", raising=False)


@pytest.fixture
def record(tmp_path, arm_record, score_record):
    """Records an arm in the ledger of the runs folder `tmp_path`."""

    def add(arm):
        Ledger(tmp_path / "ledger").append([arm_record(arm), score_record(arm=arm)])

    return add


def run(runs, record, arms=("base", "lightr"), work=True):
    """What a run says that makes `arms`."""
    said = []
    with mirrored(runs, said.append) as mirroring:
        if work:
            mirroring.start()
        for arm in arms:
            record(arm)
            mirroring.tell()
    return said


@contextmanager
def silent_server():
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "this never came about"
        time.sleep(0.05)


def processes_over(runs):
    """The mirroring processes of a runs folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [])[2:] == ["-m", "lrbench.results.mlflow.background", str(runs)]
        and process.status() != psutil.STATUS_ZOMBIE
    ]


def interrupted(runs, condition, failure):
    """A run that ends in `failure` as soon as `condition` holds, its mirroring being at work."""

    def struck():
        with mirrored(runs, pytest.fail) as mirroring:
            mirroring.start()
            mirroring.tell()
            wait_until(condition, seconds=120)
            raise failure

    with pytest.raises(failure):
        struck()


@pytest.mark.slow
def test_a_run_ends_with_its_arms_mirrored_and_says_nothing(tmp_path, record, monkeypatch):
    monkeypatch.setattr(mlflow_background, "SECONDS_AT_END", 120.0)
    assert run(tmp_path, record) == []
    assert is_mirrored(tmp_path)
    assert [content["name"] for content in contents_of(default_tracking_uri(tmp_path))] == [
        "base seed 0", "lightr seed 0", "quickstart"
    ]  # fmt: skip
    assert processes_over(tmp_path) == []
    assert mirror(tmp_path).unchanged == 2


def test_a_run_with_nothing_to_do_starts_no_process(tmp_path, record, monkeypatch):
    record("base")
    monkeypatch.setattr(mlflow_background, "is_mirrored", lambda _: True)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    assert run(tmp_path, record, arms=(), work=False) == []


def test_mirroring_can_be_switched_off(tmp_path, record, monkeypatch):
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    assert run(tmp_path, record) == []
    assert {path.name for path in tmp_path.iterdir()} == {"ledger"}


def test_without_mlflow_a_run_says_in_one_line_how_to_get_it(tmp_path, record, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    (line,) = run(tmp_path, record)
    assert line.startswith(
        "Nothing is mirrored to MLflow, which is not installed. `pip install 'lrbench[mlflow]'`"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"ledger"}
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    assert run(tmp_path, record, arms=["again"]) == []


@pytest.mark.slow
def test_a_server_that_is_down_is_one_warning_however_many_arms(tmp_path, record, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{closed_port()}")
    monkeypatch.setattr(mlflow_background, "SECONDS_AT_END", 120.0)
    (warning,) = run(tmp_path, record)
    assert warning.startswith("warning: MLflow at http://***@127.0.0.1:")
    assert warning.count("Every result is safe in the ledger") == 1
    assert warning.count("`lrbench rebuild`") == 1
    assert "secret" not in warning
    assert not is_mirrored(tmp_path)


def test_a_server_that_never_answers_holds_up_the_end_only_so_long(tmp_path, record, monkeypatch):
    monkeypatch.setattr(mlflow_background, "SECONDS_AT_END", 0.5)
    with silent_server() as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        (warning,) = run(tmp_path, record)
    assert "was not brought up to date: it did not finish within" in warning
    assert "`lrbench rebuild`" in warning
    assert processes_over(tmp_path) == []


def test_a_process_that_cannot_be_started_is_a_warning(tmp_path, record, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    (warning,) = run(tmp_path, record)
    assert "its process could not be started (No such file or directory)" in warning


def test_a_folder_in_the_place_of_the_note_is_one_warning(tmp_path, record, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "mirrored.json").mkdir()
    (warning,) = run(tmp_path, record, work=False)
    assert "`lrbench rebuild`" in warning


def test_no_failure_of_the_mirroring_ends_a_finished_run(tmp_path, record, monkeypatch):
    def fail(_):
        raise RuntimeError("never thought of, http://me:secret@host")

    monkeypatch.setattr(mlflow_background, "is_mirrored", fail)
    (warning,) = run(tmp_path, record)
    assert "was not brought up to date: RuntimeError: never thought of" in warning
    assert "secret" not in warning
    assert processes_over(tmp_path) == []


def test_a_process_that_is_killed_is_a_warning(tmp_path, record):
    said = []
    with mirrored(tmp_path, said.append) as mirroring:
        mirroring.start()
        record("base")
        wait_until(lambda: processes_over(tmp_path))
        (process,) = processes_over(tmp_path)
        os.kill(process, signal.SIGKILL)
        for _ in range(3):
            mirroring.tell()
    (warning,) = said
    assert "its process ended unexpectedly (exit code -9)" in warning


def test_a_run_that_fails_or_is_interrupted_leaves_no_process(tmp_path):
    for failure in (ValueError, KeyboardInterrupt):
        interrupted(tmp_path, lambda: bool(processes_over(tmp_path)), failure)
        assert processes_over(tmp_path) == []


@pytest.mark.slow
def test_a_killed_run_leaves_a_process_that_mirrors_what_was_recorded_and_ends(tmp_path, record):
    record("base")
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "recorded\n"
    run.kill()
    run.communicate()
    wait_until(lambda: not processes_over(tmp_path), seconds=120)
    assert is_mirrored(tmp_path)
    assert len(contents_of(default_tracking_uri(tmp_path))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("after", [".mlflow.db.draft", "mlflow.db", "mlflow-artifacts"])
def test_a_process_killed_at_any_moment_leaves_what_a_rebuild_completes(tmp_path, record, after):
    for arm in ("base", "sft", "lightr"):
        record(arm)
    interrupted(tmp_path, (tmp_path / after).exists, KeyboardInterrupt)
    report = mirror(tmp_path)
    assert report.added + report.renewed + report.unchanged == 3
    assert not (tmp_path / ".mlflow.db.draft").exists()
    assert sorted(content["name"] for content in contents_of(default_tracking_uri(tmp_path))) == [
        "base seed 0", "lightr seed 0", "quickstart", "sft seed 0",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_full_disk_is_a_warning_and_a_rebuild_completes_it(tmp_path, record, monkeypatch):
    monkeypatch.setattr(mlflow_background, "SECONDS_AT_END", 120.0)
    popen = subprocess.Popen

    def on_a_small_disk(*arguments, **options):
        # No file of the process grows beyond this; the database wants a megabyte.
        limit = (400_000, resource.RLIM_INFINITY)
        process = popen(*arguments, **options)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
        return process

    monkeypatch.setattr(subprocess, "Popen", on_a_small_disk)
    (warning,) = run(tmp_path, record)
    assert "mlflow.db could not be brought up to date" in warning
    assert not (tmp_path / "mlflow.db").exists()
    monkeypatch.undo()
    assert mirror(tmp_path).added == 2


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, record, monkeypatch):
    record("base")
    monkeypatch.setattr(mlflow_background, "SECONDS_AT_END", 120.0)
    tmp_path.chmod(0o555)
    try:
        (warning,) = run(tmp_path, record, arms=())
    finally:
        tmp_path.chmod(0o755)
    assert "could not be brought up to date" in warning
