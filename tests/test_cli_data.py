"""What the command line says when public data is missing or wrong: one message, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import QUICKSTART, lrbench


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    text = QUICKSTART.read_text()
    assert "  suite: embedded7 " in text
    file = tmp_path / "math7.yaml"
    file.write_text(text.replace("  suite: embedded7 ", "  suite: math7 "))
    return file


@pytest.mark.parametrize("command", ["check", "run"])
def test_missing_data_is_one_message_about_what_to_set(tmp_path: Path, recipe: Path, command: str) -> None:
    found = lrbench(
        command,
        recipe,
        cwd=tmp_path,
        HF_HUB_OFFLINE="1",
        LRBENCH_DATA="",
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    assert found.returncode == 2
    assert found.stderr.startswith(
        "the data set gsm8k_test is not on this machine. Set LRBENCH_DATA or runtime.data_root to a folder "
        "that holds it, or give access to the network.\n"
    )
    assert "Traceback" not in found.stderr
    assert not list(tmp_path.rglob("store"))


def test_data_that_was_changed_stops_the_plan(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "gsm8k_test.jsonl").write_text(
        '{"id": "a", "problem": "p", "answer": "1", "solution": null}\n'
    )
    found = lrbench("plan", recipe, cwd=tmp_path, LRBENCH_DATA=str(tmp_path))
    assert found.returncode == 2
    assert (
        "gsm8k_test.jsonl: is not the gsm8k_test that scores are compared on: expected 1319 rows"
        in found.stderr
    )
    assert "found 1 with" in found.stderr


def test_data_that_is_there_passes(tmp_path: Path, recipe: Path, shared: Path) -> None:
    found = lrbench("check", recipe, cwd=tmp_path, LRBENCH_DATA=str(shared / "data"))
    assert (found.returncode, found.stdout) == (0, f"{recipe}: valid\n")
