"""The directory of a draft on the disk, and what can be kept of it after a crash.

    journal.jsonl   the origin, then one sealed line for each commit and discard
    files/          the committed files; renamed as a whole it becomes the artifact
    writing/        the file being written
    aside/          files that the finished artifact leaves out

A commit writes the file, then its journal line, then renames it into `files/`. A process killed before
the line loses that one file; one killed after it loses nothing, since recovery completes the rename.
A file that is being replaced stays until its successor is whole and journalled.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lrbench.store.artifact import FileRecord, Origin, describe_file, list_tree
from lrbench.store.files import UnusableFileError, sync_directory, sync_file
from lrbench.store.journal import Event, Journal


class DraftFolder:
    """Paths and moves inside one draft's directory; its methods raise `OSError` where the system refuses."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = directory / "files"
        self.writing = directory / "writing"
        self.aside = directory / "aside"
        self._journal_file = directory / "journal.jsonl"
        self._journal = Journal(self._journal_file)

    def events(self) -> list[Event]:
        """The intact events of the journal; none where there is no journal that can be read."""
        try:
            return self._journal.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnusableFileError):
            return []

    def belongs_to(self, origin: Origin) -> bool:
        """Whether the journal opens with exactly this origin."""
        return self.events()[:1] == [_opening(origin)]

    def create(self, origin: Origin) -> None:
        """Start anew, with no committed file."""
        self.remove()
        self.files.mkdir(parents=True)
        self._journal.rewrite([_opening(origin)])
        sync_directory(self.directory)
        sync_directory(self.directory.parent)

    def remove(self) -> None:
        """Remove the draft with all its files."""
        if self.directory.is_dir() and not self.directory.is_symlink():
            shutil.rmtree(self.directory)
        else:
            self.directory.unlink(missing_ok=True)

    def recover(self, report: Callable[[str], None]) -> tuple[dict[str, FileRecord], float]:
        """Keep what verifies of an earlier attempt and drop the rest.

        Args:
            report: told the name of each committed file whose content is no longer what was committed.

        Returns:
            The committed files by name, and the seconds journalled so far.
        """
        self._bring_back()
        events = self.events()
        kept: dict[str, FileRecord] = {}
        for name, versions in committed_versions(events).items():
            record = self._recover_file(name, versions)
            if record is not None:
                kept[name] = record
                continue
            if (self.files / name).exists():
                report(name)
            events.append(_discard(name))
        self._remove_all_but(kept)
        self.clear_writing()
        self._journal.rewrite(events)
        return kept, journalled_seconds(events)

    def prepare(self, name: str) -> Path:
        """A path to write `name` at, with nothing there yet. It ends in `name`, for writers that look."""
        path = self.writing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def commit(self, name: str, seconds: float) -> FileRecord:
        """Make the file written at `prepare(name)` a committed one."""
        written = self.writing / name
        # Some writers give their files a private mode; the store's files follow the user's umask.
        written.chmod(stat.S_IMODE(self._journal_file.stat().st_mode))
        sync_file(written)
        record = describe_file(written, name)
        self._journal.append({"event": "commit", **asdict(record), "seconds": seconds})
        self._put(written, name)
        return record

    def discard(self, name: str) -> None:
        """Forget and remove the committed file `name`."""
        self._journal.append(_discard(name))
        (self.files / name).unlink()

    def clear_writing(self) -> None:
        """Remove what half-finished writers left behind."""
        shutil.rmtree(self.writing, ignore_errors=True)

    def put_aside(self, names: Iterable[str]) -> None:
        """Move committed files out of `files/`; should finishing fail, recovery brings them back."""
        for name in names:
            target = self.aside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.files / name).rename(target)
        self._remove_empty_folders()

    def sync(self) -> None:
        """Force all names under `files/` to the disk."""
        _, folders = list_tree(self.files)
        for name in folders:
            sync_directory(self.files / name)
        sync_directory(self.files)

    def _put(self, written: Path, name: str) -> None:
        target = self.files / name
        if not target.parent.exists():
            target.parent.mkdir()
            sync_directory(self.files)
        written.replace(target)
        sync_directory(target.parent)

    def _bring_back(self) -> None:
        if not self.aside.exists():
            return
        names, _ = list_tree(self.aside)
        for name in names:
            self._put(self.aside / name, name)
        shutil.rmtree(self.aside)

    def _recover_file(self, name: str, versions: list[FileRecord]) -> FileRecord | None:
        written = self.writing / name
        whole = written.is_file() and written.stat().st_size == versions[-1].size
        if whole and describe_file(written, name) == versions[-1]:
            self._put(written, name)
            return versions[-1]
        committed = self.files / name
        if not committed.is_file():
            return None
        # A file that grew to any size is told by that, and not read to its end.
        size = committed.stat().st_size
        if all(record.size != size for record in versions):
            return None
        found = describe_file(committed, name)
        return found if found in versions else None

    def _remove_all_but(self, kept: dict[str, FileRecord]) -> None:
        names, _ = list_tree(self.files)
        for name in names.keys() - kept.keys():
            (self.files / name).unlink()
        self._remove_empty_folders()

    def _remove_empty_folders(self) -> None:
        names, folders = list_tree(self.files)
        for folder in sorted(folders, reverse=True):
            if not any(name.startswith(folder + "/") for name in names):
                (self.files / folder).rmdir()


def committed_versions(events: list[Event]) -> dict[str, list[FileRecord]]:
    """For each committed name its versions, oldest first, since it was last discarded."""
    versions: dict[str, list[FileRecord]] = {}
    for event in events:
        if event["event"] == "commit":
            record = FileRecord(event["name"], event["size"], event["sha256"])
            versions.setdefault(record.name, []).append(record)
        elif event["event"] == "discard":
            versions.pop(event["name"], None)
    return versions


def journalled_seconds(events: list[Event]) -> float:
    """The seconds of all commits, those of replaced and discarded files included."""
    return sum(float(event["seconds"]) for event in events if event["event"] == "commit")


def _opening(origin: Origin) -> dict[str, Any]:
    return {"event": "open", **asdict(origin)}


def _discard(name: str) -> Event:
    return {"event": "discard", "name": name}
