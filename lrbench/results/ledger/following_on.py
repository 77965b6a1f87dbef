"""Looking at a ledger again and again while it grows: each look reads what is new since the last one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from lrbench.results.ledger import ARMS, RECIPES, SCORES, Ledger, LedgerContents
from lrbench.results.ledger.index import LedgerIndex
from lrbench.results.ledger.raw_lines import AnyRecord, BrokenLine, bytes_from, parse_lines
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord


class FollowedLedger:
    """A ledger of which everything read so far is in memory."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._recipes = _File(ledger.folder / RECIPES, RecipeRecord)
        self._arms = _File(ledger.folder / ARMS, ArmRecord)
        self._scores = _File(ledger.folder / SCORES, ScoreRecord)

    def look(self) -> tuple[LedgerContents, frozenset[str] | None]:
        """Everything recorded, as `Ledger.read` gives it, and of which recipes there is anything new.

        None of which, the first time and whenever anything but appending was done to a file, stands for all.
        Raises `LedgerError` where the ledger cannot be read, or its lock not be made.
        """
        if not self._ledger.folder.exists():
            return LedgerContents((), (), ()), None
        with self._ledger.held(), closing(LedgerIndex(self._ledger.folder)) as index:
            grown = [file.look(index) for file in (self._recipes, self._arms, self._scores)]
        contents = LedgerContents(
            tuple(self._arms.records.values()),
            tuple(self._scores.records.values()),
            (*self._recipes.broken, *self._arms.broken, *self._scores.broken),
            tuple(self._recipes.records.values()),
        )
        return contents, frozenset(self._touched()) if all(grown) else None

    def _touched(self) -> Iterator[str]:
        """The recipes of what is new; a score's is that of its arm."""
        yield from (record.recipe for record in self._recipes.new)
        yield from (record.recipe for record in self._arms.new)
        for score in self._scores.new:
            arm = self._arms.records.get((score.arm_id,))
            yield score.recipe if arm is None else arm.recipe


@dataclass
class _File(Generic[AnyRecord]):
    """What was read of one file of the ledger, and which of its records were `new` at the last look."""

    path: Path
    kind: type[AnyRecord]
    records: dict[tuple[str, ...], AnyRecord] = field(default_factory=dict)
    broken: list[BrokenLine] = field(default_factory=list)
    new: list[AnyRecord] = field(default_factory=list)
    generation: str = ""
    end: int = 0
    lines: int = 0

    def look(self, index: LedgerIndex) -> bool:
        """Read what is new; whether what had been read before is still what the file begins with."""
        _, generation, whole = index.unrecorded(self.path, self.kind, [])
        is_same = generation == self.generation
        if not is_same:
            self.records, self.broken, self.end, self.lines = {}, [], 0, 0
        self.generation, self.new = generation, []
        data = bytes_from(self.path, self.end)[: whole - self.end]
        for line in parse_lines(data, self.kind, self.lines + 1):
            if isinstance(line.found, str):
                self.broken.append(BrokenLine.of(self.path, line))
            elif line.found.identity not in self.records:
                self.records[line.found.identity] = line.found
                self.new.append(line.found)
        self.end = whole
        self.lines += data.count(b"\n")
        return is_same
