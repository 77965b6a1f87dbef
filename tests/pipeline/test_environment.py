"""What a result says of the code that made it, and that looking never fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lrbench.pipeline.environment import commit_of, environment


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    commit_of.cache_clear()
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_a_checkout_has_its_commit(checkout: Path) -> None:
    head = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (checkout / "untracked").write_text("")
    assert commit_of(checkout) == head


def test_a_tree_that_differs_from_its_commit_says_so(checkout: Path) -> None:
    (checkout / "file").write_text("")
    subprocess.run(["git", "-C", str(checkout), "add", "file"], check=True)
    assert commit_of(checkout).endswith("+changes")


def test_no_checkout_a_broken_one_and_no_git_say_nothing(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    assert commit_of(tmp_path / "plain") == ""
    assert commit_of(tmp_path / "broken") in ("", commit_of(checkout))
    commit_of.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert commit_of(checkout) == ""


def test_the_environment_names_what_decides_results() -> None:
    found = environment()
    assert {"python", "torch", "transformers", "lrbench"} <= found.keys()
    assert all(found.values())
