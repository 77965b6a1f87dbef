"""Which rows a claim is about: paired seed by seed, on the same items; or what is missing of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lrbench.evaluation.statistics import (
    POINTS,
    Comparison,
    DifferenceTest,
    Flips,
    Paired,
    Pool,
    SeedDifference,
    difference_test,
)
from lrbench.recipe.claims import AVERAGE, Claim
from lrbench.results.contrasts import groups_of, outcomes, paired
from lrbench.results.rows import Row, is_fixed


def by_point(rows: Sequence[Row]) -> list[tuple[Mapping[str, Any], list[Row]]]:
    """The rows of each point of a sweep, with those that it does not change; one point without a sweep.

    A row's point holds the swept fields that decide its model, so that of `base` is empty and goes with all.
    """
    points: list[Mapping[str, Any]] = []
    for row in sorted(rows, key=lambda row: -len(row.point)):
        if not any(row.point.items() <= point.items() for point in points):
            points.append(row.point)
    return [(point, [row for row in rows if row.point.items() <= point.items()]) for point in points]


@dataclass(frozen=True)
class Match:
    """Two arms' rows over their seeds (one where nothing is random), and the benchmarks a claim is about.

    `pool` says how far the runs of one arm lie apart; `dropped` are seeds without a complete result. `others`
    are the same with an arm measured once more in its place, where that is separated from the first time: a
    claim has to hold in each.
    """

    first: tuple[Row, ...]
    second: tuple[Row, ...]
    benchmarks: tuple[str, ...]
    seeds: tuple[int, ...]
    dropped: tuple[int, ...]
    pool: Pool | None
    others: tuple[Match, ...] = ()

    @cached_property
    def test(self) -> DifferenceTest:
        """The difference of the arms, exact where that can be had."""
        if self.runs > 1:
            return SeedDifference(
                outcomes(self.first, self.benchmarks),
                outcomes(self.second, self.benchmarks),
                self.pool,
                (is_fixed(self.first), is_fixed(self.second)),
                groups_of(self.first[0], self.benchmarks),
            )
        return difference_test(self.pairs)

    @property
    def runs(self) -> int:
        """Seeds of the arm that has more of them."""
        return max(len(self.first), len(self.second))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the answer rests on or cannot know, in words."""
        notes = []
        if self.seeds and self.runs == 1:
            notes.append("one seed: how other seeds would compare is unknown")
        if isinstance(self.test, SeedDifference):
            notes.append(runs_text(self.test.compared()))
        ours, theirs = (tuple(row.seed for row in rows) for rows in (self.first, self.second))
        if ours != theirs and not (is_fixed(self.first) or is_fixed(self.second)):
            first, second = self.first[0].arm, self.second[0].arm
            notes.append(f"{first} has {seeds_text(ours)}, {second} {seeds_text(theirs)}")
        if self.dropped:
            notes.append(f"left out, since not measured on all of it: {seeds_text(self.dropped)}")
        own = {row.arm_id for row in (*self.first, *self.second)}
        further = (row for other in self.others for row in (*other.first, *other.second))
        for arm in dict.fromkeys(row.arm for row in further if row.arm_id not in own):
            notes.append(
                f"{arm} differs from the arm that it measures once more: the claim has to hold of both"
            )
        return tuple(notes)

    @cached_property
    def pairs(self) -> tuple[Paired, ...]:
        """How the outcomes of the first run meet, per benchmark."""
        first, second = self.first[0].cells, self.second[0].cells
        return tuple(paired(first[name], second[name]) for name in self.benchmarks)

    @property
    def variances(self) -> tuple[float, float]:
        """The items' and the runs' part of the variance of the difference, points squared.

        Of one run the items' alone, as if half an item at least had flipped either way.
        """
        if isinstance(self.test, SeedDifference):
            return self.test.variances
        total = 0.0
        for pair in self.pairs:
            if isinstance(pair, Flips):
                won, lost = max(pair.won, 0.5) / pair.n, max(pair.lost, 0.5) / pair.n
                total += max(won + lost - (won - lost) ** 2, 0.0) / pair.n
            else:
                total += pair.variance
        return POINTS**2 * total / len(self.pairs) ** 2, 0.0

    @property
    def n(self) -> int:
        """Items of all benchmarks."""
        return sum(self.first[0].cells[name].n for name in self.benchmarks)


