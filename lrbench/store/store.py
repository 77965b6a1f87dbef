"""The store: every finished artifact under its key, every unfinished one as a draft beside it.

<root>/<stage>/<key>/             a finished artifact
<root>/<stage>/<key>.draft/       work in progress
<root>/locks/<stage>-<key>.lock   held by the one process that works on it, and there no longer than that
<root>/locks/<stage>-<key>-<part>.lock   the same for a part of it that several processes may make
<root>/damaged/<stage>-<key>.N/   what was found damaged: moved here, never served, never deleted
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrbench.errors import StoreError
from lrbench.store.artifact import (
    Artifact,
    DamageError,
    FileRecord,
    Origin,
    read_artifact,
    read_manifest,
)
from lrbench.store.canonical import canonical_json
from lrbench.store.draft import Draft
from lrbench.store.draft_folder import DraftFolder, committed_versions, journalled_seconds
from lrbench.store.files import storage_errors, sync_directory
from lrbench.store.keys import FileHashes
from lrbench.store.locks import is_held, try_hold
from lrbench.store.parts import Helping, Parts

LOCKS = "locks"
DAMAGED = "damaged"
DRAFT_SUFFIX = ".draft"
GOING_SUFFIX = ".going"

_LOGGER = logging.getLogger(__name__)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class DraftSummary:
    """An unfinished artifact: how many files are committed, and the working time they stand for."""

    stage: str
    key: str
    directory: Path
    committed_files: int
    spent_seconds: float


class Store:
    """The artifacts under one root directory, which is made when it is first written to.

    Args:
        root: where artifacts live; several processes may share it.
        on_damage: told, in one sentence, of each artifact or draft file found damaged. Logs by default.
    """

    def __init__(self, root: Path, on_damage: Callable[[str], None] = _LOGGER.warning) -> None:
        self.root = Path(root)
        self._on_damage = on_damage
        self._hashes = FileHashes()

    def find(self, stage: str, key: str) -> Artifact | None:
        """The finished artifact, every byte of it verified; None where there is none or it is damaged.

        A damaged artifact is moved aside and reported, so that it can be made again. Later calls of this
        process read only the files again whose size, times or inode changed.

        Raises:
            StoreError: the system refused to read, or to move a damaged artifact.
        """
        directory = self._directory(stage, key)
        with storage_errors(directory):
            try:
                return self._read(stage, key)
            except DamageError:
                # Only the lock's holder moves things. Without it, the artifact may be damaged because
                # somebody is moving it right now, or be whole again by the time it would be moved.
                pass
            guard = nullcontext(True) if self._is_held(stage, key) else self._try_hold(stage, key)
            with guard as held:
                return self._read_or_put_aside(stage, key) if held else None

    def look(self, stage: str, key: str) -> Artifact | None:
        """The finished artifact as `find` gives it, or None, for readers: nothing is ever moved or written.

        Raises:
            StoreError: it is damaged, or the system refused to read.
        """
        with storage_errors(self._directory(stage, key)):
            try:
                return self._read(stage, key)
            except DamageError as damage:
                raise _damage_error(stage, key, damage) from damage

    def exists(self, stage: str, key: str) -> bool:
        """Whether a finished artifact is there with all names and sizes right; reads no content.

        Raises:
            StoreError: the system refused to read.
        """
        directory = self._directory(stage, key)
        with storage_errors(directory):
            if not directory.exists():
                return False
            try:
                read_manifest(directory, stage, key)
            except DamageError:
                return False
            return True

    def is_begun(self, stage: str, key: str) -> bool:
        """Whether something of the artifact is there, finished or not; reads no content.

        Raises:
            StoreError: the system refused to read.
        """
        final = self._directory(stage, key)
        with storage_errors(final):
            return final.exists() or final.with_name(key + DRAFT_SUFFIX).exists()

    def glance(self, stage: str, key: str) -> Origin:
        """What the finished artifact is made from, with all names and sizes right; reads no content.

        Raises:
            StoreError: it is damaged, absent, or the system refused to read.
        """
        directory = self._directory(stage, key)
        with storage_errors(directory):
            try:
                manifest = read_manifest(directory, stage, key)
            except DamageError as damage:
                raise _damage_error(stage, key, damage) from damage
        return Origin(stage, manifest["version"], manifest["identity"], manifest["inputs"])

    def addresses(self) -> list[tuple[str, str]]:
        """Stage and key of every folder that stands where a finished artifact does, sorted.

        Raises:
            StoreError: the system refused to read.
        """
        return [place for path in self._places() if (place := _address(path)) is not None]

    def strays(self) -> list[Path]:
        """What stands among the artifacts and is none, nor a draft that work goes on with: copies, leftovers.

        Raises:
            StoreError: the system refused to read.
        """
        going_on = {draft.directory for draft in self.drafts()}
        return [path for path in self._places() if _address(path) is None and path not in going_on]

    def put_aside(self, path: Path) -> Path:
        """Move a stray to the shelf of what is damaged, and return where it is now.

        Raises:
            StoreError: the system refused to move it.
        """
        with storage_errors(path):
            return self._shelve(path, path.parent.name)

    def remove(self, stage: str, key: str) -> bool:
        """Delete the finished artifact, or what was begun of it; False where a process works on it.

        It stops being one before its first file goes: a crash leaves a stray, which `doctor` finds.

        Raises:
            StoreError: the system refused.
        """
        final = self._directory(stage, key)
        with self._try_hold(stage, key) as held:
            for directory in (final, final.with_name(key + DRAFT_SUFFIX)):
                if held and directory.exists():
                    with storage_errors(directory):
                        going = directory.with_name(f"{key}{GOING_SUFFIX}")
                        if going.exists():
                            shutil.rmtree(going)
                        directory.rename(going)
                        shutil.rmtree(going)
            if held:
                # What processes left that were killed while they made a part of it.
                for lock in (self.root / LOCKS).glob(f"{stage}-{key}-*.lock"):
                    lock.unlink(missing_ok=True)
        return held

    def lock(self, stage: str, key: str) -> AbstractContextManager[bool]:
        """Be the only process that works on this artifact; False, at once, where another one does.

        A process that dies lets go of the lock. Once it is held, ask `find` again: another process may have
        finished just before.

        Raises:
            RuntimeError: this process holds the lock already.
            StoreError: the lock file cannot be made.
        """
        return self._try_hold(stage, key)

    def draft(
        self,
        stage: str,
        version: int,
        key: str,
        identity: Mapping[str, Any],
        inputs: Mapping[str, str],
        is_shared: bool = True,
    ) -> Draft:
        """Begin the artifact, or go on with what an earlier attempt committed.

        Call it under `lock` and after `find` gave None under that lock. Unless it `is_shared`, no other
        process can `help` with it.

        Raises:
            ValueError: `key` is not the key of the other four.
            RuntimeError: the lock is not held, or the artifact is finished already.
            StoreError: the system refused.
        """
        origin = Origin(stage, version, _as_read_back(identity), _as_read_back(inputs))
        if origin.key != key:
            raise ValueError(f"{key} is not the key of this version, identity and inputs of {stage}")
        final = self._directory(stage, key)
        if not self._is_held(stage, key):
            raise RuntimeError(f"the draft of {stage}/{key} was asked for without its lock")
        if final.exists():
            raise RuntimeError(f"{stage}/{key} is finished; ask find under the lock before opening a draft")
        folder = DraftFolder(final.with_name(key + DRAFT_SUFFIX))
        parts = self._parts(stage, key)
        if not is_shared:
            parts.keep_to_itself()
        with storage_errors(folder.directory):
            records, seconds = self._open_folder(folder, origin)
        return Draft(
            folder, parts, origin, records, seconds, lambda: self._is_held(stage, key), self._publish
        )

    def help(
        self, stage: str, version: int, key: str, identity: Mapping[str, Any], inputs: Mapping[str, str]
    ) -> Helping | None:
        """The draft that another process works on, to make parts of it; None where there is none.

        Raises:
            StoreError: the system refused.
        """
        folder = DraftFolder(self._directory(stage, key).with_name(key + DRAFT_SUFFIX))
        with storage_errors(folder.directory):
            if not folder.belongs_to(Origin(stage, version, _as_read_back(identity), _as_read_back(inputs))):
                return None
        return Helping(folder, self._parts(stage, key))

    def _parts(self, stage: str, key: str) -> Parts:
        directory = self._directory(stage, key).with_name(key + DRAFT_SUFFIX)
        locks = self.root / LOCKS
        return Parts(directory, lambda part: locks / f"{stage}-{key}-{part}.lock")

    def drafts(self) -> list[DraftSummary]:
        """All unfinished artifacts, by stage and key.

        Raises:
            StoreError: the system refused to read.
        """
        with storage_errors(self.root):
            return [
                _summary(path)
                for path in self._places()
                if path.is_dir()
                and path.suffix == DRAFT_SUFFIX
                and _KEY.fullmatch(path.stem)
                and not path.with_suffix("").exists()
            ]

    def _places(self) -> list[Path]:
        """Everything in the folders of stages, sorted, and every other file or folder of the root."""
        with storage_errors(self.root):
            found: list[Path] = []
            for path in self.root.iterdir() if self.root.is_dir() else ():
                if path.name in (LOCKS, DAMAGED):
                    continue
                stage = path.is_dir() and _STAGE_NAME.fullmatch(path.name)
                found += path.iterdir() if stage else [path]
            return sorted(found)

    def _read(self, stage: str, key: str) -> Artifact | None:
        directory = self._directory(stage, key)
        return read_artifact(directory, stage, key, self._hashes) if directory.exists() else None

    def _read_or_put_aside(self, stage: str, key: str) -> Artifact | None:
        try:
            return self._read(stage, key)
        except DamageError as damage:
            self._put_aside(self._directory(stage, key), stage, str(damage))
            return None

    def _put_aside(self, directory: Path, stage: str, reason: str) -> None:
        target = self._shelve(directory, stage)
        self._on_damage(
            f"{stage}/{directory.name} is damaged: {reason}. Moved to {target}; it will be made again."
        )

    def _shelve(self, path: Path, stage: str) -> Path:
        shelf = self.root / DAMAGED
        shelf.mkdir(exist_ok=True)
        number = 1
        while os.path.lexists(target := shelf / f"{stage}-{path.name}.{number}"):
            number += 1
        path.rename(target)
        sync_directory(shelf)
        sync_directory(path.parent)
        return target

    def _open_folder(self, folder: DraftFolder, origin: Origin) -> tuple[dict[str, FileRecord], float]:
        if folder.files.is_dir() and folder.belongs_to(origin):
            return folder.recover(
                lambda name: self._on_damage(
                    f"{name} of the unfinished {origin.stage}/{origin.key} is not what was committed; "
                    "it was removed and will be made again."
                )
            )
        if folder.files.is_dir() and any(folder.files.iterdir()):
            self._put_aside(folder.directory, origin.stage, "its journal does not open with its origin")
        folder.create(origin)
        sync_directory(self.root)
        return {}, 0.0

    def _publish(self, files: Path, origin: Origin) -> Artifact:
        stage, key = origin.stage, origin.key
        try:
            artifact = read_artifact(files, stage, key, FileHashes())
        except DamageError as damage:
            raise StoreError(
                f"the unfinished {stage}/{key} was altered while it was worked on: {damage}. "
                "Run again: what is damaged is made again, the rest stays."
            ) from damage
        # Nothing else publishes while the lock is held, save a hand that copies artifacts in.
        finished = self.find(stage, key)
        if finished is not None:
            return finished
        final = self._directory(stage, key)
        files.rename(final)
        sync_directory(final.parent)
        return replace(artifact, directory=final)

    def _directory(self, stage: str, key: str) -> Path:
        _check_address(stage, key)
        return self.root / stage / key

    def _lock_file(self, stage: str, key: str) -> Path:
        _check_address(stage, key)
        return self.root / LOCKS / f"{stage}-{key}.lock"

    def _try_hold(self, stage: str, key: str) -> AbstractContextManager[bool]:
        return try_hold(self._lock_file(stage, key), removed=True)

    def _is_held(self, stage: str, key: str) -> bool:
        return is_held(self._lock_file(stage, key))


def _damage_error(stage: str, key: str, damage: DamageError) -> StoreError:
    return StoreError(f"{stage}/{key} is damaged: {damage}. The next run of its recipe makes it again.")


def _address(path: Path) -> tuple[str, str] | None:
    """The stage and key of the artifact whose place `path` is; None where it is no such place."""
    place = path.parent.name, path.name
    fits = _STAGE_NAME.fullmatch(place[0]) and _KEY.fullmatch(place[1])
    return place if fits and path.is_dir() else None


def _check_address(stage: str, key: str) -> None:
    if _STAGE_NAME.fullmatch(stage) is None or stage in (LOCKS, DAMAGED):
        raise ValueError(f"{stage!r} cannot name a stage: lower-case letters, digits, '_' and '-'")
    if _KEY.fullmatch(key) is None:
        raise ValueError(f"{key!r} is no key of stage_key")


def _as_read_back(value: Mapping[str, Any]) -> dict[str, Any]:
    # A tuple comes back as a list: compare and return what the disk would say.
    record: dict[str, Any] = json.loads(canonical_json(dict(value)))
    return record


def _summary(directory: Path) -> DraftSummary:
    events = DraftFolder(directory).events()
    return DraftSummary(
        stage=directory.parent.name,
        key=directory.name.removesuffix(DRAFT_SUFFIX),
        directory=directory,
        committed_files=len(committed_versions(events)),
        spent_seconds=journalled_seconds(events),
    )
