"""Identity: the key of a stage, and the hashes of the files it reads."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrbench.errors import StoreError
from lrbench.store.canonical import canonical_json, seal, stable_hash, unseal
from lrbench.store.files import open_regular, read_regular, write_atomically

__all__ = ["FileHashes", "canonical_json", "hash_file", "stable_hash", "stage_key"]

# Two writes within one tick of the file system's clock leave equal times. The coarsest clock in use
# (FAT, some network mounts) ticks every 2 seconds.
CLOCK_TICK_NS = 2_000_000_000

_HASH = re.compile(r"[0-9a-f]{64}")


def stage_key(stage: str, version: int, identity: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The key of the artifact that `stage` makes.

    Args:
        stage: the stage's name.
        version: raised whenever the stage's code changes what it writes.
        identity: every recipe field and weight identity that can change the output.
        inputs: role -> key of each artifact that the stage reads.

    Raises:
        TypeError, ValueError: something in `identity` has no canonical JSON; the message gives its place.
    """
    return stable_hash(
        {"stage": stage, "version": version, "identity": dict(identity), "inputs": dict(inputs)}
    )


def hash_file(path: Path) -> str:
    """SHA-256 of the content of `path`, as 64 lower-case hex digits.

    Raises:
        OSError: the file cannot be read; whoever knows what the file is for says so to the user.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileHashes:
    """SHA-256 of files, computed once per content: an unchanged file is not read again.

    A file counts as unchanged while its size, modification time, change time and inode are the same.
    A file touched in the last 2 seconds is hashed but not remembered, since a second write might leave
    the same times. With a `cache_file` the hashes outlive the process; a damaged cache file is ignored.
    """

    def __init__(self, cache_file: Path | None = None) -> None:
        self._cache_file = cache_file
        self._known: dict[str, list[Any]] = {} if cache_file is None else _load(cache_file)

    def sha256(self, path: Path) -> str:
        """The hash of `path`'s content, as `hash_file` gives it and with its errors."""
        name = str(path.absolute())
        started = time.time_ns()
        before = file_stamp(path)
        known = self._known.get(name)
        if known is not None and known[:-1] == before:
            return str(known[-1])
        digest = hash_file(path)
        if is_settled(before, started) and file_stamp(path) == before:
            self._known[name] = [*before, digest]
            self._save()
        return digest

    def _save(self) -> None:
        if self._cache_file is None:
            return
        try:
            self._cache_file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._cache_file, seal({"files": self._known}))
        except (OSError, StoreError):
            # The cache only saves time: where it cannot be kept, files are read again.
            return


def is_settled(stamp: list[int], now_ns: int) -> bool:
    """Whether the file was last touched so long ago that another change would be seen in its times."""
    _, modified_ns, changed_ns, _ = stamp
    return max(modified_ns, changed_ns) + CLOCK_TICK_NS < now_ns


def file_stamp(path: Path) -> list[int]:
    """Size, modification time, change time and inode of the file at `path`."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _load(cache_file: Path) -> dict[str, list[Any]]:
    try:
        known = unseal(read_regular(cache_file))["files"]
    except (OSError, ValueError, KeyError):
        return {}
    return known if isinstance(known, dict) and all(map(_is_entry, known.values())) else {}


def _is_entry(entry: object) -> bool:
    """Whether `entry` is a stamp and a hash."""
    return (
        isinstance(entry, list)
        and [type(value) for value in entry] == [int, int, int, int, str]
        and _HASH.fullmatch(entry[-1]) is not None
    )
