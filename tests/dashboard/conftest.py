"""Pages over runs folders, and servers and a browser to look at them with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import streamlit as st
from lrbench_dashboard.loading import RUNS_VARIABLE
from streamlit.testing.v1 import AppTest

from tests.commands import LRBENCH

ROOT = Path(__file__).parents[2]
APP = ROOT / "dashboard" / "lrbench_dashboard" / "app.py"
START_SECONDS = 60


@pytest.fixture(autouse=True)
def same_main_module() -> Iterator[None]:
    """AppTest makes the page the main module, which processes that are spawned later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def address_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest has no browser in which the address of an opened page is completed."""
    monkeypatch.setattr(
        "lrbench_dashboard.address.complete", lambda query: st.query_params.from_dict(parse_qs(query))
    )


FRAMED = """
import runpy
from lrbench_dashboard import state

state.begin()
runpy.run_path({page!r}, run_name="__main__")
state.write(whole=True)
"""


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens a page of the app over a runs folder, its URL's query given, and runs it."""

    def opened(runs: Path, name: str = "leaderboard", /, **query: str | list[str]) -> AppTest:
        monkeypatch.setenv(RUNS_VARIABLE, str(runs))
        # AppTest runs a page it is switched to without the app around it, which keeps the URL.
        framed = FRAMED.format(page=str(APP.parent / "pages" / f"{name}.py"))
        at_first = name == "leaderboard"
        make = AppTest.from_file if at_first else AppTest.from_string
        app = make(str(APP) if at_first else framed, default_timeout=60)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return opened


@contextmanager
def served(
    runs: Path,
    log: Path,
    lrbench: Sequence[str] = LRBENCH,
    cwd: Path = ROOT,
    variables: Mapping[str, str] = os.environ,
) -> Iterator[str]:
    """The dashboard of `runs`, served as `make leaderboard` does; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*lrbench, "dashboard", "--runs", str(runs), "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=cwd, stdout=output, stderr=output, env={**variables, "OMP_NUM_THREADS": "1"}
        )
        try:
            _wait_until_healthy(address, server, log)
            yield address
        finally:
            server.terminate()
            server.wait(20)


def _wait_until_healthy(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the dashboard ended: {log.read_text()}"
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the dashboard did not start: {log.read_text()}")
