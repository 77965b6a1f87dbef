"""The ledger: every result ever recorded, one line each, only ever added to.

`recipes.jsonl`, `arms.jsonl` and `scores.jsonl` hold lines of the form
`{"sha256": "...", "record": {...}}`; the hash is over the bytes of the record as they stand in the line. A
line that does not read is reported with its number and the rest is served. MLflow and every table can be
made again from these files.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from lrbench.errors import LedgerError, StoreError
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.store.files import read_regular, storage_errors, sync_directory, write_atomically
from lrbench.store.locks import hold

RECIPES = "recipes.jsonl"
ARMS = "arms.jsonl"
SCORES = "scores.jsonl"
DAMAGED = "damaged.jsonl"
LOCK = ".lock"

# Far more than was ever measured, and less than a machine's memory.
LARGEST = 4 * 2**30

AnyRecord = TypeVar("AnyRecord", RecipeRecord, ArmRecord, ScoreRecord)

CUT = "not a whole ledger line (cut short or overwritten)"
CHANGED = "the record differs from its checksum"
DAMAGES = (CUT, CHANGED)

_LINE = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "record": (\{.*\})\}')

# The file lock is between processes; within one, threads wait for each other here.
_one_thread = threading.Lock()


@dataclass(frozen=True)
class BrokenLine:
    """A line of the ledger that does not read; `number` counts from 1.

    `damaged` where its bytes are not what was written, and not only more than this version understands.
    """

    path: Path
    number: int
    reason: str
    damaged: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: {self.reason}"


@dataclass(frozen=True)
class LedgerContents:
    """All that could be read, in the order recorded, and the lines that could not."""

    arms: tuple[ArmRecord, ...]
    scores: tuple[ScoreRecord, ...]
    broken: tuple[BrokenLine, ...]
    recipes: tuple[RecipeRecord, ...] = ()


class Ledger:
    """The ledger in `folder`, usually `runs/ledger`; the folder is made by the first append."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def declare(self, recipe: RecipeRecord) -> int:
        """Add what a recipe means unless that is what it meant last; returns how many records were added.

        Raises `LedgerError` as `append` does.
        """
        meant = [record for record in self.read().recipes if record.recipe == recipe.recipe]
        return 0 if meant and meant[-1].meaning == recipe.meaning else self.append([recipe])

    def append(self, records: Iterable[RecipeRecord | ArmRecord | ScoreRecord]) -> int:
        """Add those `records` that are not there yet, and return how many they were.

        All of one file's records are added or none; when this returns they are on the disk. Safe
        from several processes and threads at once. What a crash left of an unfinished line is removed.

        Raises:
            LedgerError: the disk is full, the folder cannot be written, or the file cannot be read.
        """
        records = list(records)
        recipes = [record for record in records if isinstance(record, RecipeRecord)]
        arms = [record for record in records if isinstance(record, ArmRecord)]
        scores = [record for record in records if isinstance(record, ScoreRecord)]
        added = 0
        with _ledger_errors(self.folder), _one_thread, hold(self.folder / LOCK):
            if recipes:
                added += _append(self.folder / RECIPES, RecipeRecord, recipes)
            if arms:
                added += _append(self.folder / ARMS, ArmRecord, arms)
            if scores:
                added += _append(self.folder / SCORES, ScoreRecord, scores)
        return added

    @property
    def damage_file(self) -> Path:
        """Where `put_damage_aside` moves lines."""
        return self.folder / DAMAGED

    def put_damage_aside(self, wrong: Iterable[ArmRecord | ScoreRecord] = ()) -> int:
        """Move every damaged line, and those of `wrong` records, into a file beside; the others stay.

        Returns how many lines were moved. Raises `LedgerError` as `append` does.
        """
        if not self.folder.is_dir():
            return 0
        unwanted = {record.identity for record in wrong}
        with _ledger_errors(self.folder), _one_thread, hold(self.folder / LOCK):
            return (
                self._put_aside(self.folder / RECIPES, RecipeRecord, unwanted)
                + self._put_aside(self.folder / ARMS, ArmRecord, unwanted)
                + self._put_aside(self.folder / SCORES, ScoreRecord, unwanted)
            )

    def read(self) -> LedgerContents:
        """Everything recorded, each identity once (the first). An absent ledger is empty.

        Raises:
            LedgerError: a file is there but the system refuses to read it.
        """
        with _ledger_errors(self.folder):
            recipes, broken_recipes = _parse(
                self.folder / RECIPES, RecipeRecord, _read(self.folder / RECIPES)
            )
            arms, broken_arms = _parse(self.folder / ARMS, ArmRecord, _read(self.folder / ARMS))
            scores, broken_scores = _parse(self.folder / SCORES, ScoreRecord, _read(self.folder / SCORES))
        broken = (*broken_recipes, *broken_arms, *broken_scores)
        return LedgerContents(tuple(arms), tuple(scores), broken, tuple(recipes))

    def _put_aside(self, path: Path, kind: type[AnyRecord], unwanted: Collection[tuple[str, ...]]) -> int:
        data = _read(path)
        lines = list(enumerate(data.removesuffix(b"\n").split(b"\n"), start=1))
        numbers = {line.number for line in _parse(path, kind, data)[1] if line.damaged}
        if unwanted:
            parsed = ((number, _parse_line(line, kind)) for number, line in lines)
            numbers |= {
                number
                for number, found in parsed
                if not isinstance(found, str) and found.identity in unwanted
            }
        if numbers:
            damaged = [line for number, line in lines if number in numbers]
            # Beside first: a crash in between leaves a line in both places, and none in neither.
            write_atomically(self.damage_file, _read(self.damage_file) + _joined(damaged))
            write_atomically(path, _joined([line for number, line in lines if number not in numbers]))
        return len(numbers)


