"""What is written outside a runs folder is announced there, and found when its writer was killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from lrbench.store.outside import FOLDER, announced, leftovers, place_beside, remove_leftover


def write_and_wait(runs: Path, beside: Path, ready: Any) -> None:
    with announced(runs, beside):
        beside.mkdir()
        (beside / "model.safetensors").write_text("half of it")
        ready.set()
        signal.pause()


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, Path]:
    """A runs folder, and what a killed process had written elsewhere."""
    runs, beside = tmp_path / "runs", place_beside(tmp_path / "elsewhere" / "out")
    beside.parent.mkdir()
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=write_and_wait, args=(runs, beside, ready))
    process.start()
    assert ready.wait(30)
    assert leftovers(runs) == {}, "whoever writes is alive"
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    return runs, beside


def test_what_a_killed_process_left_is_found_and_removed(killed: tuple[Path, Path]) -> None:
    runs, beside = killed
    ((note, path),) = leftovers(runs).items()
    assert path == beside
    remove_leftover(note, path)
    assert not beside.exists()
    assert leftovers(runs) == {}
    assert list((runs / FOLDER).iterdir()) == []


def test_what_ends_well_leaves_no_note(tmp_path: Path) -> None:
    with announced(tmp_path, place_beside(tmp_path / "out")):
        assert len(list((tmp_path / FOLDER).glob("*.json"))) == 1
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_note_never_has_anything_else_removed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / FOLDER).mkdir()
    for number, text in enumerate([json.dumps({"path": str(mine)}), "[" * 100_000, '{"path": 7}', ""]):
        (tmp_path / FOLDER / f"{number}.json").write_text(text)
    os.mkfifo(tmp_path / FOLDER / "pipe.json")
    assert leftovers(tmp_path) == {}
    assert len(list((tmp_path / FOLDER).iterdir())) == 5, "looking writes nothing"
