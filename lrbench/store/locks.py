"""One writer: operating-system locks that end with the process that holds them, however it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.store.files import storage_errors

if TYPE_CHECKING:
    from filelock import BaseFileLock

POLL_SECONDS = 0.1
FOREVER = -1.0

# (process, lock file). A forked child inherits this set but no lock, hence the process in it.
_held: set[tuple[int, str]] = set()


def is_held(path: Path) -> bool:
    """Whether this process holds the lock at `path`."""
    return _entry(path) in _held


@contextmanager
def hold(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock at `path`, waiting for the process that has it; `on_wait` is called once before waiting.

    Raises:
        RuntimeError: this process holds it already, so that waiting would never end.
        StoreError: the lock file cannot be made, or its file system has no locks.
    """
    lock = _new_lock(path)
    if not _acquire(lock, path, 0.0):
        if on_wait is not None:
            on_wait()
        _acquire(lock, path, FOREVER)
    with _released_after(lock, path):
        yield


@contextmanager
def try_hold(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` where nobody else does, without waiting; gives whether it is held now.

    Raises:
        RuntimeError: this process holds it already.
        StoreError: the lock file cannot be made, or its file system has no locks.
    """
    lock = _new_lock(path)
    if not _acquire(lock, path, 0.0):
        yield False
        return
    with _released_after(lock, path):
        yield True


def _new_lock(path: Path) -> BaseFileLock:
    if is_held(path):
        raise RuntimeError(f"this process holds {path} already")
    # Imported here: filelock takes as long to import as all the rest of the store.
    from filelock import FileLock

    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    # A soft lock would outlive a killed process, so a file system without locks is an error.
    return FileLock(path, thread_local=False, fallback_to_soft=False, poll_interval=POLL_SECONDS)


def _acquire(lock: BaseFileLock, path: Path, timeout: float) -> bool:
    from filelock import Timeout

    with storage_errors(path):
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            return False
    return True


@contextmanager
def _released_after(lock: BaseFileLock, path: Path) -> Iterator[None]:
    entry = _entry(path)
    _held.add(entry)
    try:
        yield
    finally:
        _held.discard(entry)
        lock.release()


def _entry(path: Path) -> tuple[int, str]:
    return os.getpid(), os.path.realpath(path)
