"""Cases: what the gain of a recipe's subject looks like in the text, and what it costs elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lrbench.errors import StoreError
from lrbench.evaluation.statistics import Flips, count_flips
from lrbench.methods.presets import UNTRAINED
from lrbench.results.inspection import Inspector
from lrbench.results.rendering.sheet import Table
from lrbench.results.rows import Row
from lrbench.results.studies.content import Number, Passage
from lrbench.results.studies.gathering import Gathered, Line, command_for

HEADER = ("benchmark", "n", "won", "lost", "both right", "neither right")
NOTE = (
    "An item is won when {subject} answers it right and {other} does not, lost the other way round. Shown "
    "are the first item won of every benchmark and the first item lost of all, in the benchmarks' own order: "
    "chosen by place, not by how well they read."
)


@dataclass(frozen=True)
class Case:
    """One item on which the two arms differ, as the store holds it for both."""

    benchmark: str
    won: bool
    subject: dict[str, Any]
    other: dict[str, Any]


@dataclass(frozen=True)
class Duel:
    """The subject of a recipe and the untrained expert; `rows` of the first seed that both have."""

    line: Line
    other: str
    rows: tuple[Row, Row] | None

    @property
    def subject(self) -> str:
        """The subject's arm."""
        return self.line.arm.name


@dataclass(frozen=True)
class CaseTables:
    """Subjects beside the untrained expert, for every expert, with the first declared seed that both have."""

    gathered: Gathered
    benchmarks: tuple[str, ...]
    runs: Path

    def tables(self) -> Iterator[Table]:
        """Per expert: items won, lost, right in both and in neither, by benchmark."""
        for duel in self._duels():
            cells = []
            for name in self.benchmarks:
                counts = _counts(_flips(duel, name)).values()
                cells.append((name, *("" if count is None else str(count) for count in counts)))
            caption = f"{duel.line.expert}: items of {duel.subject} against {duel.other}"
            yield Table(caption, HEADER, tuple(cells))

    def rows(self) -> Iterator[dict[str, Number]]:
        """A CSV line per expert and benchmark."""
        for duel in self._duels():
            line = duel.line
            for name in self.benchmarks:
                flips = _flips(duel, name)
                yield {
                    "expert": line.expert,
                    "amateur": line.amateur,
                    "recipe": line.source.path,
                    "seed": duel.rows[0].seed if duel.rows else None,
                    "benchmark": name,
                    **_counts(flips),
                    "command": None if flips else command_for(line, self.runs),
                }

    def passages(self) -> tuple[list[Passage], list[str]]:
        """The cases as texts, and notes on those that the store does not hold."""
        passages: list[Passage] = []
        notes: list[str] = []
        inspector = Inspector(self.runs)
        for duel in self._duels():
            if duel.rows is None:
                continue
            try:
                cases = list(self._cases(inspector, *duel.rows))
            except StoreError as error:
                notes.append(f"{duel.line.expert}: no texts: {error}")
                continue
            passages += [_passage(duel, case) for case in cases]
        return passages, notes

    def notes(self) -> Iterator[str]:
        """What the tables mean, once for each two names that are set against each other."""
        named = {(duel.subject, duel.other) for duel in self._duels()}
        for subject, other in sorted(named):
            yield NOTE.format(subject=subject, other=other)

    def _duels(self) -> Iterator[Duel]:
        for line in self.gathered.lines:
            if not line.is_subject:
                continue
            base = self.gathered.untrained(line)
            rows = (line.rows[0], base.rows[0]) if base is not None and base.rows and line.rows else None
            yield Duel(line, UNTRAINED.name if base is None else base.arm.name, rows)

    def _cases(self, inspector: Inspector, subject: Row, other: Row) -> Iterator[Case]:
        lost: Case | None = None
        for name in self.benchmarks:
            if name not in subject.cells or name not in other.cells:
                continue
            scores = subject.cells[name].score, other.cells[name].score
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
                yield Case(name, True, subject=items[0][won_at], other=items[1][won_at])
            if lost_at is not None and lost is None:
                lost = Case(name, False, subject=items[0][lost_at], other=items[1][lost_at])
        if lost is not None:
            yield lost


def _flips(duel: Duel, benchmark: str) -> Flips | None:
    """How the outcomes of the two meet on a benchmark; None where one of them lacks it."""
    if duel.rows is None or not all(benchmark in row.cells for row in duel.rows):
        return None
    subject, other = (row.cells[benchmark].score.paper for row in duel.rows)
    return count_flips(subject, other)


def _counts(flips: Flips | None) -> dict[str, Number]:
    names = ("n", *(cell.name for cell in fields(Flips)))
    return {name: None if flips is None else getattr(flips, name) for name in names}


def _first(first: str, second: str) -> int | None:
    """The place of the first item that is right in `first` and wrong in `second`."""
    pairs = zip(first, second, strict=True)
    return next((place for place, pair in enumerate(pairs) if pair == ("1", "0")), None)


def _passage(duel: Duel, case: Case) -> Passage:
    outcome = f"{'won' if case.won else 'lost'} by {duel.subject}"
    return Passage(
        f"{duel.line.expert}, {case.benchmark}, item {case.other['id']}: {outcome}",
        (
            ("problem", case.other["problem"]),
            ("right answer", case.other["gold"]),
            (duel.other, f"{case.other['completion']} [{case.other['reason']}]"),
            (duel.subject, f"{case.subject['completion']} [{case.subject['reason']}]"),
        ),
    )
