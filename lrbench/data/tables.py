"""Rows of a file in one of the forms that data come in: JSON lines, a JSON array, CSV, and Parquet.

The name's ending says which it is. A mistake is told with its place: file, line and column where there are
lines, the row's number where there are none.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrbench.data.faults import Faults, noting
from lrbench.data.json_lines import LARGEST_TEXT, MIB, read_json_lines
from lrbench.errors import DataError
from lrbench.store.files import UnusableFileError, read_regular
from lrbench.store.strict_json import JsonError, strict_json

ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".csv", ".tsv", ".parquet")
Place = str
# A field of a CSV file is one text, and none is longer than this.
LONGEST_FIELD = 16 * MIB
BATCH = 1024


def read_table(path: Path, faults: Faults | None = None) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every row of `path` with its place, as a mapping of the fields' names to their values.

    Raises `DataError` for a file of another kind, one that cannot be read, and what is no such row. A line
    that is none is noted among the `faults`, where they are given, and the next one is read.
    """
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise DataError(
            f"{path}: is of an unknown kind; allowed are files that end in {', '.join(ENDINGS[:-1])} or "
            f"{ENDINGS[-1]}"
        )
    if name.endswith(".json"):
        return _of_array(path)
    if name.endswith((".csv", ".tsv")):
        return _of_csv(path, "," if name.endswith(".csv") else "\t", faults)
    return _of_parquet(path) if name.endswith(".parquet") else _of_lines(path, faults)


def _of_lines(path: Path, faults: Faults | None) -> Iterator[tuple[Place, dict[str, Any]]]:
    for number, value in read_json_lines(path, faults=faults):
        with noting(faults):
            yield _row(f"{path}:{number}", value)


def _of_array(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    text = _text(path)
    decoder = json.JSONDecoder()
    at = _next(text, 0)
    if text[at : at + 1] != "[":
        raise DataError(
            f"{_place(path, text, at)}: is no JSON array; allowed is a list of objects, `[{{...}}, ...]`"
        )
    at = _next(text, at + 1)
    line, before, counted = 1, -1, 0
    while text[at : at + 1] != "]":
        # Counted on from the row before: a file may have a million of them.
        line, before = line + text.count("\n", counted, at), max(before, text.rfind("\n", counted, at))
        place, counted = f"{path}:{line}:{at - before}", at
        try:
            _, end = decoder.raw_decode(text, at)
            value = strict_json(text[at:end])
        except json.JSONDecodeError as error:
            raise DataError(f"{_place(path, text, error.pos)}: is not valid JSON ({error.msg})") from error
        except JsonError as error:
            raise DataError(f"{place}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: is not JSON that can be read ({error})") from error
        yield _row(place, value)
        at = _next(text, end)
        if text[at : at + 1] == ",":
            at = _next(text, at + 1)
        elif text[at : at + 1] != "]":
            raise DataError(f"{_place(path, text, at)}: a comma or the end of the array is missing")
    if _next(text, at + 1) != len(text):
        raise DataError(
            f"{_place(path, text, _next(text, at + 1))}: there is more behind the end of the array"
        )


def _of_csv(path: Path, separator: str, faults: Faults | None) -> Iterator[tuple[Place, dict[str, Any]]]:
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.reader(io.StringIO(_text(path), newline=""), delimiter=separator, strict=True)
    names: list[str] | None = None
    line = 1
    try:
        for row in rows:
            if row and names is None:
                names = _header(f"{path}:{line}", row)
            elif row and names is not None:
                with noting(faults):
                    yield f"{path}:{line}", _fields(f"{path}:{line}", names, row)
            line = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: is no CSV that can be read ({error})") from error


def _header(place: Place, names: list[str]) -> list[str]:
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise DataError(f"{place}: the first line names the field {twice[:60]!a} twice")
    return names


def _fields(place: Place, names: list[str], row: list[str]) -> dict[str, Any]:
    if len(row) != len(names):
        raise DataError(
            f"{place}: has {len(row)} fields, and the first line names {len(names)}; "
            "put a field that holds the separator in double quotes"
        )
    return dict(zip(names, row, strict=True))


def _of_parquet(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        with path.open("rb") as stream, parquet.ParquetFile(stream) as file:
            for batch in file.iter_batches(BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no Parquet file that can be read ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _row(place: Place, value: Any) -> tuple[Place, dict[str, Any]]:
    if not isinstance(value, dict):
        raise DataError(
            f'{place}: is no object; each row has to be one, such as {{"problem": ..., "answer": ...}}'
        )
    return place, value


def _text(path: Path) -> str:
    """The text of a file that is read whole."""
    try:
        content = read_regular(path, LARGEST_TEXT).removeprefix(codecs.BOM_UTF8)
    except UnusableFileError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        raise DataError(
            f"{_place(path, before, len(before))}: found the byte 0x{content[error.start]:02X}, allowed is "
            "UTF-8 text; save the file as UTF-8"
        ) from error
    if "\0" in text:
        raise DataError(f"{_place(path, text, text.index(chr(0)))}: holds a byte 0, so it is not text")
    return text


def _place(path: Path, text: str, at: int) -> Place:
    line = text.count("\n", 0, at) + 1
    return f"{path}:{line}:{at - text.rfind(chr(10), 0, at)}"


def _next(text: str, at: int) -> int:
    """Where the next character stands that is no white space."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