def _joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _append(path: Path, kind: type[AnyRecord], records: list[AnyRecord]) -> int:
    data = _read(path)
    known = {record.identity for record in _parse(path, kind, data)[0]}
    lines = []
    for record in records:
        if record.identity not in known:
            known.add(record.identity)
            lines.append(_line(record))
    if lines:
        whole, mended = _mend_tail(data, kind)
        with storage_errors(path):
            _write_at_end(path, whole, mended + b"".join(lines))
    return len(lines)


def _line(record: RecipeRecord | ArmRecord | ScoreRecord) -> bytes:
    body = record.model_dump_json().encode()
    return b'{"sha256": "%s", "record": %s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


def _mend_tail(data: bytes, kind: type[AnyRecord]) -> tuple[int, bytes]:
    """How many bytes of `data` stay, and what to write first so that the next line starts afresh.

    A last line without its line feed was never reported as recorded. Complete but for the line feed,
    it stays; otherwise it is cut off.
    """
    whole = data.rfind(b"\n") + 1
    if whole == len(data):
        return whole, b""
    if isinstance(_parse_line(data[whole:], kind), str):
        return whole, b""
    return len(data), b"\n"


def _write_at_end(path: Path, whole: int, addition: bytes) -> None:
    """Keep the first `whole` bytes of `path` and add `addition`: all of it on the disk, or none."""
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.ftruncate(descriptor, whole)
        try:
            rest = memoryview(addition)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, whole)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync_directory(path.parent)


def _read(path: Path) -> bytes:
    with storage_errors(path):
        try:
            return read_regular(path, LARGEST)
        except FileNotFoundError:
            return b""


def _parse(path: Path, kind: type[AnyRecord], data: bytes) -> tuple[list[AnyRecord], list[BrokenLine]]:
    records: dict[tuple[str, ...], AnyRecord] = {}
    broken = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        record = _parse_line(line, kind)
        if isinstance(record, str):
            broken.append(BrokenLine(path, number, record, record in DAMAGES))
        else:
            records.setdefault(record.identity, record)
    return list(records.values()), broken


def _parse_line(line: bytes, kind: type[AnyRecord]) -> AnyRecord | str:
    """The record in `line`, or why there is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return CUT
    digest, body = match.groups()
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return CHANGED
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "record"
        return f"not a record this version of lrbench reads: {place}: {first['msg']}"


@contextmanager
def _ledger_errors(folder: Path) -> Iterator[None]:
    try:
        with storage_errors(folder):
            yield
    except StoreError as error:
        raise LedgerError(f"the ledger: {error}") from error
