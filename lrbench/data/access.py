"""Where a data set is on this machine, and proof that it is the right one.

A folder given as `runtime.data_root` or in `LRBENCH_DATA` is used as it is. Without one, sets are
fetched from their pinned sources once and kept in the user's cache.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lrbench.data.json_lines import read_json_lines
from lrbench.data.rules import Row
from lrbench.data.sets import DataSet, ExampleSet
from lrbench.errors import DataError
from lrbench.store.canonical import canonical_json
from lrbench.store.files import write_atomically
from lrbench.store.strict_json import strict_json

FOLDER_VARIABLE = "LRBENCH_DATA"
OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
AnySet = DataSet | ExampleSet


@dataclass(frozen=True)
class VerifiedSet:
    """A data set whose file on this machine has the right content; iterating reads row by row."""

    data_set: DataSet
    path: Path

    def __iter__(self) -> Iterator[Row]:
        return _rows(self.path)


def open_set(data_set: DataSet, data_root: str | None) -> VerifiedSet:
    """`data_set` as it lies in `data_root`, in the folder of LRBENCH_DATA, or in the cache.

    Raises `DataError` when it is missing and cannot be fetched, or when its content is not the right one.
    """

    def fetched() -> bytes:
        # What loads from the network takes a while to import, and data is hardly ever not here.
        from lrbench.data.fetching import fetch_rows

        rows = fetch_rows(data_set)
        _compare(data_set, map(row_line, rows), data_set.source.url)
        return gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0)

    path = _located(data_set, data_root, ".jsonl.gz", fetched)
    _compare(data_set, map(row_line, _rows(path)), str(path))
    return VerifiedSet(data_set, path)


def open_examples(examples: ExampleSet, data_root: str | None) -> list[tuple[str, str]]:
    """The worked examples, as (question, answer); found and verified as by `open_set`."""

    def fetched() -> bytes:
        from lrbench.data.fetching import fetch_examples

        pairs = fetch_examples(examples)
        return json.dumps([{"question": question, "answer": answer} for question, answer in pairs]).encode()

    path = _located(examples, data_root, ".json", fetched)
    try:
        pairs = [
            (row["question"], row["answer"]) for row in strict_json(path.read_text(encoding="utf-8-sig"))
        ]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: is no list of objects with question and answer ({error!r})") from error
    _compare(examples, (_line([*pair]) for pair in pairs), str(path))
    return pairs


def require(sets: Iterable[AnySet], data_root: str | None) -> None:
    """Raise `DataError` unless every one of `sets` is on this machine or can be fetched; fetches nothing."""
    for data_set in sets:
        path = _place(data_set, data_root)
        if path is None:
            with _advice(data_set):
                _refuse_offline(data_set)
                from lrbench.data.fetching import check_reachable

                check_reachable(data_set.source)


def is_here(data_set: AnySet, data_root: str | None) -> bool:
    """Whether the set's file is on this machine; what is in it is not looked at."""
    try:
        return _place(data_set, data_root) is not None
    except DataError:
        return False


def row_line(row: Row) -> bytes:
    """A row's line in the content that is hashed."""
    content = [row["id"], row["problem"], row["answer"], row["solution"]]
    return _line([*content, row["group"]] if "group" in row else content)


def _located(data_set: AnySet, data_root: str | None, suffix: str, fetched: Callable[[], bytes]) -> Path:
    path = _place(data_set, data_root)
    if path is None:
        path = _cache() / f"{data_set.name}{suffix}"
        with _advice(data_set):
            _refuse_offline(data_set)
            content = fetched()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return path


def _place(data_set: AnySet, data_root: str | None) -> Path | None:
    """The set's file, or None where it has to be fetched."""
    suffixes = (".json",) if isinstance(data_set, ExampleSet) else (".jsonl", ".jsonl.gz")
    given = data_root or os.environ.get(FOLDER_VARIABLE)
    folder = Path(given).expanduser() if given else _cache()
    for suffix in suffixes:
        if (folder / f"{data_set.name}{suffix}").is_file():
            return folder / f"{data_set.name}{suffix}"
    if not given:
        return None
    setting = "runtime.data_root" if data_root else FOLDER_VARIABLE
    names = " or ".join(data_set.name + suffix for suffix in suffixes)
    what = f"has no {names}" if folder.is_dir() else "is no folder"
    raise DataError(
        f"{folder} ({setting}) {what}, which {data_set.name} is read from; "
        f"set {setting} to the folder of the benchmark data, or leave it out to fetch the data"
    )


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "lrbench" / "data"


def _refuse_offline(data_set: AnySet) -> None:
    if os.environ.get(OFFLINE_VARIABLE, "").lower() in ("1", "true", "yes", "on"):
        raise DataError(f"{data_set.source.url}: {OFFLINE_VARIABLE} is set, so nothing is fetched")


@contextmanager
def _advice(data_set: AnySet) -> Iterator[None]:
    """Adds to a `DataError` of the block what to do about a set that is not here."""
    try:
        yield
    except DataError as error:
        raise DataError(
            f"the data set {data_set.name} is not on this machine. Set {FOLDER_VARIABLE} or "
            f"runtime.data_root to a folder that holds it, or give access to the network.\n  {error}"
        ) from error


def _rows(path: Path) -> Iterator[Row]:
    for number, value in read_json_lines(path):
        if not _is_row(value):
            raise DataError(
                f"{path}:{number}: each line must be an object with the texts id, problem and answer, and "
                "a solution that is text or null"
            )
        yield Row(
            id=value["id"],
            problem=value["problem"],
            answer=value["answer"],
            solution=value.get("solution"),
        )


def _is_row(value: object) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(field), str) for field in ("id", "problem", "answer"))
        and isinstance(value.get("solution"), str | None)
    )


def _line(values: list[str | None]) -> bytes:
    return f"{canonical_json(values)}\n".encode("ascii")


def _compare(data_set: AnySet, lines: Iterable[bytes], place: str) -> None:
    digest, count = hashlib.sha256(), 0
    for line in lines:
        digest.update(line)
        count += 1
    if (digest.hexdigest(), count) != (data_set.content_hash, data_set.rows):
        raise DataError(
            f"{place}: is not the {data_set.name} that scores are compared on: expected {data_set.rows} rows "
            f"with content hash {data_set.content_hash[:12]}, found {count} with {digest.hexdigest()[:12]}; "
            "get it again"
        )
