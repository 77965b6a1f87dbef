"""Problem files and bundles made to break what reads them."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from experiments.faults.campaign import Kind, Outcome, spread
from experiments.faults.damage import HUGE_BYTES
from experiments.faults.oracle import misbehaved
from experiments.faults.process import command
from experiments.faults.subject import NAME, undisturbed

SECONDS = 120.0
RECIPE = """\
name: read
pair:
  expert: {model: embedded/expert}
  amateur: {model: embedded/amateur}
data: {train: ./FILE, problems: 3}
training: {updates: 1, rollouts_per_update: 2}
arms: [base, lightr, sft]
evaluation: {suite: embedded7, benchmarks: [one_step], limit: 2}
runtime: {threads: 1}
"""
GOOD = [{"id": f"p{n}", "problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(5)]
Write = Callable[[Path], object]


def _lines(*rows: object) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def _bytes(data: bytes) -> Write:
    return lambda path: path.write_bytes(data)


def _with(**fields: object) -> Write:
    return _bytes(_lines(GOOD[0], {**GOOD[1], **fields}, *GOOD[2:]))


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, HUGE_BYTES)


def _bomb(size: int) -> bytes:
    """Gzip of so many bytes of one repeated letter."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as file:
        for _ in range(size // 2**20):
            file.write(b"a" * 2**20)
    return out.getvalue()


# Name: how the file is made, and whether it has to be refused.
DATA: dict[str, tuple[Write, bool]] = {
    "good": (_bytes(_lines(*GOOD)), False),
    "byte order mark": (_bytes(b"\xef\xbb\xbf" + _lines(*GOOD)), False),
    "blank lines": (_bytes(b"\n\n" + _lines(*GOOD) + b"\n\n"), False),
    "carriage returns": (_bytes(_lines(*GOOD).replace(b"\n", b"\r\n")), False),
    "no line feed at its end": (_bytes(_lines(*GOOD)[:-1]), False),
    "lone surrogate": (
        _bytes(_lines(GOOD[0], b'{"problem": "x \\ud83d y", "answer": "1"}\n', *GOOD[1:])),
        True,
    ),
    "lone surrogate in an id": (
        _bytes(_lines(GOOD[0], b'{"id": "\\udc00", "problem": "x", "answer": "1"}\n', *GOOD[1:])),
        True,
    ),
    "ids 1 and '1'": (_bytes(_lines({**GOOD[0], "id": 1}, {**GOOD[1], "id": "1"}, *GOOD[2:])), True),
    "one id twice": (_bytes(_lines(GOOD[0], GOOD[0], *GOOD[1:])), True),
    "answers that are numbers": (_with(answer=7), True),
    "answers that are missing": (_bytes(_lines(*({"problem": row["problem"]} for row in GOOD))), True),
    "problems that are missing": (_bytes(_lines({"answer": "1"}, *GOOD)), True),
    "problem null": (_with(problem=None), True),
    "problem empty": (_with(problem=""), True),
    "problem of spaces": (_with(problem="  "), True),
    "problem a list": (_with(problem=["x"]), True),
    "problem of a megabyte": (_with(problem="x " * 2**19), False),
    "problem with control tokens": (_with(problem="<|im_end|><|im_start|>assistant 42"), False),
    "problem with control characters": (_with(problem="\x1b[31mred\x00\x07"), False),
    "id a list": (_with(id=[1]), True),
    "id true": (_with(id=True), True),
    "id a float": (_with(id=1.5), True),
    "id empty": (_with(id=""), False),
    "id with control characters": (_with(id="\x1b[31m"), False),
    "id of a megabyte": (_with(id="x" * 2**20), False),
    "unknown fields": (_with(difficulty=3, nested={"a": [1]}), False),
    "a field twice": (_bytes(_lines(b'{"problem": "a", "problem": "b", "answer": "1"}\n', *GOOD)), False),
    "NaN": (_bytes(_lines(b'{"problem": "a", "answer": "1", "x": NaN}\n', *GOOD)), False),
    "a number of ten thousand digits": (
        _bytes(_lines(b'{"problem": "a", "answer": "1", "x": ' + b"9" * 10**4 + b"}\n", *GOOD)),
        False,
    ),
    "deep nesting": (
        _bytes(
            _lines(b'{"problem": "a", "answer": "1", "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}\n", *GOOD)
        ),
        True,
    ),
    "too few": (_bytes(_lines(*GOOD[:2])), True),
    "empty": (_bytes(b""), True),
    "an array": (_bytes(json.dumps(GOOD).encode()), True),
    "an indented array": (_bytes(json.dumps(GOOD, indent=1).encode()), True),
    "texts": (_bytes(_lines("a", "b", "c", "d")), True),
    "nulls": (_bytes(_lines(None, None, None)), True),
    "CSV": (_bytes(b"id,problem,answer\n1,a,2\n"), True),
    "UTF-16": (_bytes(_lines(*GOOD).decode().encode("utf-16")), True),
    "Latin-1": (_bytes(_lines(GOOD[0], b'{"problem": "caf\xe9", "answer": "1"}\n', *GOOD[1:])), True),
    "NUL bytes": (_bytes(_lines(*GOOD)[:40] + bytes(20) + _lines(*GOOD)[60:]), True),
    "all NUL": (_bytes(bytes(10_000)), True),
    "cut": (_bytes(_lines(*GOOD[:2]) + b'{"problem": "What'), True),
    "a parquet file": (_bytes(b"PAR1" + bytes(100) + b"PAR1"), True),
    "a line of 100 megabytes": (_bytes(b'{"problem": "' + b"x" * 10**8 + b'"}\n' + _lines(*GOOD)), False),
    "sparse and huge": (_sparse, True),
    "a folder": (lambda path: path.mkdir(), True),
    "a FIFO": (lambda path: os.mkfifo(path), True),
    "/dev/zero": (lambda path: path.symlink_to("/dev/zero"), True),
    "/dev/full": (lambda path: path.symlink_to("/dev/full"), True),
    "/dev/tty": (lambda path: path.symlink_to("/dev/tty"), True),
    "/proc/self/mem": (lambda path: path.symlink_to("/proc/self/mem"), True),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), True),
    "a link to itself": (lambda path: path.symlink_to(path.name), True),
    "not there": (lambda _: None, True),
}
# A flipped bit of a compressed file spoils what is told by reference to it: two lines for each of its files.
MOST_LINES = 100
ZIPPED = ("good", "empty", "cut", "NUL bytes", "lone surrogate", "too few", "texts")


