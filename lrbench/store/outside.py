"""Files written outside a runs folder, announced inside it while they are half-written.

An export or a bundle is written beside its place and renamed, wherever that is. A process that is killed
leaves what it had written, and nobody looks there: so a note in `<runs>/unfinished/` says where, under a
lock that ends with the process.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lrbench.errors import StoreError, UserError
from lrbench.store.artifact import list_tree
from lrbench.store.files import (
    read_regular,
    storage_errors,
    sync_directory,
    sync_file,
    write_atomically,
    writing_errors,
)
from lrbench.store.locks import hold, try_hold

FOLDER = "unfinished"
NOTE = ".json"
LOCK = ".lock"


def place_beside(to: Path) -> Path:
    """A new name in the folder of `to`, for what becomes `to` once it is whole."""
    return to.with_name(f".{to.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def check_target(to: Path, but: Collection[Path] = ()) -> None:
    """Raise `UserError` unless `to` is not there, or is a folder that holds nothing `but` what is given."""
    with storage_errors(to):
        if to.is_symlink() or (to.exists() and not to.is_dir()):
            raise UserError(f"{to} is there already and is no folder; name a new folder")
        if to.exists() and not set(to.iterdir()) <= set(but):
            raise UserError(f"{to} is not empty, and nothing in it is overwritten; name a new folder")


def paths_beside(to: Path) -> tuple[Path, Path]:
    """The folder and the lock that `working_beside` has while it works."""
    return to.with_name(f".{to.name}-unfinished"), to.with_name(f".{to.name}.lock")


@contextmanager
def working_beside(to: Path) -> Iterator[Path]:
    """An empty folder beside `to`, for one process at a time, that is removed when the block ends.

    What a killed process has left there is removed first, so no runs folder has to know of it.
    """
    unfinished, lock = paths_beside(to)
    with hold(lock):
        shutil.rmtree(unfinished, ignore_errors=True)
        with storage_errors(to):
            unfinished.mkdir()
        try:
            yield unfinished
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            # Who waits for it notices that the file is gone, and makes a new one.
            with suppress(OSError):
                lock.unlink()


def publish(folder: Path, to: Path) -> None:
    """Let the folder appear as `to`, which is not there or empty, by one rename of safely written files.

    Raises `StoreError` when the system refuses.
    """
    with storage_errors(to):
        for name in list_tree(folder)[0]:
            sync_file(folder / name)
        sync_directory(folder)
        folder.rename(to)
        sync_directory(to.parent)


@contextmanager
def announced(runs: Path, beside: Path) -> Iterator[None]:
    """Note in the runs folder that `beside` is being written, until the block ends, however it ends.

    A runs folder that cannot be written, as one that is only read from, gets no note.
    """
    note = runs / FOLDER / f"{os.urandom(8).hex()}{NOTE}"
    with ExitStack() as ending:
        with suppress(StoreError):
            ending.enter_context(hold(note.with_suffix(LOCK)))
            ending.callback(_forget, note)
            write_atomically(note, json.dumps({"path": str(beside.absolute())}))
        yield


@contextmanager
def new_folder(to: Path, runs: Path) -> Iterator[Path]:
    """A folder beside `to` that becomes `to` when the block ends well, and is removed otherwise."""
    to = to.absolute()
    beside = place_beside(to)
    with announced(runs, beside):
        with storage_errors(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            beside.mkdir()
        try:
            with writing_errors(beside / "any"):
                yield beside
            check_target(to)
            publish(beside, to)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def leftovers(runs: Path) -> dict[Path, Path]:
    """What killed processes left half-written, by the note that says so. Notes of nothing are left out.

    Raises `StoreError` when the system refuses to read.
    """
    found = {}
    with storage_errors(runs / FOLDER):
        for note in sorted((runs / FOLDER).glob(f"*{NOTE}")):
            path = _noted(note) if _is_abandoned(note) else None
            if path is not None and os.path.lexists(path):
                found[note] = path
    return found


def remove_leftover(note: Path, path: Path) -> None:
    """Remove what was left at `path`, and the note that said so.

    Raises `StoreError` when the system refuses.
    """
    with storage_errors(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        _forget(note)


def _is_abandoned(note: Path) -> bool:
    lock = note.with_suffix(LOCK)
    # Looking writes nothing, so a lock that is not there is not made.
    if not lock.is_file():
        return True
    with try_hold(lock) as held:
        return held


def _noted(note: Path) -> Path | None:
    try:
        path = Path(json.loads(read_regular(note))["path"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # A note can be anybody's writing: only the names that `place_beside` gives are ever removed.
    return path if path.name.startswith(".") and path.suffix == ".tmp" else None


def _forget(note: Path) -> None:
    for path in (note, note.with_suffix(LOCK)):
        with suppress(OSError):
            path.unlink()
