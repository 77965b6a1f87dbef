"""JSON lines, plain and gzipped, with their mistakes named by place."""

from __future__ import annotations

import gzip
import os
import socket
from collections import deque
from pathlib import Path

import pytest

from lrbench.data.json_lines import read_json_lines
from lrbench.errors import DataError


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_lines_are_numbered_and_blank_ones_left_out(tmp_path: Path, name: str) -> None:
    text = b'{"a": 1}\n\n  \r\n{"b": "\xe2\x80\xa8"}'
    (tmp_path / name).write_bytes(gzip.compress(text, mtime=0) if name.endswith("gz") else text)
    assert list(read_json_lines(tmp_path / name)) == [(1, {"a": 1}), (4, {"b": "\u2028"})]


def test_a_byte_order_mark_and_any_line_end_are_no_part_of_a_value(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}')
    assert list(read_json_lines(tmp_path / "a.jsonl")) == [(1, {"a": 1}), (3, {"a": 2})]


def test_both_halves_of_a_character_and_a_written_backslash_are_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(PAIR)
    assert list(read_json_lines(tmp_path / "a.jsonl")) == [(1, "\U0001f600 \\ud83d")]


# Without a date, so that every worker collects the same test.
CUT_SHORT = gzip.compress(b'{"a": 1}' * 99, mtime=0)[:-9]
PAIR = '"\\ud83d\\uDE00 \\\\ud83d"'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": }', r"a\.jsonl:2:7: is not valid JSON"),
        (
            "a.jsonl",
            b'{"a": 1}\n"\xc3\xa9\xff"',
            r"a\.jsonl:2:3: found the byte 0xFF, .*; save the file as UTF-8",
        ),
        ("a.jsonl", '{"a": 1}'.encode("utf-16"), r"a\.jsonl:1:1: is UTF-16 text, .* save the file as UTF-8"),
        ("a.jsonl", '{"a": 1}'.encode("utf-16-le"), r"a\.jsonl:1:2: holds a byte 0"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\0"}', r"a\.jsonl:2:8: is not valid JSON"),
        ("a.jsonl", b"\0" * 2**25, r"a\.jsonl:1:1: holds a byte 0"),
        ("a.jsonl", b'{"a": "' + b"x" * 2**25, r"a\.jsonl:1: is a line of more than 16 MiB"),
        ("a.jsonl", b'{"a": NaN}', r"a\.jsonl:1: holds NaN, which is no JSON number"),
        ("a.jsonl", b'{"a": [-Infinity]}', r"a\.jsonl:1: holds -Infinity, which is no JSON number"),
        ("a.jsonl", b'{"a": 1e400}', r"a\.jsonl:1: holds the number 1e400, which is too large"),
        ("a.jsonl", b'{"a": ' + b"1" * 5000 + b"}", r"a\.jsonl:1: holds a number of too many digits"),
        ("a.jsonl", b'{"a": 1, "b": 2, "a": 1}', r"a\.jsonl:1: has the key 'a' twice in one object"),
        ("a.jsonl", b'{"b": {"a": 1, "a": 2}}', r"a\.jsonl:1: has the key 'a' twice in one object"),
        ("a.jsonl", b"[" * 99_999 + b"]" * 99_999, r"a\.jsonl:1: is nested too deeply"),
        ("a.jsonl", b'1\n{"a": ["\\ud83d"]}', r"a\.jsonl:2:9: holds half a character \(\\ud83d, a surrogate"),
        ("a.jsonl", b'{"\\udE00": 1}', r"a\.jsonl:1:3: holds half a character"),
        ("a.jsonl", b'{"a": "\\ud83d\\ud83d\\ude00"}', r"a\.jsonl:1:8: holds half a character"),
        (
            "a.jsonl",
            gzip.compress(b'{"a": 1}', mtime=0),
            r"a\.jsonl: is a gzip file; give it a name that ends in \.gz",
        ),
        ("a.jsonl.gz", gzip.compress(b"\n" * 2**25, mtime=0), r"gz:\d+: unpacks to more than 16 MiB"),
        ("a.jsonl.gz", gzip.compress(b"\0" * 2**25, mtime=0), r"gz:1:1: holds a byte 0"),
        ("a.jsonl.gz", gzip.compress(b" " * 2**25, mtime=0), r"gz:1: is a line of more than 16 MiB"),
        (
            "a.jsonl.gz",
            gzip.compress(gzip.compress(b"1", mtime=0), mtime=0),
            r"gz: is a gzip file; .*unpack it",
        ),
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


def test_what_is_no_regular_file_is_told_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "null").symlink_to("/dev/null")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    listening.close()
    for name, message in {
        "pipe": "is a named pipe, allowed is a JSONL file",
        "": "is a directory, allowed is a JSONL file",
        "/dev/zero": "is a device, allowed is a JSONL file",
        "/dev/full": "is a device, allowed is a JSONL file",
        "null": "is a device, allowed is a JSONL file",
        "loop": "cannot be read (Too many levels of symbolic links)",
        "socket": "cannot be read (No such device or address)",
        "no/file": "cannot be read (No such file or directory)",
        "a\0b": "cannot be read (embedded null byte)",
        "x" * 300: "cannot be read (File name too long)",
    }.items():
        with pytest.raises(DataError) as caught:
            list(read_json_lines(tmp_path / name))
        # Python 3.13 says it otherwise.
        said = str(caught.value).replace("open: embedded null character in path", "embedded null byte")
        assert said == f"{tmp_path / name}: {message}"


def test_a_file_that_changes_while_it_is_read_is_not_half_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n' * 3)

    def grow(number: int) -> None:
        assert number < 100
        with path.open("a") as growing:
            growing.write('{"a": 1}\n')

    with pytest.raises(DataError, match=r"a\.jsonl: changed while it was read; start again"):
        deque(map(grow, (number for number, _ in read_json_lines(path))), 0)
