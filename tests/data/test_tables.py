"""Rows of files in every form, and mistakes with their places."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from lrbench.data.tables import read_table
from lrbench.errors import DataError

ROWS = [{"problem": "1+1?", "answer": "2"}, {"problem": 'a "quoted", line\nbreak', "answer": "x,y"}]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_table(path)]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_csv(rows: list[dict[str, str]], separator: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_every_form_gives_the_same_rows(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    files = [
        written(tmp_path, "a.jsonl", lines),
        written(tmp_path, "a.jsonl.gz", gzip.compress(lines.encode())),
        written(tmp_path, "a.json", "\ufeff" + json.dumps(ROWS, indent=2)),
        written(tmp_path, "a.csv", "\ufeff" + as_csv(ROWS)),
        written(tmp_path, "a.tsv", as_csv(ROWS, "\t")),
        tmp_path / "a.parquet",
    ]
    assert [rows_of(file) for file in files] == [ROWS] * len(files)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)


@given(st.lists(st.fixed_dictionaries({"problem": TEXT, "answer": TEXT}), min_size=1, max_size=4), st.data())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    indent = data.draw(st.sampled_from([None, 0, 3]))
    assert rows_of(written(folder, "a.json", json.dumps(rows, indent=indent, ensure_ascii=False))) == rows
    assert rows_of(written(folder, "a.csv", as_csv(rows))) == rows


def test_places_are_those_of_the_rows(tmp_path: Path) -> None:
    array = written(tmp_path, "a.json", '[\n  {"a": 1}, {"a": 2},\n {"a": 3}]')
    assert [place.removeprefix(f"{array}:") for place, _ in read_table(array)] == ["2:3", "2:13", "3:2"]
    table = written(tmp_path, "a.csv", 'a,b\n1,"two\nlines"\n\n3,4\n')
    assert [place.removeprefix(f"{table}:") for place, _ in read_table(table)] == ["2", "5"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.txt",
            "x",
            ": is of an unknown kind; allowed are files that end in .jsonl, .jsonl.gz, .json, .csv, ",
        ),
        ("a.jsonl", '{"a": 1}\n[1]\n', ":2: is no object; each row has to be one"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', ":2:6: is not valid JSON"),
        ("a.json", '{"a": 1}', ":1:1: is no JSON array"),
        ("a.json", '[{"a": 1},\n {"a": 2} {"a": 3}]', ":2:11: a comma or the end of the array is missing"),
        ("a.json", '[{"a": 1},\n {"a" 2}]', ":2:7: is not valid JSON"),
        ("a.json", '[{"a": 1}', ":1:10: a comma or the end of the array is missing"),
        ("a.json", '[{"a": 1}] x', ":1:12: there is more behind the end of the array"),
        ("a.json", '[{"a": 1, "a": 2}]', ":1:2: has the key 'a' twice in one object"),
        ("a.json", '[{"a": NaN}]', ":1:2: holds NaN, which is no JSON number"),
        ("a.json", "[3]", ":1:2: is no object"),
        ("a.json", b'[\n{"a": "\xff"}]', ":2:8: found the byte 0xFF, allowed is UTF-8 text"),
        ("a.csv", "a,b\n1,2,3\n", ":2: has 3 fields, and the first line names 2"),
        ("a.csv", "a,a\n1,2\n", ":1: the first line names the field 'a' twice"),
        ("a.csv", 'a,b\n1,"2\n', ": is no CSV that can be read"),
        ("a.csv", "a,b\n1,\0\n", ":2:3: holds a byte 0"),
        ("a.parquet", "PAR1 and no more", ": is no Parquet file that can be read"),
        ("a.parquet", "", ": is no Parquet file that can be read"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, told: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        rows_of(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert told in message


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.parquet", "a.jsonl"])
def test_a_folder_and_what_is_not_there_are_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        rows_of(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"cannot be read|is a directory"):
        rows_of(tmp_path / name)
