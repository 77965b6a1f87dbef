"""The Parquet files of a data set of the hub, by split and configuration, at one commit.

`huggingface_hub` fetches and keeps them, so mirrors (`HF_ENDPOINT`), tokens and its cache are as everywhere.
Files are found by the two ways in which the hub lays them out: `CONFIG/SPLIT-00000-of-00002.parquet`, where
`data` and no folder at all stand for the only configuration, and `CONFIG/SPLIT/0000.parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import DataError

FILE = re.compile(
    r"(?:(?P<config>.+)/)?(?P<split>[^/]+?)(?:-\d+-of-(?P<count>\d+))?(?:-[0-9a-f]{16})?\.parquet"
)
NUMBERED = re.compile(r"(?P<config>.+)/(?P<split>[^/]+)/\d+\.parquet")
# The folders of a data set that has one configuration.
ONLY = "data"
DEFAULT = "default"
DATA_SET = "dataset"


class AbsentHubDataError(DataError):
    """A data set of the hub is not on this machine and was not to be fetched, or could not be."""


@dataclass(frozen=True)
class HubFiles:
    """The files of one split, in order, and the commit that they are of."""

    commit: str
    paths: tuple[Path, ...]


def hub_files(name: str, split: str, config: str | None, fetch: bool) -> HubFiles:
    """The files of a data set called `OWNER/NAME` or `OWNER/NAME@REVISION`, from the cache unless `fetch`.

    Without a revision it is what `main` points at now, or, from the cache, what it pointed at when it was
    last fetched. Raises `AbsentHubDataError` where it is not here and not fetched, and `DataError` where the
    data set has no such files.
    """
    repository, _, revision = name.partition("@")
    wanted = _listed(name, split, config) if fetch else None
    folder = _snapshot(name, repository, revision or None, wanted, fetch)
    if wanted is None:
        here = (path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
        try:
            wanted = chosen_files(name, here, split, config)
        except DataError as error:
            raise AbsentHubDataError(str(error)) from error
    missing = next((file for file in wanted if not (folder / file).is_file()), None)
    if missing is not None:
        raise AbsentHubDataError(f"the data set {name} of the hub is here without its file {missing}")
    # The hub's cache names a snapshot's folder by its commit.
    return HubFiles(folder.name, tuple(folder / file for file in wanted))


def chosen_files(name: str, files: Iterable[str], split: str, config: str | None) -> tuple[str, ...]:
    """Those of a data set's `files` that hold a split of a configuration, in order.

    Raises `DataError` where there are none, where several configurations have the split and none is meant,
    and where one of a split's numbered files is missing.
    """
    found: dict[str, dict[str, list[tuple[str, int | None]]]] = {}
    for file in sorted(files):
        match = NUMBERED.fullmatch(file) or FILE.fullmatch(file)
        if match:
            parts = match.groupdict()
            folder = "" if parts["config"] in (None, ONLY) else str(parts["config"])
            count = parts.get("count")
            found.setdefault(folder, {}).setdefault(parts["split"], []).append(
                (file, None if count is None else int(count))
            )
    if not found:
        raise DataError(
            f"the data set {name} of the hub has no Parquet files; the hub makes them of most data sets, at "
            f"the revision {name.partition('@')[0]}@refs/convert/parquet"
        )
    having = {
        key: splits[split] for key, splits in found.items() if split in splits and _is_meant(key, config)
    }
    if len(having) != 1:
        known = sorted(f"{key or DEFAULT}/{each}" for key, splits in found.items() for each in splits)
        what = f"no split `{split}`" if not having else f"several configurations with a split `{split}`"
        of = f" of a configuration `{config}`" if config is not None else ""
        raise DataError(
            f"the data set {name} of the hub has {what}{of}; there are {', '.join(known[:20])} "
            "(CONFIG/SPLIT): say which by `config` and `split`"
        )
    [chosen] = having.values()
    counts = {count for _, count in chosen if count is not None}
    if counts and max(counts) != len(chosen):
        raise DataError(
            f"the data set {name} of the hub has {len(chosen)} of the {max(counts)} files of `{split}`"
        )
    return tuple(file for file, _ in chosen)


def _is_meant(folder: str, config: str | None) -> bool:
    return config in (None, folder) or (folder == "" and config in (DEFAULT, ONLY))


def _listed(name: str, split: str, config: str | None) -> tuple[str, ...] | None:
    """The files that a split has now; None where the hub cannot be asked, so that the cache has to do."""
    from huggingface_hub import list_repo_files
    from huggingface_hub.errors import HfHubHTTPError

    repository, _, revision = name.partition("@")
    try:
        files = list_repo_files(repository, revision=revision or None, repo_type=DATA_SET)
    except HfHubHTTPError as error:
        raise DataError(f"{_unfetched(name, error)}; check its name and revision, and HF_TOKEN") from error
    except _unfetchable():
        return None
    return chosen_files(name, files, split, config)


def _snapshot(
    name: str, repository: str, revision: str | None, wanted: tuple[str, ...] | None, fetch: bool
) -> Path:
    """The folder of a data set at a revision in the hub's cache, with the files that are `wanted`."""
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                repository,
                repo_type=DATA_SET,
                revision=revision,
                allow_patterns=None if wanted is None else list(wanted),
                local_files_only=wanted is None,
            )
        )
    except _unfetchable() as error:
        if wanted is None and not fetch:
            raise AbsentHubDataError(f"the data set {name} of the hub is not here") from error
        raise AbsentHubDataError(
            f"{_unfetched(name, error)} and is not in its cache here; give access to the network, or a file"
        ) from error


def _unfetchable() -> tuple[type[Exception], ...]:
    """What `huggingface_hub` raises where the network fails, or where a name is none of its names."""
    from huggingface_hub import errors

    # Of the library that it speaks HTTP through, which is another one in other versions.
    return OSError, ValueError, errors.HTTPError  # type: ignore[attr-defined]


def _unfetched(name: str, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"the data set {name} cannot be fetched from the hub ({reason})"
