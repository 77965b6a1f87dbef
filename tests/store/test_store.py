"""The store serves what is whole, says what is damaged, and lists what is unfinished."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lrbench.errors import StoreError
from lrbench.store.locks import hold
from lrbench.store.store import Store

NOBODY = 65534


def test_nothing_is_found_and_nothing_made_in_a_store_that_does_not_exist(work):
    assert work.find() is None
    assert not work.store.exists(work.stage, work.key)
    assert work.store.drafts() == []
    assert not work.root.exists()


def test_finished_work_is_found_by_the_next_process(work):
    artifact = work.do()
    work.new_process()
    assert work.find() == artifact
    assert work.store.exists(work.stage, work.key)


def test_finished_work_is_not_done_again(work):
    work.do()
    work.made.clear()
    work.new_process()
    work.do()
    assert work.made == []


def test_existence_is_told_by_names_and_sizes_and_nothing_is_moved(work):
    work.do()
    (work.directory / "shard-0.bin").write_bytes(b"short")
    assert not work.store.exists(work.stage, work.key)
    assert work.directory.exists()
    assert work.damage == []


def test_a_reader_is_told_of_damage_and_nothing_is_moved(work):
    work.do()
    assert work.store.look(work.stage, work.key) == work.find()
    (work.directory / "shard-0.bin").write_bytes(b"other")
    with pytest.raises(StoreError, match=r"is damaged: shard-0\.bin has 5 bytes.*next run"):
        work.store.look(work.stage, work.key)
    assert work.directory.exists()
    assert not (work.root / "damaged").exists()


def test_a_change_after_the_first_verification_is_found_too(work):
    work.do()
    assert work.find() is not None
    path = work.directory / "shard-0.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert work.find() is None


def test_damage_found_twice_is_kept_twice(work):
    for _ in range(2):
        work.do()
        (work.directory / "shard-0.bin").unlink()
        assert work.find() is None
    assert {path.name for path in (work.root / "damaged").iterdir()} == {
        f"scores-{work.key}.{n}" for n in (1, 2)
    }


def test_by_default_damage_is_logged(work, caplog):
    work.do()
    (work.directory / "shard-0.bin").unlink()
    assert Store(work.root).find(work.stage, work.key) is None
    assert "shard-0.bin is missing" in caplog.text


def test_damage_under_another_processes_lock_is_neither_served_nor_moved(work):
    work.do()
    (work.directory / "shard-0.bin").unlink()
    program = (
        "import sys; from pathlib import Path; from lrbench.store.store import Store\n"
        "damage = []\n"
        f"found = Store(Path({str(work.root)!r}), damage.append).find({work.stage!r}, {work.key!r})\n"
        "sys.exit(0 if found is None and damage == [] else 1)"
    )
    with hold(work.root / "locks" / f"{work.stage}-{work.key}.lock"):
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert work.directory.exists()


def test_unfinished_work_is_listed_with_what_is_committed(work):
    with work.lock():
        draft = work.draft()
        work.commit_all(draft)
        draft.discard("empty.bin")
    (summary,) = work.store.drafts()
    assert (summary.stage, summary.key, summary.directory) == (work.stage, work.key, work.draft_directory)
    assert (summary.committed_files, summary.spent_seconds) == (3, 2.0)


@pytest.mark.parametrize("place", ["", "journal.jsonl"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_device_in_the_place_of_a_draft_is_no_draft(work, place, make):
    path = work.draft_directory / place
    path.parent.mkdir(parents=True)
    make(path)
    assert [draft.committed_files for draft in work.store.drafts()] == [0] * bool(place)
    assert work.store.strays() == ([] if place else [path])
    work.do()
    assert work.find() is not None
    assert work.store.drafts() == []


def test_a_pipe_in_the_place_of_a_lock_neither_waits_nor_is_taken(work):
    (work.root / "locks").mkdir(parents=True)
    os.mkfifo(work.root / "locks" / f"scores-{work.key}.lock")
    with suppress(StoreError):
        work.do()


def test_a_draft_left_behind_a_finished_artifact_is_not_listed(work):
    work.do()
    work.draft_directory.mkdir()
    assert work.store.drafts() == []


def test_locking_twice_in_one_process_is_refused(work):
    with work.lock(), pytest.raises(RuntimeError, match="already"), work.lock():
        pass


@pytest.mark.parametrize("stage", ["", "locks", "damaged", "../x", "Scores", "a/b", "-a", "scores\n"])
def test_a_stage_name_that_could_collide_or_escape_is_refused(work, stage):
    with pytest.raises(ValueError, match="cannot name a stage"):
        work.store.find(stage, work.key)


@pytest.mark.parametrize("key", ["", "abc", "../" + "0" * 61, "0" * 64 + "\n", "0" * 63 + "G"])
def test_what_is_no_key_is_refused(work, key):
    with pytest.raises(ValueError, match="is no key"):
        work.store.find(work.stage, key)


@contextmanager
def without_privileges():
    """As an ordinary user: the superuser may write everywhere."""
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


@pytest.fixture
def work_to_lock_up(work_at):
    """Work in a place that an ordinary user can reach, unlike pytest's own."""
    place = Path(tempfile.mkdtemp(prefix="lrbench-store-"))
    place.chmod(0o755)
    work = work_at(place / "runs")
    work.root.mkdir()
    yield work
    work.root.chmod(0o755)
    shutil.rmtree(place)


def test_a_read_only_store_refuses_work_with_its_path(work_to_lock_up):
    work_to_lock_up.root.chmod(0o555)
    with (
        without_privileges(),
        pytest.raises(StoreError, match=r"cannot use .*runs.*: permission denied\. Make"),
    ):
        work_to_lock_up.do()


def test_a_read_only_store_still_serves_what_is_whole(work_to_lock_up):
    artifact = work_to_lock_up.do()
    work_to_lock_up.new_process()
    work_to_lock_up.root.chmod(0o555)
    with without_privileges():
        assert work_to_lock_up.find() == artifact


def test_an_unreadable_artifact_is_an_error_and_not_damage(work_to_lock_up):
    work_to_lock_up.do()
    work_to_lock_up.new_process()
    path = work_to_lock_up.directory / "shard-0.bin"
    path.chmod(0)
    with (
        without_privileges(),
        pytest.raises(StoreError, match=r"cannot use .*shard-0\.bin: permission denied"),
    ):
        work_to_lock_up.find()
    path.chmod(0o644)
    assert work_to_lock_up.find() is not None


def test_importing_the_store_brings_no_heavy_package():
    program = (
        "import sys, lrbench.store.store\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pyarrow', 'filelock', 'transformers', 'mlflow', 'asyncio'}\n"
        "sys.exit(' '.join(heavy & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
