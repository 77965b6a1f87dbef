"""Cases: what LightReasoner's gain looks like in the text, and what it costs elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.errors import StoreError
from lrbench.evaluation.statistics import Flips, count_flips
from lrbench.results.board import BASE, Row
from lrbench.results.inspection import Inspector
from lrbench.results.studies.content import Number, Passage, Table
from lrbench.results.studies.gathering import Gathered, Line, command_for

WINNER = "lightr"
CASES_NOTE = (
    "An item is won when lightr answers it right and base does not, lost the other way round. Shown are the "
    "first item won of every benchmark and the first item lost of all, in the benchmarks' own order: chosen "
    "by place, not by how well they read."
)


@dataclass(frozen=True)
class Case:
    """One item on which the two arms differ, as the store holds it for both."""

    benchmark: str
    won: bool
    base: dict[str, Any]
    lightr: dict[str, Any]


@dataclass(frozen=True)
class CaseTables:
    """lightr beside base, for every expert, with the first declared seed that both have."""

    gathered: Gathered
    benchmarks: tuple[str, ...]
    runs: Path

    def tables(self) -> Iterator[Table]:
        """Per expert: items won, lost, right in both and in neither, by benchmark."""
        for line, pair in self._pairs():
            cells = []
            for name in self.benchmarks:
                if pair is None or not all(name in row.cells for row in pair):
                    cells.append((name, *[""] * 5))
                    continue
                lightr, base = (row.cells[name].score.paper for row in pair)
                counts = _counts(count_flips(lightr, base))
                cells.append((name, *map(str, counts.values())))
            header = ("benchmark", "n", "won", "lost", "both right", "neither")
            yield Table(f"{line.expert}: items of lightr against base", header, tuple(cells))

    def rows(self) -> Iterator[dict[str, Number]]:
        """A CSV line per expert and benchmark."""
        for line, pair in self._pairs():
            for name in self.benchmarks:
                flips = None
                if pair is not None and all(name in row.cells for row in pair):
                    flips = count_flips(*(row.cells[name].score.paper for row in pair))
                yield {
                    "expert": line.expert,
                    "amateur": line.amateur,
                    "recipe": line.source.path,
                    "seed": pair[0].seed if pair else None,
                    "benchmark": name,
                    **_counts(flips),
                    "command": None if flips else command_for(line, self.runs),
                }

    def passages(self) -> tuple[list[Passage], list[str]]:
        """The cases as texts, and notes on those that the store does not hold."""
        passages: list[Passage] = []
        notes: list[str] = []
        inspector = Inspector(self.runs)
        for line, pair in self._pairs():
            if pair is None:
                continue
            try:
                cases = list(self._cases(inspector, *pair))
            except StoreError as error:
                notes.append(f"{line.expert}: no texts: {error}")
                continue
            passages += [_passage(line, case) for case in cases]
        return passages, notes

    def _pairs(self) -> Iterator[tuple[Line, tuple[Row, Row] | None]]:
        for line in self.gathered.lines:
            if line.arm.name != WINNER:
                continue
            base = self.gathered.sibling(line, BASE)
            there = base is not None and base.rows and line.rows
            yield line, (line.rows[0], base.rows[0]) if base is not None and there else None

    def _cases(self, inspector: Inspector, lightr: Row, base: Row) -> Iterator[Case]:
        lost: Case | None = None
        for name in self.benchmarks:
            if name not in lightr.cells or name not in base.cells:
                continue
            scores = lightr.cells[name].score, base.cells[name].score
            if scores[0].items_hash != scores[1].items_hash:
                continue
            won_at, lost_at = (
                _first(scores[0].paper, scores[1].paper),
                _first(scores[1].paper, scores[0].paper),
            )
            if won_at is None and (lost_at is None or lost is not None):
                continue
            items = [inspector.items(score) for score in scores]
            if won_at is not None:
                yield Case(name, True, base=items[1][won_at], lightr=items[0][won_at])
            if lost_at is not None and lost is None:
                lost = Case(name, False, base=items[1][lost_at], lightr=items[0][lost_at])
        if lost is not None:
            yield lost


def _counts(flips: Flips | None) -> dict[str, Number]:
    names = ("n", "won", "lost", "both", "neither")
    return {name: None if flips is None else getattr(flips, name) for name in names}


def _first(first: str, second: str) -> int | None:
    """The place of the first item that is right in `first` and wrong in `second`."""
    pairs = zip(first, second, strict=True)
    return next((place for place, pair in enumerate(pairs) if pair == ("1", "0")), None)


def _passage(line: Line, case: Case) -> Passage:
    outcome = "won by lightr" if case.won else "lost by lightr"
    return Passage(
        f"{line.expert}, {case.benchmark}, item {case.base['id']}: {outcome}",
        (
            ("problem", case.base["problem"]),
            ("right answer", case.base["gold"]),
            ("base", f"{case.base['completion']} [{case.base['reason']}]"),
            ("lightr", f"{case.lightr['completion']} [{case.lightr['reason']}]"),
        ),
    )
