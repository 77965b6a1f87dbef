"""Writing that survives a crash, reading that never waits, the system's refusals told as a `StoreError`."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from lrbench.errors import DiskFullError, StoreError
from lrbench.store.limits import limit_reached

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# What only writing can meet; met without a file name, it still speaks of the file being written.
WRITING_FAILED = DISK_FULL | {errno.EROFS, errno.EIO, errno.EFBIG}
# safetensors reports the system's errors as text alone, in the words of Rust's standard library.
RUST_ERROR = re.compile(r"\(os error (\d+)\)")

# What is read and parsed whole, and written by nobody who needs more: manifests, notes, caches.
LARGEST_RECORD = 64 * 2**20


class UnusableFileError(OSError):
    """A path leads to a pipe, a socket, a device, or to a file that is larger than anything written there."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(errno.EINVAL, reason, str(path))

    def __reduce__(self) -> tuple[type[UnusableFileError], tuple[Path, str]]:
        return type(self), (Path(self.filename), str(self.strerror))


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Open the regular file at `path` for reading; links are followed.

    Raises:
        UnusableFileError: it is a pipe, a socket or a device, which could keep us waiting or never end.
        OSError: there is no such file, it is a folder, or the system refused.
    """
    _refuse_irregular(path, path.stat().st_mode)
    # Should a pipe take its place now, opening does not wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _refuse_irregular(path, os.fstat(descriptor).st_mode)
        yield file


def read_regular(path: Path, largest: int = LARGEST_RECORD) -> bytes:
    """The content of the regular file at `path`.

    Raises:
        UnusableFileError: it is no regular file, or has more than `largest` bytes.
        OSError: there is no such file, it is a folder, or the system refused.
    """
    with open_regular(path) as file:
        content = file.read(largest + 1) if os.fstat(file.fileno()).st_size <= largest else None
    if content is None or len(content) > largest:
        raise UnusableFileError(path, f"it has more than the {largest:,} bytes that are read there")
    return content


def _refuse_irregular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise UnusableFileError(path, "it is no file but a pipe, a socket or a device; move it away")


def give_usual_mode(path: Path) -> None:
    """Let others read a file as far as they may read what the user makes: some writers keep it from them."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.mode")
    beside.touch()
    try:
        path.chmod(stat.S_IMODE(beside.stat().st_mode))
    finally:
        beside.unlink()


def write_atomically(path: Path, data: bytes | str) -> None:
    """Make `path` hold `data`: after a crash at any moment it holds either all of it or what it held before.

    Text is written as UTF-8.

    Raises:
        StoreError: the system refused, for example because the disk is full.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    with storage_errors(path, f"{len(content):,} needed"):
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Force the content of `path` to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Force the names in directory `path` to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems offer no such call; they have no safer way.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(path: Path, needed: str = "") -> Iterator[None]:
    """Turn an `OSError` of the block into a `StoreError` that names the path and says what to do.

    `needed` says how many bytes a full disk lacks, where that is known.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, needed) from error


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Like `storage_errors` for a block that writes `path` but may fail for reasons of its own.

    A full or failing disk, and any refusal about a file in `path`'s folder, becomes a `StoreError`;
    everything else, such as a missing input of the block, passes through.
    """
    try:
        yield
    except OSError as error:
        named = isinstance(error.filename, str | bytes)
        about_path = named and path.parent in Path(os.fsdecode(error.filename)).parents
        if error.errno in WRITING_FAILED or about_path:
            raise storage_error(error, path) from error
        raise
    except Exception as error:
        told = RUST_ERROR.search(str(error))
        number = int(told[1]) if told else 0
        if number in WRITING_FAILED:
            raise storage_error(OSError(number, os.strerror(number)), path) from error
        raise


def storage_error(error: OSError, path: Path, needed: str = "") -> StoreError:
    """The message for `error`, met at `path` unless the error itself names a file."""
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
    if error.errno in DISK_FULL:
        return disk_full_error(place, needed)
    if error.errno in FORBIDDEN:
        reason = os.strerror(error.errno or 0).lower()
        return StoreError(
            f"cannot use {place}: {reason}. Make the folder writable for this user, "
            "or choose another folder for the runs; finished work stays."
        )
    reason = limit_reached(error) or error.strerror or str(error)
    return StoreError(f"cannot use {place}: {reason}. Finished work stays.")


def disk_full_error(path: Path, needed: str = "") -> DiskFullError:
    """The message for a full disk (or quota) under `path`, with the bytes still free and those `needed`."""
    return DiskFullError(path, ", ".join(filter(None, [f"{_free_bytes(path):,} bytes free", needed])))


def _free_bytes(path: Path) -> int:
    existing = path
    while not existing.exists():
        existing = existing.parent
    status = os.statvfs(existing)
    return status.f_bavail * status.f_frsize
