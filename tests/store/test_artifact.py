"""Every byte of an artifact is proven: whatever is changed in it is found, and never served."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.store import artifact, keys
from lrbench.store.artifact import DamageError, check_file_name, read_artifact, read_manifest
from lrbench.store.canonical import seal, unseal
from lrbench.store.keys import FileHashes

EVERY_FILE = [
    "shard-0.bin", "shard-1.bin", "adapter/weights.bin", "empty.bin", "manifest.json", "provenance.json"
]  # fmt: skip
FILES_WITH_BYTES = [name for name in EVERY_FILE if name != "empty.bin"]


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes() or b"\0")
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def delete(path: Path) -> None:
    path.unlink()


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def swap_for_a_link_to_the_same_content(path: Path) -> None:
    artifact = next(folder for folder in path.parents if folder.parent.name == "scores")
    elsewhere = artifact.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def swap_for_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def swap_for_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def swap_for_a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


CHANGES = [
    flip_a_byte,
    truncate,
    empty,
    delete,
    lengthen,
    swap_for_a_link_to_the_same_content,
    swap_for_a_folder,
    swap_for_a_pipe,
    swap_for_a_device,
]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (name, change)
        for name in EVERY_FILE
        for change in CHANGES
        if name != "empty.bin" or change not in (truncate, empty)
    ],
)
def test_a_changed_file_of_any_kind_is_found_put_aside_and_made_again(work, name, change):
    sound = work.do()
    change(work.directory / name)
    work.new_process()

    assert work.find() is None
    assert not work.directory.exists()
    aside = work.root / "damaged" / f"scores-{work.key}.1"
    assert aside.is_dir()
    assert len(work.damage) == 1
    assert f"scores/{work.key} is damaged: " in work.damage[0]
    assert f"Moved to {aside}; it will be made again." in work.damage[0]

    assert work.do().content_hash == sound.content_hash
    work.new_process()
    assert work.find().content_hash == sound.content_hash
    assert len(work.damage) == 1


def test_what_is_no_file_of_its_own_is_called_so(work):
    work.do()
    swap_for_a_pipe(work.directory / "shard-0.bin")
    assert work.find() is None
    assert "shard-0.bin is a link, a pipe or a device and no file of its own" in work.damage[0]


def test_a_manifest_larger_than_any_is_damage(work):
    work.do()
    os.truncate(work.directory / "manifest.json", 2**40)
    assert work.find() is None
    assert "manifest.json cannot be read: it has more than the 67,108,864 bytes" in work.damage[0]


def test_a_manifest_of_brackets_is_damage(work):
    work.do()
    (work.directory / "manifest.json").write_bytes(b"[" * 100_000)
    assert work.find() is None
    assert "manifest.json is damaged (nested deeper than any record)" in work.damage[0]


@pytest.mark.parametrize("name", ["extra.bin", ".hidden", "adapter/extra.bin", "folder/extra.bin"])
def test_a_file_nobody_listed_is_damage(work, name):
    work.do()
    path = work.directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"extra")
    assert work.find() is None
    assert f"{name} does not belong to it" in work.damage[0]


def test_a_folder_nobody_listed_is_damage(work):
    work.do()
    (work.directory / "folder").mkdir()
    assert work.find() is None
    assert "folder does not belong to it" in work.damage[0]


def test_an_artifact_at_another_key_is_damage(work):
    sound = work.do()
    other = "f" * 64
    work.directory.rename(work.directory.with_name(other))
    assert work.store.find("scores", other) is None
    assert f"belongs to scores/{sound.key}" in work.damage[0]


@pytest.fixture(scope="module")
def sound_directory(tmp_path_factory, work_at):
    return work_at(tmp_path_factory.mktemp("sound")).do().directory


@given(data=st.data())
def test_one_flipped_bit_anywhere_is_found(sound_directory, tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("flipped") / "artifact"
    shutil.copytree(sound_directory, directory)
    assert read_artifact(directory, "scores", sound_directory.name, FileHashes()).files
    path = directory / data.draw(st.sampled_from(FILES_WITH_BYTES))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    with pytest.raises(DamageError):
        read_artifact(directory, "scores", sound_directory.name, FileHashes())


@given(data=st.data())
def test_a_cut_anywhere_is_found_without_reading_contents(sound_directory, tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("cut") / "artifact"
    shutil.copytree(sound_directory, directory)
    path = directory / data.draw(st.sampled_from(FILES_WITH_BYTES))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DamageError):
        read_manifest(directory, "scores", sound_directory.name)


def test_equal_work_in_two_stores_at_two_times_has_one_content_hash(work, work_at, tmp_path):
    first, second = work.do(), work_at(tmp_path / "elsewhere").do()
    assert first.content_hash == second.content_hash
    assert first.created_at < second.created_at


def test_another_statistic_is_another_content_hash(work, work_at, tmp_path):
    other = work_at(tmp_path / "elsewhere")
    with other.lock():
        draft = other.draft()
        other.commit_all(draft)
        artifact = draft.finish({"shards": 2, "mean_kl": 0.26})
    assert artifact.content_hash != work.do().content_hash


def test_an_artifact_tells_all_about_itself(work):
    artifact = work.do()
    assert (artifact.stage, artifact.version, artifact.key) == ("scores", 3, work.key)
    assert artifact.identity == work.identity
    assert artifact.inputs == work.inputs
    assert artifact.statistics == {"shards": 2, "mean_kl": 0.25}
    assert [record.name for record in artifact.files] == sorted(
        ["shard-0.bin", "shard-1.bin", "adapter/weights.bin", "empty.bin"]
    )
    assert artifact.seconds == 2.0
    assert artifact.created_at.utcoffset().total_seconds() == 0
    work.new_process()
    assert work.find() == artifact


def test_a_file_is_asked_for_by_its_name(work):
    artifact = work.do()
    assert artifact.file("adapter/weights.bin").read_bytes() == bytes(range(256))
    with pytest.raises(KeyError, match="has no file 'adapter'"):
        artifact.file("adapter")


def test_an_artifact_of_an_unknown_format_is_not_read(work):
    work.do()
    path = work.directory / "manifest.json"
    path.write_text(seal({**unseal(path.read_bytes(), 1), "format": 99}, 1))
    assert work.find() is None
    assert "unknown format 99" in work.damage[0]


def test_the_manifest_is_readable_json(work):
    artifact = work.do()
    manifest = json.loads((work.directory / "manifest.json").read_text())
    assert manifest["content_hash"] == artifact.content_hash


@pytest.mark.parametrize(
    "name", ["a", "a.bin", "shard-00012.parquet", "adapter/adapter_model.safetensors", "_x"]
)
def test_a_plain_name_can_name_a_file(name):
    check_file_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "/a", "a/", "a//b", "a/../b", "a/.b", ".a", "-a", "a b", "a/b/c", "a\n", "a\\b",
     "é", "manifest.json", "provenance.json"],
)  # fmt: skip
def test_a_name_that_could_escape_hide_or_collide_is_refused(name):
    with pytest.raises(ValueError, match="cannot name a file of an artifact"):
        check_file_name(name)


def test_a_manifest_is_read_once_while_its_file_stays_as_it_is(sound_directory, tmp_path, monkeypatch):
    directory = shutil.copytree(sound_directory, tmp_path / sound_directory.name)
    time.sleep(0.05)
    reads = []
    read = artifact.read_regular
    monkeypatch.setattr(artifact, "read_regular", lambda path: reads.append(path) or read(path))
    monkeypatch.setattr(keys, "CLOCK_TICK_NS", 0)
    manifest = directory / "manifest.json"
    first = read_manifest(directory, "scores", directory.name)
    assert read_manifest(directory, "scores", directory.name) == first
    assert reads == [manifest]
    before = manifest.stat()
    manifest.write_bytes(manifest.read_bytes().replace(b'"version": ', b'"version":\t'))
    os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamageError, match=r"manifest\.json is damaged"):
        read_manifest(directory, "scores", directory.name)
