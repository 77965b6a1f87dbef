"""What processes on several machines need to share a store: locks that hold between them, equal libraries."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lrbench.errors import UserError
from lrbench.pipeline.environment import PACKAGES, environment
from lrbench.store.canonical import canonical_json
from lrbench.store.files import read_regular, write_atomically
from lrbench.store.locks import is_held, try_hold

FOLDER, LOCK = "workers", ".lock"
MOUNTS = Path("/proc/self/mounts")
# Options that leave locks to each machine for itself, by kind of file system.
LOCAL_LOCKS = {
    "nfs": ("nolock", "local_lock=flock", "local_lock=all"),
    "nfs4": ("nolock", "local_lock=flock", "local_lock=all"),
    "lustre": ("localflock",),
    "cifs": ("nobrl",),
    "smb3": ("nobrl",),
}
# Kinds whose locks never leave the machine.
LOCAL_KINDS = ("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.rclone")
ESCAPED = re.compile(r"\\([0-7]{3})")


def check_locks(runs: Path) -> None:
    """Raise `UserError` where locks under `runs` hold on one machine alone, as far as its mount tells."""
    kind, place, options = _mount_of(Path(os.path.realpath(runs)))
    local = next((option for option in LOCAL_LOCKS.get(kind, ()) if option in options), None)
    if local is None and kind not in LOCAL_KINDS:
        return
    how = "" if local is None else f" with `{local}`"
    raise UserError(
        f"{runs} is on {kind}, mounted at {place}{how}: its locks hold on one machine alone, so workers on "
        "several would do the same work over each other. Choose a folder whose locks hold everywhere with "
        "--runs, or have one machine do the work, with runtime.workers"
    )


@contextmanager
def announced(runs: Path, recipe: str, alike: bool = False) -> Iterator[Path]:
    """Tell other processes, while the block runs, that this one works on `recipe`, and with which versions.

    Gives the note that tells it. Where all have to be `alike`, raises `UserError` for one at work on the same
    recipe with other versions.
    """
    folder = runs / FOLDER
    name = f"{platform.node()}-{os.getpid()}-{os.urandom(2).hex()}"
    with try_hold(folder / f"{name}{LOCK}", removed=True):
        place = folder / f"{name}.json"
        write_atomically(place, canonical_json(asdict(Announcement(recipe, environment()))))
        try:
            if alike:
                _check_alike(_at_work(folder, name), recipe)
            yield place
        finally:
            place.unlink(missing_ok=True)


def at_work(runs: Path) -> list[tuple[str, str]]:
    """The processes at work in a runs folder, each with the name of its recipe."""
    return [(name, other.recipe) for name, other in _at_work(runs / FOLDER, "")]


@dataclass(frozen=True)
class Announcement:
    """What a process works on, and with which versions."""

    recipe: str
    environment: dict[str, str]


_ANNOUNCEMENT = TypeAdapter(Announcement)


def _at_work(folder: Path, own: str) -> Iterator[tuple[str, Announcement]]:
    """The other processes that are at work now; what one that was killed has left is removed."""
    for place in sorted(folder.glob("*.json")):
        if place.stem == own:
            continue
        lock = folder / f"{place.stem}{LOCK}"
        if not is_held(lock):
            with try_hold(lock, removed=True) as is_gone:
                if is_gone:
                    place.unlink(missing_ok=True)
                    continue
        with suppress(OSError, ValidationError):
            yield place.stem, _ANNOUNCEMENT.validate_json(read_regular(place))


def _check_alike(others: Iterable[tuple[str, Announcement]], recipe: str) -> None:
    for name, other in others:
        if other.recipe == recipe and (found := difference(other.environment)) is not None:
            what, there, own = found
            raise UserError(
                f"{name} works on {recipe} with {what} {there}, and here is {own}: work that is shared "
                "has to be done alike. Install the same here, or wait until it has ended"
            )


def difference(there: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The first of what decides results that is otherwise `there`: its name, what is there, what is here."""
    here = environment()
    for what in (*PACKAGES, "commit"):
        other, own = there.get(what, "none"), here.get(what, "none")
        if other != own:
            return what, other, own
    return None


def _mount_of(folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """The kind, place and options of the file system that a folder is on; empty where that is not told."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return "", "", ()
    found: tuple[str, str, tuple[str, ...]] = ("", "", ())
    for fields in map(str.split, lines):
        if len(fields) < 4:
            continue
        place = ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[1])
        # The last of those that are mounted over each other is what is seen.
        if folder.is_relative_to(place) and len(place) >= len(found[1]):
            found = fields[2], place, tuple(fields[3].split(","))
    return found
