"""Workers anywhere on one store: what they need to share it, and that they make what a run makes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.errors import UserError
from lrbench.pipeline import sharing
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.sharing import announced, check_locks
from lrbench.recipe.schema import Recipe
from tests.commands import started
from tests.pipeline.test_workers import contents, recorded

ROOT = "rootfs / ext4 rw 0 0\n"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A folder on a file system of a kind, with options, as the kernel would list it."""

    def mount(kind_and_options: str) -> Path:
        kind, options = kind_and_options.split()
        folder = tmp_path / "shared runs"
        folder.mkdir(exist_ok=True)
        escaped = str(folder).replace(" ", "\\040")
        mounts = tmp_path / "mounts"
        mounts.write_text(f"{ROOT}tmpfs {escaped} tmpfs rw 0 0\nserver:/x {escaped} {kind} {options} 0 0\n")
        monkeypatch.setattr(sharing, "MOUNTS", mounts)
        return folder / "runs"

    return mount


@pytest.mark.parametrize(
    ("mount", "how"),
    [
        ("nfs rw,nolock,vers=3", " with `nolock`"),
        ("nfs4 rw,local_lock=all", " with `local_lock=all`"),
        ("lustre rw,localflock", " with `localflock`"),
        ("fuse.sshfs rw", ""),
    ],
)
def test_locks_of_one_machine_alone_are_found_out(
    mounted: Callable[[str], Path], mount: str, how: str
) -> None:
    runs = mounted(mount)
    with pytest.raises(UserError) as refused:
        check_locks(runs)
    assert str(refused.value) == (
        f"{runs} is on {mount.split()[0]}, mounted at {runs.parent}{how}: its locks hold on one machine "
        "alone, so workers on several would do the same work over each other. Choose a folder whose locks "
        "hold everywhere with --runs, or have one machine do the work, with runtime.workers"
    )


@pytest.mark.parametrize("mount", ["nfs4 rw,local_lock=none", "lustre rw,flock", "tmpfs rw,nolock"])
def test_locks_that_hold_everywhere_are_not(mounted: Callable[[str], Path], mount: str) -> None:
    check_locks(mounted(mount))


def test_other_versions_at_work_on_the_recipe_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that was killed has left its files.
    left = tmp_path / "workers" / "elsewhere-1-ab.json"
    left.parent.mkdir()
    left.write_text('{"recipe": "mine", "environment": {"torch": "0.1"}}')
    left.with_suffix(".lock").touch()
    with announced(tmp_path, "mine"):
        monkeypatch.setattr(sharing, "environment", lambda: {"torch": "9.0"})
        with (
            pytest.raises(UserError, match=r"works on mine with lrbench \S+, and here is none: work that is"),
            announced(tmp_path, "mine", alike=True),
        ):
            pytest.fail("work began")
        with announced(tmp_path, "another", alike=True):
            assert len(list(left.parent.glob("*.json"))) == 2
    assert list(left.parent.iterdir()) == []


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe()


def test_two_workers_one_of_them_killed_make_what_a_run_makes_and_a_run_records_it(
    recipe: Recipe, runs: Path, tmp_path: Path
) -> None:
    path, shared = tmp_path / "tiny.yaml", tmp_path / "shared"
    path.write_text(recipe.model_dump_json(exclude_unset=True))
    words = ["worker", path, "--runs", shared]
    with started(*words) as first, started(*words) as second:
        while not list(shared.glob("store/rollouts/*/manifest.json")) and first.process.is_alive():
            time.sleep(0.05)
        first.process.kill()
        found = second.end()
    assert found.returncode == 0, found.stderr
    assert "nothing is left to make" in found.stdout
    assert contents(recipe, shared) == contents(recipe, runs)
    assert not (shared / "ledger").exists()
    report = run_recipe(recipe, shared)
    assert report.worked == 0
    assert recorded(shared) == recorded(runs)
