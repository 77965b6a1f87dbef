"""Arms measured once more with fewer rows at once: which arm it was, and how many verdicts rounding flips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lrbench.evaluation.statistics import Estimate, average_at_k, wilson_interval
from lrbench.results.records import ArmRecord
from lrbench.results.rows import AVERAGE, Cell, Row
from lrbench.results.uses import answer_of
from lrbench.store.keys import stable_hash

ANSWER = "answer"


def with_repeats(rows: Iterable[Row], arms: Mapping[str, ArmRecord]) -> list[Row]:
    """The rows; those that measure another one of them once more say which."""
    rows = list(rows)
    made = {_made(row, arms[row.arm_id]): row.arm_id for row in rows if _answers(row, arms) is False}
    return [
        replace(row, repeats=made.get(_made(row, arms[row.arm_id]))) if _answers(row, arms) else row
        for row in rows
    ]


def _answers(row: Row, arms: Mapping[str, ArmRecord]) -> bool | None:
    """Whether the row is a plain answer written once more, False for the first; None for any other."""
    record = arms.get(row.arm_id)
    answer = None if record is None or record.imported else answer_of(record)
    if answer is None or (answer.identity and not answer.repeats):
        return None
    return answer.repeats


def _made(row: Row, record: ArmRecord) -> str:
    """How an arm was made, but for what answers: the same for both measurements of one."""
    settings = {name: value for name, value in record.settings.items() if name != ANSWER}
    return stable_hash(
        [row.expert_weights, row.recipe, dict(row.point), row.seed, settings, record.amateur, record.stages]
    )


@dataclass(frozen=True)
class Flipped:
    """Verdicts of a second measurement that are other than those of the first.

    Of `answers` to all items, `first` were right the first time alone and `again` the second time alone.
    `share` is that of both, over items like these.
    """

    answers: int
    first: int
    again: int
    share: Estimate


@dataclass(frozen=True)
class Noise:
    """How the row `again` differs from the row `first` that it measures once more."""

    first: Row
    again: Row

    def flipped(self, column: str) -> Flipped:
        """Of one benchmark, or for the average of all that both have."""
        return _flipped(self._cells(column))

    @property
    def benchmarks(self) -> list[str]:
        """Those on whose items both are measured."""
        assert self.again.noise is not None
        return list(self.again.noise.pairs)

    def same(self, column: str) -> bool | None:
        """Whether every answer is the same text; None where one of the records does not say."""
        hashes = [tuple(cell.score.answers_hash for cell in pair) for pair in self._cells(column)]
        return None if any(None in pair for pair in hashes) else all(len(set(pair)) == 1 for pair in hashes)

    def _cells(self, column: str) -> list[tuple[Cell, Cell]]:
        names = self.benchmarks if column == AVERAGE else [column]
        return [(self.first.cells[name], self.again.cells[name]) for name in names]

    @property
    def leaning(self) -> list[str]:
        """The columns in which the two are separated."""
        return [column for column in (AVERAGE, *self.benchmarks) if self.again.leans(column)]


def noises(rows: Iterable[Row], all_rows: Iterable[Row]) -> Iterator[Noise]:
    """What each of `rows` that measures another of `all_rows` once more says of noise."""
    by_id = {row.arm_id: row for row in all_rows}
    for row in rows:
        if row.repeats in by_id and row.noise is not None:
            yield Noise(by_id[row.repeats], row)


def _flipped(cells: list[tuple[Cell, Cell]]) -> Flipped:
    first, again = (np.concatenate([pair[side].right for pair in cells]) for side in (0, 1))
    flips = first != again
    if all(one.plain and other.plain for one, other in cells):
        count = int(flips.sum())
        share = Estimate(count / len(flips), wilson_interval(count, len(flips)))
    else:
        share = average_at_k(flips, _groups(cells))
    return Flipped(flips.size, int((first & ~again).sum()), int((again & ~first).sum()), share)


def _groups(cells: list[tuple[Cell, Cell]]) -> list[str]:
    """The group of every item of several benchmarks; an item without one stands for itself."""
    return [
        f"{place}/{group}"
        for place, (cell, _) in enumerate(cells)
        for group in (cell.groups or [f"item {item}" for item in range(cell.n)])
    ]
