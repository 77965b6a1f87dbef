"""A runs folder, a bundle and tables as an earlier version wrote them."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the older runs folder as `runs`; only to be read."""
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(HERE / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def older_runs(unpacked: Path, tmp_path: Path) -> Path:
    """The older runs folder, to be worked on."""
    return Path(shutil.copytree(unpacked / "runs", tmp_path / "runs"))
