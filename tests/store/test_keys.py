"""Keys tell works apart; file hashes are computed once per content and never out of date."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from lrbench.store import keys
from lrbench.store.canonical import seal
from lrbench.store.keys import FileHashes, hash_file, stage_key

ARGUMENTS = ("scores", 1, {"alpha": 0.2, "models": ["a", "b"]}, {"rollouts": "1" * 64})


@pytest.mark.parametrize(
    "other",
    [
        ("rollouts", *ARGUMENTS[1:]),
        ("scores", 2, *ARGUMENTS[2:]),
        ("scores", 1, {"alpha": 0.2, "models": ["a", "c"]}, ARGUMENTS[3]),
        ("scores", 1, {"models": ["a", "b"]}, ARGUMENTS[3]),
        (*ARGUMENTS[:3], {"rollouts": "2" * 64}),
        (*ARGUMENTS[:3], {"problems": "1" * 64}),
        (*ARGUMENTS[:3], {}),
        ("scores", 1, ARGUMENTS[3], ARGUMENTS[2]),
    ],
)
def test_whatever_can_change_the_output_changes_the_key(other):
    assert stage_key(*other) != stage_key(*ARGUMENTS)


def test_the_key_does_not_depend_on_the_order_of_fields():
    assert stage_key("scores", 1, {"models": ["a", "b"], "alpha": 0.2}, ARGUMENTS[3]) == stage_key(*ARGUMENTS)


def test_an_identity_json_cannot_hold_is_refused_with_its_place():
    with pytest.raises(TypeError, match=r"^identity\.folder is a \w+, which JSON cannot hold$"):
        stage_key("scores", 1, {"folder": Path("x")}, {})


def test_a_file_hashes_as_its_content(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"w" * 300_000)
    expected = hashlib.sha256(b"w" * 300_000).hexdigest()
    assert hash_file(path) == FileHashes().sha256(path) == expected


def test_a_missing_file_has_no_hash(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileHashes(tmp_path / "hashes.json").sha256(tmp_path / "absent")


class Reads:
    """How often each file was really read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(keys, "hash_file", self._hash_file)

    def _hash_file(self, path: Path) -> str:
        self.count += 1
        return hash_file(path)


@pytest.fixture
def reads(monkeypatch):
    return Reads(monkeypatch)


@pytest.fixture
def pass_time(monkeypatch):
    real, offset = time.time_ns, [0]
    monkeypatch.setattr(keys.time, "time_ns", lambda: real() + offset[0])

    def advance(seconds: float) -> None:
        offset[0] += int(seconds * 1e9)

    return advance


@pytest.fixture
def old_file(tmp_path, pass_time):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old content")
    pass_time(10)
    return path


def test_an_unchanged_file_is_read_once_over_processes(tmp_path, old_file, reads):
    cache = tmp_path / "cache" / "hashes.json"
    first = FileHashes(cache).sha256(old_file)
    assert FileHashes(cache).sha256(old_file) == first
    assert reads.count == 1


def test_a_file_touched_within_the_last_two_seconds_is_read_again(tmp_path, reads, pass_time):
    path = tmp_path / "fresh.bin"
    path.write_bytes(b"fresh")
    hashes = FileHashes(tmp_path / "hashes.json")
    hashes.sha256(path)
    hashes.sha256(path)
    assert reads.count == 2
    pass_time(3)
    hashes.sha256(path)
    hashes.sha256(path)
    assert reads.count == 3


def rewrite_in_place(path: Path) -> None:
    path.write_bytes(b"new content")


def rewrite_in_place_with_the_old_times(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"new content")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_with_the_old_times(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"new content")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    "change", [rewrite_in_place, rewrite_in_place_with_the_old_times, replace_with_the_old_times]
)
def test_a_changed_file_of_the_same_size_has_its_new_hash(tmp_path, old_file, change):
    hashes = FileHashes(tmp_path / "hashes.json")
    hashes.sha256(old_file)
    time.sleep(0.02)
    change(old_file)
    assert hashes.sha256(old_file) == hashlib.sha256(b"new content").hexdigest()


SEALED = [
    [],
    "text",
    {"a": 1},
    {"a": [1, 2, 3, 4, "no hash"]},
    {"a": [1, 2, 3, 4]},
    {"a": [True, 2, 3, 4, "0" * 64]},
]
DAMAGES = [b"", b"not json", b"\xff\0", b"[]", b"[" * 100_000, b'{"a":' * 100_000, b'{"files": {}}', None]


@pytest.mark.parametrize("damage", [*DAMAGES, *(seal({"files": entry}).encode() for entry in SEALED)])
def test_a_damaged_cache_is_ignored(tmp_path, old_file, reads, damage):
    cache = tmp_path / "hashes.json"
    expected = FileHashes(cache).sha256(old_file)
    content = cache.read_bytes()
    cache.write_bytes(content.replace(expected.encode(), b"0" * 64) if damage is None else damage)
    assert FileHashes(cache).sha256(old_file) == expected
    assert reads.count == 2


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_cache_file_is_ignored(tmp_path, old_file, make):
    cache = tmp_path / "hashes.json"
    make(cache)
    assert FileHashes(cache).sha256(old_file) == hashlib.sha256(b"old content").hexdigest()


def test_a_cache_larger_than_any_is_ignored(tmp_path, old_file, reads):
    cache = tmp_path / "hashes.json"
    cache.touch()
    os.truncate(cache, 2**40)
    FileHashes(cache).sha256(old_file)
    FileHashes(cache).sha256(old_file)
    assert reads.count == 1


def test_a_cache_that_cannot_be_kept_costs_only_time(tmp_path, old_file):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    hashes = FileHashes(tmp_path / "blocked" / "hashes.json")
    assert hashes.sha256(old_file) == hashlib.sha256(b"old content").hexdigest()


def test_two_files_of_one_name_in_two_folders_stay_apart(tmp_path, pass_time):
    for folder in ("expert", "amateur"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors").write_text(folder.ljust(8))
    pass_time(10)
    hashes = FileHashes(tmp_path / "hashes.json")
    assert len({hashes.sha256(tmp_path / name / "model.safetensors") for name in ("expert", "amateur")}) == 2
