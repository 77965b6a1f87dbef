"""Atomic writes, and the system's refusals in plain words."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from lrbench.errors import StoreError
from lrbench.store.files import (
    UnusableFileError,
    read_regular,
    storage_errors,
    write_atomically,
    writing_errors,
)


@pytest.mark.parametrize(("data", "content"), [("é\n", "é\n".encode()), (b"\0\1", b"\0\1"), ("", b"")])
def test_text_and_bytes_are_written_whole(tmp_path, data, content):
    path = tmp_path / "record.json"
    write_atomically(path, "what was there before")
    write_atomically(path, data)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: os.mknod(path, stat.S_IFSOCK)]
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, make):
    path = tmp_path / "record.json"
    make(path)
    told = r"cannot use .*record\.json: it is no file but a pipe, a socket or a device"
    with pytest.raises(StoreError, match=told), storage_errors(path):
        read_regular(path)


def test_a_folder_is_told_from_a_file_and_a_link_is_followed(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    (tmp_path / "there").write_bytes(b"1234")
    (tmp_path / "link").symlink_to("there")
    assert read_regular(tmp_path / "link", 4) == b"1234"
    with pytest.raises(UnusableFileError, match="more than the 3 bytes"):
        read_regular(tmp_path / "link", 3)


def test_a_write_that_fails_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    write_atomically(path, "old")

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=r"record\.json: the disk or quota is full \([\d,]+ .*, 3 needed\)"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_written_atomically_has_the_users_usual_mode(tmp_path):
    usual = tmp_path / "usual"
    usual.write_text("")
    write_atomically(tmp_path / "record.json", "")
    assert (tmp_path / "record.json").stat().st_mode == usual.stat().st_mode


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(
        StoreError, match=r"^cannot use .*/absent/.*: No such file or directory\. Finished work stays\.$"
    ):
        write_atomically(tmp_path / "absent" / "record.json", "")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            errno.ENOSPC,
            r"^cannot write .*shard: the disk or quota is full \([\d,]+ bytes free\)\. Free some space",
        ),
        (errno.EDQUOT, r"^cannot write .*shard: the disk or quota is full"),
        (errno.EACCES, r"^cannot use .*shard: permission denied\. Make the folder writable"),
        (errno.EROFS, r"^cannot use .*shard: read-only file system\. Make the folder writable"),
        (errno.EIO, r"^cannot use .*shard: Input/output error\. Finished work stays\.$"),
    ],
)
def test_each_refusal_says_where_and_what_to_do(tmp_path, number, words):
    with pytest.raises(StoreError, match=words), storage_errors(tmp_path / "absent" / "shard"):
        raise OSError(number, os.strerror(number))


class TestWritersOwnErrors:
    def test_a_full_disk_is_told_even_where_the_library_only_prints_it(self, tmp_path):
        # The words of safetensors 0.8 on a full disk.
        words = "Error while serializing: I/O error: No space left on device (os error 28)"
        with (
            pytest.raises(StoreError, match=r"adapter\.safetensors: the disk or quota is full"),
            writing_errors(tmp_path / "adapter.safetensors"),
        ):
            raise RuntimeError(words)

    def test_a_file_that_may_not_grow_is_told_with_the_limit(self, tmp_path):
        path, words = tmp_path / "adapter.safetensors", "I/O error: File too large (os error 27)"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, limits[1]))
        told = r"cannot use .*adapter\.safetensors: file too large: .* 20,000,000 bytes .*`ulimit -f"
        try:
            with pytest.raises(StoreError, match=told), writing_errors(path):
                raise RuntimeError(words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def test_a_full_disk_is_told_by_its_number(self, tmp_path):
        if not Path("/dev/full").is_char_device():
            pytest.skip("this system has no /dev/full")
        with (
            pytest.raises(StoreError, match=r"the disk or quota is full"),
            writing_errors(tmp_path / "shard"),
            Path("/dev/full").open("wb") as file,
        ):
            file.write(b"x")

    def test_a_refusal_about_the_written_folder_is_the_stores(self, tmp_path):
        with pytest.raises(StoreError, match=r"writing/part"), writing_errors(tmp_path / "writing" / "shard"):
            (tmp_path / "writing" / "part").write_bytes(b"")

    def test_a_missing_input_is_the_writers(self, tmp_path):
        with pytest.raises(FileNotFoundError), writing_errors(tmp_path / "writing" / "shard"):
            (tmp_path / "input").read_bytes()

    def test_any_other_error_is_the_writers(self, tmp_path):
        with pytest.raises(ZeroDivisionError), writing_errors(tmp_path / "shard"):
            raise ZeroDivisionError
