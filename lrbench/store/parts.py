"""Parts of an unfinished artifact that several processes make: who makes which, and what is handed over.

The process that holds the artifact's lock owns its draft and alone commits to it. Another one makes a part
that nobody is at work on, and leaves it beside the draft's own files:

    <draft>/handed/<part>/          the files of a part
    <draft>/handed/<part>/.whole    their names, sizes and hashes, written last

A part is a number of files whose names begin with its own and a dot.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

from lrbench.store.artifact import FileRecord, check_file_name, describe_file
from lrbench.store.canonical import canonical_json
from lrbench.store.draft_folder import DraftFolder
from lrbench.store.files import (
    UnusableFileError,
    read_regular,
    storage_errors,
    sync_file,
    write_atomically,
    writing_errors,
)
from lrbench.store.locks import try_hold

HANDED = "handed"
WHOLE = ".whole"
# In the place of a part's name, of a draft that its owner makes alone.
UNSHARED = "unshared"


class Parts:
    """The parts of one draft: `take` one before it is made. The locks are this process's until `let_go`."""

    def __init__(self, draft: Path, lock_file: Callable[[str], Path]) -> None:
        self._draft = draft
        self._lock_file = lock_file
        self._held: dict[str, ExitStack] = {}

    def take(self, part: str) -> bool:
        """Be the one that makes the part; False where another process does, or has handed it over."""
        if part in self._held:
            return True
        with ExitStack() as stack:
            is_held = stack.enter_context(try_hold(self._lock_file(part), removed=True))
            if not is_held or self.is_handed(part):
                return False
            self._held[part] = stack.pop_all()
        return True

    def keep_to_itself(self) -> None:
        """Have no other process make any part, until `let_go_of_all`."""
        stack = ExitStack()
        stack.enter_context(try_hold(self._lock_file(UNSHARED), removed=True))
        self._held[UNSHARED] = stack

    @property
    def are_shared(self) -> bool:
        """Whether another process may make parts."""
        with try_hold(self._lock_file(UNSHARED), removed=True) as is_free:
            return is_free

    def let_go(self, part: str) -> None:
        """Leave the part to whoever comes next."""
        if part in self._held:
            self._held.pop(part).close()

    def let_go_of_all(self) -> None:
        """Leave all parts to whoever comes next."""
        for part in list(self._held):
            self.let_go(part)

    def folder(self, part: str) -> Path:
        """Where the files of a part are handed over."""
        return self._draft / HANDED / part

    def is_handed(self, part: str) -> bool:
        """Whether the part was handed over; nothing of it is verified."""
        return (self.folder(part) / WHOLE).exists()

    def hand_over(self, part: str, records: list[FileRecord], seconds: float) -> None:
        """Say that the files of the part are whole, and stand for so many seconds of work."""
        whole = {"files": [asdict(record) for record in records], "seconds": seconds}
        write_atomically(self.folder(part) / WHOLE, canonical_json(whole))
        self.let_go(part)

    def handed(self, part: str) -> tuple[list[Path], float] | None:
        """The files that were handed over, in the order they were made in, and their seconds.

        None where nothing was, or that is not over yet, and where it is not what was said of it: then it is
        removed.
        """
        folder = self.folder(part)
        if not self.is_handed(part) or part in self._held:
            return None
        with try_hold(self._lock_file(part), removed=True) as is_over:
            if not is_over:
                return None
        with suppress(OSError, ValueError, KeyError, TypeError, UnusableFileError):
            whole = json.loads(read_regular(folder / WHOLE))
            records = [FileRecord(**record) for record in whole["files"]]
            paths = [folder / record.name for record in records]
            if all(_part_of(record.name) == part for record in records) and records == [
                describe_file(path, record.name) for path, record in zip(paths, records, strict=True)
            ]:
                return paths, float(whole["seconds"])
        self.remove(part)
        return None

    def remove(self, part: str) -> None:
        """Remove what was handed over, or begun to be."""
        shutil.rmtree(self.folder(part), ignore_errors=True)


class Helping:
    """A draft that another process owns, for one that makes parts of it and hands them over.

    `Store.help` opens it. It knows what is committed by the files that stand there.
    """

    def __init__(self, folder: DraftFolder, parts: Parts) -> None:
        self._folder = folder
        self._parts = parts
        self._ending = ""
        self._records: list[FileRecord] = []

    def has(self, name: str) -> bool:
        """Whether the file is committed, or was handed over."""
        part = _part_of(name)
        return (self._folder.files / name).exists() or self._parts.is_handed(part)

    def take(self, part: str) -> bool:
        """Be the one that makes the part, where nobody does and it is not there."""
        if not self._folder.files.is_dir() or not self._parts.take(part):
            return False
        # Its owner may have committed it, or the whole, before the lock was free.
        is_there = (self._folder.files / f"{part}{self._ending}").exists()
        if not is_there and self._folder.files.is_dir() and self._parts.are_shared:
            return True
        self._parts.let_go(part)
        return False

    def expect(self, files: int, suffix: str) -> None:
        """Say which `suffix` the last file of every part has."""
        self._ending = suffix

    def commit(self, name: str, write: Callable[[Path], object], seconds: float = 0.0) -> None:
        """Write a file of a part that was taken; with its last file the part is handed over.

        Raises:
            ValueError: the name cannot be used.
            StoreError: the system refused. Other errors of `write` pass through unchanged.
        """
        check_file_name(name)
        part = _part_of(name)
        folder = self._parts.folder(part)
        path = folder / name
        with storage_errors(path):
            if not self._records:
                # One that was killed may have left some of it.
                self._parts.remove(part)
            folder.parent.mkdir(exist_ok=True)
            folder.mkdir(exist_ok=True)
        try:
            with writing_errors(path):
                write(path)
            with storage_errors(path):
                sync_file(path)
                self._records.append(describe_file(path, name))
        except BaseException:
            # What a failed writer left may be what fills the disk.
            self._parts.remove(part)
            raise
        if name == f"{part}{self._ending}":
            self._parts.hand_over(part, self._records, seconds)
            self._records = []

    def let_go(self) -> None:
        """Leave every part that was taken and not handed over."""
        self._parts.let_go_of_all()


def _part_of(name: str) -> str:
    return name.partition(".")[0]
