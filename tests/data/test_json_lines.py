"""JSON lines, plain and gzipped, with their mistakes named by place."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lrbench.data.json_lines import read_json_lines
from lrbench.errors import DataError


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_lines_are_numbered_and_blank_ones_left_out(tmp_path: Path, name: str) -> None:
    text = b'{"a": 1}\n\n  \r\n{"b": "\xe2\x80\xa8"}'
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert list(read_json_lines(tmp_path / name)) == [(1, {"a": 1}), (4, {"b": "\u2028"})]


# Without a date, so that every worker collects the same test.
CUT_SHORT = gzip.compress(b'{"a": 1}' * 99, mtime=0)[:-9]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": }', r"a\.jsonl:2:7: is not valid JSON"),
        ("a.jsonl", b'{"a": 1}\n\xff', r"a\.jsonl: is not UTF-8 text \(byte 9\); save it as UTF-8"),
        ("a.jsonl.gz", b'{"a": 1}', r"a\.jsonl\.gz: is not a whole gzip file .*get it again"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"a": 1}' * 99, mtime=0)[:-9],
            r"a\.jsonl\.gz: is not a whole gzip file",
        ),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_json_lines(tmp_path / name))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read \(No such file"):
        list(read_json_lines(tmp_path / "none.jsonl"))
