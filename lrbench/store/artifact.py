"""A finished artifact: a directory whose manifest proves every byte of it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from lrbench.store.canonical import canonical_json, seal, stable_hash, unseal
from lrbench.store.files import UnusableFileError, read_regular, write_atomically
from lrbench.store.keys import FileHashes, file_stamp, hash_file, is_settled, stage_key

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
MANIFEST_FORMAT = 1
INDENT = 1
LINK = -1
# As many as the largest sweeps have stages; about 4 KB each.
MOST_MANIFESTS = 8192

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")


class DamageError(Exception):
    """A directory is not the artifact it claims to be; the message says what is wrong, starting small."""


@dataclass(frozen=True)
class Origin:
    """What an artifact is made from. Its key is the hash of these four, so equal origins are one artifact."""

    stage: str
    version: int
    identity: dict[str, Any]
    inputs: dict[str, str]

    @property
    def key(self) -> str:
        """The address of the artifact, as `stage_key` gives it."""
        return stage_key(self.stage, self.version, self.identity, self.inputs)


@dataclass(frozen=True)
class FileRecord:
    """One file of an artifact: name (at most one folder deep, with `/`), size in bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Artifact:
    """A verified directory in the store.

    Attributes:
        statistics: what the stage measured about its output; equal runs give equal statistics.
        content_hash: hash of stage, key, statistics and files; equal runs give equal hashes.
        seconds: working time over all attempts.
        created_at: when it was finished, in UTC.
        environment: what the stage noted about the machine and libraries.
    """

    stage: str
    version: int
    key: str
    directory: Path
    identity: dict[str, Any]
    inputs: dict[str, str]
    statistics: dict[str, Any]
    files: tuple[FileRecord, ...]
    content_hash: str
    seconds: float
    created_at: datetime
    environment: dict[str, Any]

    def file(self, name: str) -> Path:
        """The path of the file called `name`.

        Raises:
            KeyError: the artifact has no such file.
        """
        if all(record.name != name for record in self.files):
            raise KeyError(f"artifact {self.stage}/{self.key} has no file {name!r}")
        return self.directory / name


def check_file_name(name: str) -> None:
    """Refuse a name that could leave the artifact's directory, hide in it, or hit its own records."""
    if _FILE_NAME.fullmatch(name) is None or name in (MANIFEST, PROVENANCE):
        raise ValueError(
            f"{name!r} cannot name a file of an artifact: letters, digits, '_', '-' and '.', not starting "
            f"with '.' or '-', at most one folder deep, and neither {MANIFEST} nor {PROVENANCE}"
        )


def describe_file(path: Path, name: str) -> FileRecord:
    """The record of the file at `path` under the name it has, or will have, in its artifact."""
    return FileRecord(name, path.stat().st_size, hash_file(path))


def write_records(
    directory: Path,
    origin: Origin,
    files: list[FileRecord],
    statistics: Mapping[str, Any],
    seconds: float,
    environment: Mapping[str, Any],
) -> None:
    """Write provenance, then manifest, into `directory`, which holds exactly `files`."""
    provenance = {
        "created_at": datetime.now(UTC).isoformat(),
        "seconds": seconds,
        "environment": dict(environment),
    }
    canonical_json(provenance)
    write_atomically(directory / PROVENANCE, json.dumps(provenance, sort_keys=True, indent=INDENT) + "\n")
    content = {
        "stage": origin.stage,
        "key": origin.key,
        "statistics": dict(statistics),
        "files": [asdict(record) for record in sorted(files, key=lambda record: record.name)],
    }
    manifest = {
        **content,
        "format": MANIFEST_FORMAT,
        "version": origin.version,
        "identity": origin.identity,
        "inputs": origin.inputs,
        "provenance": asdict(describe_file(directory / PROVENANCE, PROVENANCE)),
        "content_hash": stable_hash(content),
    }
    write_atomically(directory / MANIFEST, seal(manifest, INDENT))