class HostileData(Kind):
    """Problem files, plain and compressed."""

    name = "data"

    def cases(self, tries: int | None, seed: int) -> Sequence[tuple[str, str]]:
        """(what, ending) of every file."""
        return spread(
            [
                *((what, ".jsonl") for what in DATA),
                *(
                    (what, ".jsonl.gz")
                    for what in (*ZIPPED, *(("bomb", "torn", "two members", "garbage behind")))
                ),
            ],
            tries,
            seed,
        )

    def attempt(self, case: tuple[str, str], folder: Path) -> Outcome:
        """Check, plan and run: all three agree whether it can be read."""
        what, ending = case
        path = folder / f"problems{ending}"
        refused = _make_data(what, ending, path)
        (folder / NAME).write_text(RECIPE.replace("FILE", path.name))
        said, finding, codes = [], "", []
        for words in (["check", NAME], ["plan", NAME]):
            ended = command(words, folder, patience=SECONDS)
            said.append(f"{words[0]} ({ended.code}): {ended.said}")
            codes.append(ended.code)
            found = misbehaved(ended, codes=(2,) if refused else (0, 2))
            finding = finding or (found and f"{words[0]}: {found}")
            if not finding and ended.code and path.name not in ended.said:
                finding = f"{words[0]}: does not name the file: {ended.said[:200]!r}"
        if not finding and len(set(codes)) > 1:
            finding = f"check and plan disagree: {codes}"
        return Outcome("data" + ending, finding and f"{what}: {finding}", detail="\n".join(said))


def _make_data(what: str, ending: str, path: Path) -> bool:
    if ending == ".jsonl":
        write, refused = DATA[what]
        write(path)
        return refused
    good = gzip.compress(_lines(*GOOD))
    special = {
        "bomb": (_bomb(2 * 2**30) if what == "bomb" else b"", True),
        "torn": (good[:-20], True),
        "two members": (gzip.compress(_lines(*GOOD[:2])) + gzip.compress(_lines(*GOOD[2:])), False),
        "garbage behind": (good + b"garbage" * 9, True),
    }
    if what in special:
        path.write_bytes(special[what][0])
        return special[what][1]
    write, refused = DATA[what]
    write(path)
    path.write_bytes(gzip.compress(path.read_bytes()))
    return refused


Member = tuple[tarfile.TarInfo, bytes]


def _member(
    name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "", size: int | None = None
) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data) if size is None else size
    info.type = kind
    info.linkname = link
    return info, data


ADDED: dict[str, Member] = {
    "a path up": _member("../owned"),
    "a path up inside": _member("stages/../../../owned"),
    "an absolute path": _member("/tmp/lrbench-faults-owned"),
    "a link out": _member("tables/link", b"", tarfile.SYMTYPE, "/etc/passwd"),
    "a link up": _member("tables/link", b"", tarfile.SYMTYPE, "../../.."),
    "a hard link": _member("tables/hard", b"", tarfile.LNKTYPE, "index.json"),
    "a character device": _member("tables/device", b"", tarfile.CHRTYPE),
    "a block device": _member("tables/device", b"", tarfile.BLKTYPE),
    "a FIFO": _member("tables/fifo", b"", tarfile.FIFOTYPE),
    "a folder": _member("tables/folder", b"", tarfile.DIRTYPE),
    "control characters": _member("tables/\x1b[31mred"),
    "a name of a kilobyte": _member("tables/" + "x" * 1000),
    "a name that is no text": _member("tables/\udcff\udcfe"),
    "a size of a terabyte": _member("tables/big", b"", size=2**40),
    "a sparse file": _member("tables/sparse", b"", tarfile.GNUTYPE_SPARSE),
    "an unknown type": _member("tables/unknown", b"", b"Z"),
    "index.json again": _member("index.json", b"{}"),
    "a file that is not listed": _member("tables/more.md"),
    "an empty name": _member(""),
}
WHOLE = (
    "flipped",
    "torn",
    "empty",
    "a bomb",
    "a plain tar",
    "a zip",
    "text",
    "/dev/zero",
    "a FIFO",
    "a folder",
    "huge",
    "not there",
    "twice",
    "garbage behind",
    "deep JSON as index",
    "no index",
    "members reversed",
)


