"""One writer: operating-system locks that end with the process that holds them, however it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrbench.store.files import storage_errors

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
    lock = _Lock(path)
    if not lock.acquire(0.0):
        if on_wait is not None:
            on_wait()
        lock.acquire(FOREVER)
    with _released_after(lock, removed=False):
        yield


@contextmanager
def try_hold(path: Path, removed: bool = False) -> Iterator[bool]:
    """Hold the lock at `path` where nobody else does, without waiting; gives whether it is held now.

    Where it is to be `removed`, its file goes when it is let go of, and one that a killed process left too.

    Raises:
        RuntimeError: this process holds it already.
        StoreError: the lock file cannot be made, or its file system has no locks.
    """
    lock = _Lock(path)
    if not lock.acquire(0.0):
        yield False
        return
    with _released_after(lock, removed):
        yield True


class _Lock:
    """A lock of the file that stands at `path` when it is had, whatever became of the file meanwhile."""

    def __init__(self, path: Path) -> None:
        if is_held(path):
            raise RuntimeError(f"this process holds {path} already")
        # Imported here: filelock takes as long to import as all the rest of the store.
        from filelock import FileLock

        self.path = path
        self._inode = -1
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        # A soft lock would outlive a killed process, so a file system without locks is an error.
        self._lock = FileLock(
            path,
            thread_local=False,
            fallback_to_soft=False,
            poll_interval=POLL_SECONDS,
            on_acquired=self._note,
        )

    def acquire(self, timeout: float) -> bool:
        """Whether the lock is had, within `timeout` seconds."""
        from filelock import Timeout

        with storage_errors(self.path):
            while True:
                try:
                    self._lock.acquire(timeout=timeout)
                except Timeout:
                    return False
                if self._stands():
                    return True
                # Its last holder removed the file after it was opened here; others may hold the one there.
                self._lock.release()

    def release(self, removed: bool) -> None:
        """Let go of it; a file that is to be `removed` goes before that, so that whoever waits sees it."""
        if removed and self._stands():
            with suppress(OSError):
                self.path.unlink()
        self._lock.release()

    def _note(self, descriptor: int) -> None:
        self._inode = os.fstat(descriptor).st_ino

    def _stands(self) -> bool:
        try:
            return self.path.lstat().st_ino == self._inode
        except FileNotFoundError:
            return False


@contextmanager
def _released_after(lock: _Lock, removed: bool) -> Iterator[None]:
    entry = _entry(lock.path)
    _held.add(entry)
    try:
        yield
    finally:
        _held.discard(entry)
        lock.release(removed)


def _entry(path: Path) -> tuple[int, str]:
    return os.getpid(), os.path.realpath(path)