def match_rows(claim: Claim, rows: list[Row], pool: Pool | None) -> Match | tuple[str, ...]:
    """The rows that the claim is about, or what is missing of them, in words.

    Of either arm all seeds count that have every benchmark; they need not be the same.
    """
    arms = {name: _by_seed(name, rows) for name in (claim.first, claim.second)}
    missing = tuple(f"{name} has no result" for name, own in arms.items() if not own)
    if missing:
        return missing
    wanted = tuple(sorted({name for row in rows for name in (*row.cells, *row.missing)}))
    benchmarks = wanted if claim.where == AVERAGE else (claim.where,)
    complete = {
        name: tuple(row for row in own if all(benchmark in row.cells for benchmark in benchmarks))
        for name, own in arms.items()
    }
    missing = tuple(
        f"{name} has no result on {benchmark}{_of_seeds(arms[name])}"
        for name, own in complete.items()
        if not own
        for benchmark in benchmarks
        if not any(benchmark in row.cells for row in arms[name])
    )
    if missing:
        return missing
    if not all(complete.values()):
        return tuple(f"no seed of {name} has all benchmarks" for name, own in complete.items() if not own)
    ours, theirs = complete[claim.first], complete[claim.second]
    for benchmark in benchmarks:
        if len({row.cells[benchmark].score.items_hash for row in (*ours, *theirs)}) > 1:
            return (f"{claim.first} and {claim.second} answered different items of {benchmark}",)
    known, measured = (
        {row.seed for own in found for row in own if row.seed is not None and not is_fixed(own)}
        for found in (arms.values(), complete.values())
    )
    match = Match(ours, theirs, benchmarks, tuple(sorted(measured)), tuple(sorted(known - measured)), pool)
    return replace(match, others=tuple(_measured_again(match, rows, claim.where)))


def _measured_again(match: Match, rows: list[Row], where: str) -> Iterator[Match]:
    """The match with one arm's second measurement in its place, where it differs from the first."""
    for first in (True, False):
        own = match.first if first else match.second
        again = [
            row
            for row in rows
            for measured in own
            if row.repeats == measured.arm_id and _on_same_items(row, measured, match.benchmarks)
        ]
        for arm in dict.fromkeys(row.arm for row in again if row.leans(where)):
            in_place = {row.repeats: row for row in again if row.arm == arm}
            changed = tuple(in_place.get(row.arm_id, row) for row in own)
            yield replace(match, first=changed) if first else replace(match, second=changed)


def _on_same_items(row: Row, other: Row, benchmarks: Sequence[str]) -> bool:
    return all(
        name in row.cells and row.cells[name].score.items_hash == other.cells[name].score.items_hash
        for name in benchmarks
    )


def _of_seeds(rows: tuple[Row, ...]) -> str:
    seeds = [row.seed for row in rows if row.seed is not None]
    return f" ({seeds_text(seeds)})" if seeds else ""


def _by_seed(name: str, rows: list[Row]) -> tuple[Row, ...]:
    """The arm's latest row of every seed, in their order; the latest alone where nothing is random."""
    own = sorted((row for row in rows if row.arm == name), key=_age)
    own = [row for row in own if row.made_alike == own[-1].made_alike]
    if own and is_fixed(own):
        return (own[-1],)
    return tuple(sorted({row.seed: row for row in own}.values(), key=lambda row: row.seed or 0))


def runs_text(found: Comparison) -> str:
    """`these runs differ (p 0.002); how much a seed changes is estimated from 3 arms`."""
    assert found.runs is not None
    runs, p = found.runs, found.runs.p
    said = {"separated": "differ", "equivalent": "are equivalent", "inconclusive": "are not separated"}
    shown = f"these runs {said[runs.verdict]} (p {'<0.001' if p < 0.001 else f'{p:.3f}'})"
    known = "these two arms alone"
    if found.pooled:
        known = "1 arm" if found.pooled == 1 else f"{found.pooled} arms"
    return f"{shown}; how much a seed changes is estimated from {known}"


def seeds_text(seeds: Sequence[object]) -> str:
    """`seed 2`, `seeds 0, 1`."""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _age(row: Row) -> tuple[str, str]:
    return row.recorded_at, row.arm_id