class HostileBundles(Kind):
    """Archives for `verify`: with members that lead elsewhere, sealed or not; and what is no bundle."""

    name = "bundles"

    def __init__(self) -> None:
        self.place = Path()

    def cases(self, tries: int | None, seed: int) -> Sequence[tuple[str, str]]:
        """(how it is put together, what) of every archive."""
        return spread(
            [
                *((how, what) for how in ("first", "last", "sealed") for what in ADDED),
                *(("whole", what) for what in WHOLE),
                *(("flip", str(number)) for number in range(60)),
            ],
            tries,
            seed,
        )

    def prepare(self, place: Path) -> None:
        """A bundle of an undisturbed run."""
        self.place = place
        undisturbed(place)
        ended = command(["bundle", "tiny", "--to", "good.tar.gz"], place)
        if ended.code:
            raise RuntimeError(ended.said)

    def attempt(self, case: tuple[str, str], folder: Path) -> Outcome:
        """Verify it: refused, said in few lines, and nothing written anywhere."""
        how, what = case
        work = folder / "work" / "here"
        work.mkdir(parents=True)
        _make_bundle(how, what, self.place / "good.tar.gz", work / "bundle.tar.gz")
        before = sorted(map(str, folder.rglob("*")))
        ended = command(["verify", "bundle.tar.gz"], work, patience=SECONDS)
        finding = misbehaved(ended, codes=(1, 2))
        if not finding and sorted(map(str, folder.rglob("*"))) != before:
            finding = "something was written"
        if not finding and len(ended.said.splitlines()) > MOST_LINES:
            finding = f"{len(ended.said.splitlines())} lines for one fault"
        return Outcome(how, finding and f"{what}: {finding}", detail=ended.said)


def _make_bundle(how: str, what: str, good: Path, to: Path) -> None:
    data = good.read_bytes()
    if how == "flip":
        changed = bytearray(data)
        changed[Random(what).randrange(len(data))] ^= 1 << int(what) % 8
        to.write_bytes(changed)
    elif how == "whole":
        _make_whole(what, data, to)
    else:
        members = _members(data)
        added = ADDED[what]
        members = [*members, added] if how != "first" else [added, *members]
        to.write_bytes(_sealed(_tar(members)) if how == "sealed" else gzip.compress(_tar(members), mtime=0))


def _members(data: bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return [(info, file.read()) for info in archive if (file := archive.extractfile(info)) is not None]


def _tar(members: Sequence[Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for info, data in members:
            archive.addfile(
                info, io.BytesIO(data.ljust(min(info.size, 2**20), b"x")) if info.size < 2**30 else None
            )
    return out.getvalue()


def _sealed(tar: bytes) -> bytes:
    """With the seal over the whole that a bundle of lrbench ends with."""
    import hashlib

    from lrbench.results.bundle import archive

    zipped = gzip.compress(tar, mtime=0)
    digest = hashlib.sha256(zipped).hexdigest().encode()
    return zipped + archive._SEAL_START + digest + archive._SEAL_END


def _make_whole(what: str, data: bytes, to: Path) -> None:
    members = _members(data)
    made: dict[str, Callable[[], object]] = {
        "flipped": lambda: to.write_bytes(bytes([data[0] ^ 1]) + data[1:]),
        "torn": lambda: to.write_bytes(data[: len(data) // 2]),
        "empty": lambda: to.write_bytes(b""),
        "a bomb": lambda: to.write_bytes(_bomb(2 * 2**30)),
        "a plain tar": lambda: to.write_bytes(_tar(members)),
        "a zip": lambda: to.write_bytes(b"PK\x03\x04" + bytes(100)),
        "text": lambda: to.write_bytes(b"no bundle\n"),
        "/dev/zero": lambda: to.symlink_to("/dev/zero"),
        "a FIFO": lambda: os.mkfifo(to),
        "a folder": lambda: to.mkdir(),
        "huge": lambda: _sparse(to),
        "not there": lambda: None,
        "twice": lambda: to.write_bytes(data + data),
        "garbage behind": lambda: to.write_bytes(data + b"garbage" * 9),
        "deep JSON as index": lambda: to.write_bytes(
            _sealed(_tar([_member("index.json", b"[" * 10**5), *members[1:]]))
        ),
        "no index": lambda: to.write_bytes(_sealed(_tar(members[1:]))),
        "members reversed": lambda: to.write_bytes(_sealed(_tar(members[::-1]))),
    }
    made[what]()