def read_manifest(directory: Path, stage: str, key: str) -> dict[str, Any]:
    """The manifest in `directory`, after comparing it with itself and with the names and sizes found there.

    Raises:
        DamageError: the manifest or a name or size is not as it was written.
        OSError: the system refused to read.
    """
    try:
        manifest = _unsealed(directory / MANIFEST)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DamageError(f"{MANIFEST} is missing") from error
    except UnusableFileError as error:
        raise DamageError(f"{MANIFEST} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DamageError(f"{MANIFEST} is damaged ({error})") from error
    if manifest.get("format") != MANIFEST_FORMAT:
        raise DamageError(f"{MANIFEST} has the unknown format {manifest.get('format')!r}")
    if (manifest["stage"], manifest["key"]) != (stage, key):
        raise DamageError(f"{MANIFEST} belongs to {manifest['stage']}/{manifest['key']}")
    _compare_sizes(directory, _records(manifest))
    return manifest


@lru_cache(MOST_MANIFESTS)
def _unsealed_once(path: Path, _stamp: tuple[int, ...]) -> dict[str, Any]:
    return unseal(read_regular(path), INDENT)


def _unsealed(path: Path) -> dict[str, Any]:
    """The manifest at `path`, read once while the file stays as it is; one just written may change unseen."""
    started = time.time_ns()
    stamp = file_stamp(path)
    if is_settled(stamp, started):
        return _unsealed_once(path.absolute(), tuple(stamp))
    return unseal(read_regular(path), INDENT)


def read_artifact(directory: Path, stage: str, key: str, hashes: FileHashes) -> Artifact:
    """The artifact in `directory`, after proving every byte of it: names and sizes first, then hashes.

    Raises:
        DamageError: something differs from the manifest, or the manifest from itself.
        OSError: the system refused to read.
    """
    manifest = read_manifest(directory, stage, key)
    records = _records(manifest)
    try:
        for record in records:
            if hashes.sha256(directory / record.name) != record.sha256:
                raise DamageError(f"the content of {record.name} has changed")
        provenance = json.loads(read_regular(directory / PROVENANCE))
    except UnusableFileError as error:
        raise DamageError(f"{error.filename} was replaced while it was read: {error.strerror}") from error
    except FileNotFoundError as error:
        raise DamageError(f"{error.filename} went away while it was read") from error
    return Artifact(
        stage=stage,
        version=manifest["version"],
        key=key,
        directory=directory,
        identity=manifest["identity"],
        inputs=manifest["inputs"],
        statistics=manifest["statistics"],
        files=tuple(record for record in records if record.name != PROVENANCE),
        content_hash=manifest["content_hash"],
        seconds=provenance["seconds"],
        created_at=datetime.fromisoformat(provenance["created_at"]),
        environment=provenance["environment"],
    )


def list_tree(directory: Path) -> tuple[dict[str, int], set[str]]:
    """Everything under `directory`: the size in bytes of each file by its relative name, and the folders.

    What is no regular file, such as a link, is given the size `LINK`, so that it never passes for one.
    """
    sizes: dict[str, int] = {}
    folders: set[str] = set()
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(directory / prefix) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.add(name)
                    pending.append(name + "/")
                else:
                    regular = entry.is_file(follow_symlinks=False)
                    sizes[name] = entry.stat(follow_symlinks=False).st_size if regular else LINK
    return sizes, folders


def _records(manifest: dict[str, Any]) -> list[FileRecord]:
    return [FileRecord(**record) for record in [*manifest["files"], manifest["provenance"]]]


def _compare_sizes(directory: Path, records: list[FileRecord]) -> None:
    sizes, folders = list_tree(directory)
    if sizes.pop(MANIFEST, LINK) == LINK:
        raise DamageError(f"{MANIFEST} is a link")
    for record in records:
        found = sizes.pop(record.name, None)
        if found is None:
            raise DamageError(f"{record.name} is missing")
        if found == LINK:
            raise DamageError(f"{record.name} is a link, a pipe or a device and no file of its own")
        if found != record.size:
            raise DamageError(f"{record.name} has {found} bytes instead of {record.size}")
    expected = {str(PurePosixPath(record.name).parent) for record in records if "/" in record.name}
    for name in sorted(sizes) + sorted(folders - expected):
        raise DamageError(f"{name} does not belong to it")
