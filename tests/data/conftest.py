"""No data of this machine, and a network that is only a dictionary."""

from __future__ import annotations

import io
import urllib.error
from pathlib import Path
from typing import IO

import pytest


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder and an empty cache, whatever this machine has."""
    monkeypatch.delenv("LRBENCH_DATA", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Address -> body; what is not there cannot be reached."""
    bodies: dict[str, bytes] = {}

    def download(url: str) -> IO[bytes]:
        if url not in bodies:
            raise urllib.error.URLError("no route to host")
        return io.BytesIO(bodies[url])

    monkeypatch.setattr("lrbench.data.fetching.download", download)
    return bodies
