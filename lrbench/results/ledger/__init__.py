"""The ledger: every result ever recorded, one line each, only ever added to.

`recipes.jsonl`, `arms.jsonl` and `scores.jsonl` hold lines of the form
`{"sha256": "...", "record": {...}}`; the hash is over the bytes of the record as they stand in the line. A
line that does not read is reported with its number and the rest is served. MLflow and every table can be
made again from these files. An index beside them, which may be deleted, spares an append to read them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.errors import LedgerError, StoreError
from lrbench.results.ledger.raw_lines import (
    AnyRecord,
    BrokenLine,
    line_of,
    mended,
    parse_lines,
    unfinished,
)
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.store.files import read_regular, storage_errors, sync_directory, write_atomically
from lrbench.store.locks import hold

if TYPE_CHECKING:
    from lrbench.results.ledger.index import LedgerIndex

RECIPES = "recipes.jsonl"
ARMS = "arms.jsonl"
SCORES = "scores.jsonl"
DAMAGED = "damaged.jsonl"
REMOVED = "removed.jsonl"
LOCK = ".lock"

# Far more than was ever measured, and less than a machine's memory.
LARGEST = 4 * 2**30

# The file lock is between processes; within one, threads wait for each other here.
_one_thread = threading.Lock()


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
        with _ledger_errors(self.folder):
            declared, _ = _parse(self.folder / RECIPES, RecipeRecord, _read(self.folder / RECIPES))
        meant = [record for record in declared if record.recipe == recipe.recipe]
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
        with self.held():
            # Imported here: readers have no use for it.
            from lrbench.results.ledger.index import LedgerIndex

            with closing(LedgerIndex(self.folder)) as index:
                return (
                    _append(index, self.folder / RECIPES, RecipeRecord, recipes)
                    + _append(index, self.folder / ARMS, ArmRecord, arms)
                    + _append(index, self.folder / SCORES, ScoreRecord, scores)
                )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who writes the ledger; raises `LedgerError` where its lock cannot be made."""
        with _ledger_errors(self.folder), _one_thread, hold(self.folder / LOCK):
            yield

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
        return self._move({record.identity for record in wrong}, self.damage_file, with_damaged=True)

    def remove(self, records: Iterable[RecipeRecord | ArmRecord | ScoreRecord]) -> int:
        """Move the lines of `records` into `removed.jsonl` beside; the others stay.

        Returns how many lines were moved. Raises `LedgerError` as `append` does.
        """
        unwanted = {record.identity for record in records}
        return self._move(unwanted, self.folder / REMOVED, with_damaged=False) if unwanted else 0

    def _move(self, unwanted: Collection[tuple[str, ...]], to: Path, with_damaged: bool) -> int:
        with self.held():
            return (
                self._put_aside(self.folder / RECIPES, RecipeRecord, unwanted, to, with_damaged)
                + self._put_aside(self.folder / ARMS, ArmRecord, unwanted, to, with_damaged)
                + self._put_aside(self.folder / SCORES, ScoreRecord, unwanted, to, with_damaged)
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

    def _put_aside(
        self,
        path: Path,
        kind: type[AnyRecord],
        unwanted: Collection[tuple[str, ...]],
        to: Path,
        with_damaged: bool,
    ) -> int:
        data = _read(path)
        lines = list(enumerate(data.removesuffix(b"\n").split(b"\n"), start=1))
        numbers = {line.number for line in _parse(path, kind, data)[1] if line.damaged and with_damaged}
        if unwanted:
            numbers |= {
                line.number
                for line in parse_lines(data, kind)
                if not isinstance(line.found, str) and line.found.identity in unwanted
            }
        if numbers:
            moved = [line for number, line in lines if number in numbers]
            # Beside first: a crash in between leaves a line in both places, and none in neither.
            write_atomically(to, _read(to) + _joined(moved))
            write_atomically(path, _joined([line for number, line in lines if number not in numbers]))
        return len(numbers)


def _joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _append(index: LedgerIndex, path: Path, kind: type[AnyRecord], records: list[AnyRecord]) -> int:
    if not records:
        return 0
    with storage_errors(path):
        new, generation, known = index.unrecorded(path, kind, records)
        if new:
            end, tail = unfinished(path, known)
            kept, first = mended(tail, kind)
            lines = [line_of(record) for record in new]
            status = _write_at_end(path, end + kept, first + b"".join(lines))
            index.note(path, generation, end + kept + len(first), zip(new, lines, strict=True), status)
    return len(new)


def _write_at_end(path: Path, whole: int, addition: bytes) -> os.stat_result:
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
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync_directory(path.parent)
    return status


def _read(path: Path) -> bytes:
    with storage_errors(path):
        try:
            return read_regular(path, LARGEST)
        except FileNotFoundError:
            return b""


def _parse(path: Path, kind: type[AnyRecord], data: bytes) -> tuple[list[AnyRecord], list[BrokenLine]]:
    records: dict[tuple[str, ...], AnyRecord] = {}
    broken = []
    for line in parse_lines(data, kind):
        if isinstance(line.found, str):
            broken.append(BrokenLine.of(path, line))
        else:
            records.setdefault(line.found.identity, line.found)
    return list(records.values()), broken


@contextmanager
def _ledger_errors(folder: Path) -> Iterator[None]:
    try:
        with storage_errors(folder):
            yield
    except StoreError as error:
        raise LedgerError(f"the ledger: {error}") from error
