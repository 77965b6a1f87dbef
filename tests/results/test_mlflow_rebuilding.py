"""The tracking server dies in the middle of a run; what a rebuild makes equals an undisturbed run's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from lrbench.results.ledger import Ledger
from lrbench.results.mlflow import background as mlflow_background
from lrbench.results.mlflow.background import mirrored
from lrbench.results.mlflow.mirror import mirror
from lrbench.results.mlflow.place import default_tracking_uri
from lrbench.results.mlflow.serving import server_command, server_environment
from tests.commands import lrbench
from tests.results.mlflow_contents import contents_of

pytestmark = pytest.mark.usefixtures("empty_place", "quick_stores")

CURVE = [(update, 1 / (update + 1)) for update in range(30)]
STATISTICS = {"divergence": {"mean_kl": 0.3, "kl_histogram": {"edges": [0, 0.1, 1], "counts": [9, 2]}}}


class Server:
    """A real tracking server over a folder, on a port of its own."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.environment = server_environment(folder, os.environ)
        folder.mkdir()
        self.process = None
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            server_command(self.port), env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 300
        while not self.answers():
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.2)

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.mark.slow
def test_a_server_killed_mid_run_then_a_rebuild_equals_an_undisturbed_run(
    tmp_path, arm_record, score_records, monkeypatch
):
    monkeypatch.setattr(mlflow_background, "SECONDS_AT_END", 120.0)
    server = Server(tmp_path / "a server? 100%41 #1 d@e:'f'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    ledger = Ledger(tmp_path / "runs" / "ledger")
    said = []

    def record(arm):
        trained = arm != "base"
        arm = arm_record(
            arm, curves={"loss": CURVE} if trained else {}, statistics=STATISTICS if trained else {}
        )
        ledger.append([arm, *score_records({"chain": 50, "vary": 60}, arm=arm.arm)])

    server.start()
    try:
        with mirrored(tmp_path / "runs", said.append) as mirroring:
            mirroring.start()
            record("base")
            mirroring.tell()
            # Killed while the first arm is being told, or just after.
            until = time.monotonic() + 300
            while not any(server.folder.glob("mlflow-artifacts/*/*/artifacts/*")):
                assert time.monotonic() < until, "the first arm never arrives"
                time.sleep(0.02)
            server.kill()
            for arm in ("sft", "lightr"):
                record(arm)
                mirroring.tell()
        (warning,) = said
        assert "`lrbench rebuild`" in warning

        server.start()
        # In a process of its own: MLflow keeps what it knows of a store.
        rebuilt = lrbench("rebuild", "--runs", tmp_path / "runs", MLFLOW_TRACKING_URI=server.address)
        assert "holds 3 arms" in rebuilt.stdout, rebuilt.stderr
        disturbed = contents_of(server.address)
    finally:
        server.kill()

    # Nothing disturbs a store without a server.
    shutil.copytree(ledger.folder, tmp_path / "copy" / "ledger")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert mirror(tmp_path / "copy").added == 3
    assert disturbed == contents_of(default_tracking_uri(tmp_path / "copy"))
