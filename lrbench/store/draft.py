"""Work in progress: files committed one by one, each safe from the moment `commit` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lrbench.errors import DiskFullError
from lrbench.store.artifact import Artifact, FileRecord, Origin, check_file_name, write_records
from lrbench.store.canonical import canonical_json
from lrbench.store.draft_folder import DraftFolder
from lrbench.store.files import disk_full_error, storage_errors, writing_errors
from lrbench.store.parts import Parts


class Draft:
    """The unfinished artifact of one stage. `Store.draft` opens it; one thread at a time uses it."""

    def __init__(
        self,
        folder: DraftFolder,
        parts: Parts,
        origin: Origin,
        records: dict[str, FileRecord],
        spent_seconds: float,
        is_locked: Callable[[], bool],
        publish: Callable[[Path, Origin], Artifact],
    ) -> None:
        self._folder = folder
        self._parts = parts
        self._origin = origin
        self._records = records
        self._spent_seconds = spent_seconds
        self._is_locked = is_locked
        self._publish = publish
        self._closed = False
        self._expected, self._suffix = 0, ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all committed files, sorted."""
        return tuple(sorted(self._records))

    @property
    def spent_seconds(self) -> float:
        """The seconds given to all commits of all attempts, so that resumed work tells its full time."""
        return self._spent_seconds

    def has(self, name: str) -> bool:
        """Whether `name` is committed, now or by an earlier attempt whose file still verifies."""
        return name in self._records

    def path(self, name: str) -> Path:
        """Where the committed file `name` lies until `finish`.

        Raises:
            KeyError: no such file is committed.
        """
        if name not in self._records:
            raise KeyError(f"the draft of {self._origin.stage} has no committed file {name!r}")
        return self._folder.files / name

    def commit(self, name: str, write: Callable[[Path], object], seconds: float = 0.0) -> Path:
        """Write a file and make it safe; an earlier file of this name is replaced at once and whole.

        Args:
            name: letters, digits, `_`, `-`, `.`; at most one folder deep.
            write: called with the path to write one file at; the path ends in `name`.
            seconds: working time that this file stands for, kept over all attempts.

        Returns:
            The path of the committed file.

        Raises:
            ValueError: the name cannot be used.
            StoreError: the system refused; all files committed before stay. Other errors of `write` pass
                through unchanged, and nothing is committed.
        """
        self._require_open()
        check_file_name(name)
        with storage_errors(self._folder.writing):
            path = self._folder.prepare(name)
        try:
            with writing_errors(path):
                write(path)
            if not path.is_file():
                raise RuntimeError(f"the writer of {name!r} wrote no file")
            with storage_errors(path):
                self._records[name] = self._folder.commit(name, seconds)
        except BaseException as error:
            written = path.stat().st_size if path.is_file() else 0
            # What a failed writer left may be what fills the disk.
            self._folder.clear_writing()
            if isinstance(error, DiskFullError):
                raise disk_full_error(error.path, self._needed(name, written)) from error
            raise
        self._spent_seconds += seconds
        if name.endswith(self._suffix):
            self._parts.let_go(name.removesuffix(self._suffix))
        return self.path(name)

    def take(self, part: str) -> bool:
        """Be the one that makes the part; False where another process does, or has handed it over."""
        return self._parts.take(part)

    def receive(self, part: str) -> bool:
        """Commit what another process has made of the part; False where nothing whole was handed over.

        Raises:
            StoreError: the system refused.
        """
        handed = self._parts.handed(part)
        if handed is None:
            return False
        *beside, last = handed[0]
        for path in beside:
            self.commit(path.name, path.replace)
        self.commit(last.name, last.replace, handed[1])
        self._parts.remove(part)
        return True

    def let_go(self) -> None:
        """Leave every part that was taken to whoever comes next."""
        self._parts.let_go_of_all()

    def expect(self, files: int, suffix: str) -> None:
        """Say how many files with this `suffix` there will be, so that a full disk is told what it lacks."""
        self._expected, self._suffix = files, suffix

    def discard(self, name: str) -> None:
        """Remove the committed file `name`.

        Raises:
            KeyError: no such file is committed.
        """
        self._require_open()
        with storage_errors(self.path(name)):
            self._folder.discard(name)
        del self._records[name]

    def finish(
        self,
        statistics: Mapping[str, Any],
        keep: Iterable[str] | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Publish the committed files as the stage's artifact, whole or not at all, and end the draft.

        Args:
            statistics: JSON facts about the output. They are part of the content hash, so nothing that
                differs between equal runs, such as a time, belongs here.
            keep: the files of the artifact; the others are removed. All files by default.
            environment: JSON facts about the machine and libraries, outside the content hash.

        Raises:
            KeyError: a file to keep is not committed.
            TypeError, ValueError: statistics or environment have no canonical JSON.
            StoreError: the system refused, or a file was altered after its commit. Running again goes on
                from the committed files.
        """
        self._require_open()
        kept = sorted(self._records if keep is None else set(keep))
        for name in kept:
            self.path(name)
        canonical_json({"statistics": dict(statistics), "environment": dict(environment or {})})
        self._closed = True
        with storage_errors(self._folder.directory):
            self._folder.put_aside(self._records.keys() - set(kept))
            write_records(
                self._folder.files,
                self._origin,
                [self._records[name] for name in kept],
                statistics,
                self._spent_seconds,
                environment or {},
            )
            self._folder.sync()
            artifact = self._publish(self._folder.files, self._origin)
            # A helper may look at it just now; what is left is no artifact.
            with suppress(OSError):
                self._folder.remove()
        return artifact

    def _needed(self, name: str, written: int) -> str:
        """The bytes that `name`, of which so many were written, and all files still expected will take."""
        sizes = [record.size for record in self._records.values() if record.name.endswith(self._suffix)]
        waiting = self._expected - len(sizes)
        if name in self._records:
            return f"about {max(written, self._records[name].size):,} needed"
        if sizes and waiting > 0:
            return (
                f"about {max(written, waiting * sum(sizes) // len(sizes)):,} needed for all that is to come"
            )
        return f"more than {written:,} needed" if written else ""

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"the draft of {self._origin.stage} is finished")
        if not self._is_locked():
            raise RuntimeError(f"the lock of {self._origin.stage} was released before its draft was finished")
