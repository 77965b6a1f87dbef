"""Which rows a claim is about: paired seed by seed, on the same items; or what is missing of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrbench.evaluation.statistics import (
    POINTS,
    AverageDifference,
    BenchmarkDifference,
    DifferenceTest,
    Flips,
    SeedDifference,
    count_flips,
)
from lrbench.recipe.claims import AVERAGE, Claim
from lrbench.results.board import BASE, Row


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
    """Two arms' rows, run by run (one where nothing is random), and the benchmarks a claim is about."""

    first: tuple[Row, ...]
    second: tuple[Row, ...]
    benchmarks: tuple[str, ...]
    seeds: tuple[int, ...]
    dropped: tuple[int, ...]

    @cached_property
    def test(self) -> DifferenceTest:
        """The difference of the arms, exact where that can be had."""
        if len(self.first) > 1:
            return SeedDifference(self._outcomes(self.first), self._outcomes(self.second))
        return AverageDifference(self.flips) if len(self.flips) > 1 else BenchmarkDifference(self.flips[0])

    @property
    def flips(self) -> tuple[Flips, ...]:
        """How the outcomes of the first run meet, per benchmark."""
        first, second = self.first[0], self.second[0]
        return tuple(count_flips(_paper(first, name), _paper(second, name)) for name in self.benchmarks)

    @property
    def variances(self) -> tuple[float, float]:
        """The items' and the runs' part of the variance of the difference, points squared.

        Of one run the items' alone, as if half an item at least had flipped either way.
        """
        if isinstance(self.test, SeedDifference):
            return self.test.variances
        total = 0.0
        for flips in self.flips:
            won, lost = max(flips.won, 0.5) / flips.n, max(flips.lost, 0.5) / flips.n
            total += max(won + lost - (won - lost) ** 2, 0.0) / flips.n
        return POINTS**2 * total / len(self.flips) ** 2, 0.0

    @property
    def n(self) -> int:
        """Items of all benchmarks."""
        return sum(self.first[0].cells[name].n for name in self.benchmarks)

    def _outcomes(self, rows: tuple[Row, ...]) -> list[list[list[str]]]:
        """Per benchmark and seed the one rerun."""
        return [[[_paper(row, name)] for row in rows] for name in self.benchmarks]


def match_rows(claim: Claim, rows: list[Row]) -> Match | tuple[str, ...]:
    """The rows that the claim is about, or what is missing of them, in words."""
    first, second = (_by_seed(name, rows) for name in (claim.first, claim.second))
    missing = tuple(
        f"{name} has no result" for name, own in ((claim.first, first), (claim.second, second)) if not own
    )
    if missing:
        return missing
    wanted = tuple(sorted({name for row in rows for name in (*row.cells, *row.missing)}))
    benchmarks = wanted if claim.where == AVERAGE else (claim.where,)
    known = sorted({seed for seed in (*first, *second) if seed is not None})
    seeds: list[int | None] = [*known] or [None]
    for own in (first, second):
        if None in own:
            own |= dict.fromkeys(seeds, own[None])
    absent: dict[str, list[str]] = {}
    complete = []
    for seed in seeds:
        reasons = [
            reason
            for name, own in ((claim.first, first), (claim.second, second))
            for reason in _absent(name, own.get(seed), benchmarks)
        ]
        for reason in reasons:
            absent.setdefault(reason, []).append(str(seed))
        if not reasons:
            complete.append(seed)
    if not complete:
        return tuple(f"{reason} ({seeds_text(of)})" if known else reason for reason, of in absent.items())
    ours, theirs = (tuple(own[seed] for seed in complete) for own in (first, second))
    for name in benchmarks:
        if len({row.cells[name].score.items_hash for row in (*ours, *theirs)}) > 1:
            return (f"{claim.first} and {claim.second} answered different items of {name}",)
    measured = tuple(seed for seed in complete if seed is not None)
    return Match(ours, theirs, benchmarks, measured, tuple(seed for seed in known if seed not in measured))


def _by_seed(name: str, rows: list[Row]) -> dict[int | None, Row]:
    """The arm's latest row of every seed; under None that of an arm in which nothing is random."""
    own = sorted((row for row in rows if row.arm == name), key=_age)
    own = [row for row in own if row.made_alike == own[-1].made_alike]
    # The base is not trained: what it answers is the same for every seed.
    untrained = {None: own[-1]} if own and name == BASE else {}
    return {row.seed: row for row in own} | untrained


def _absent(name: str, row: Row | None, benchmarks: tuple[str, ...]) -> list[str]:
    if row is None:
        return [f"{name} has no result"]
    return [f"{name} has no result on {benchmark}" for benchmark in benchmarks if benchmark not in row.cells]


def seeds_text(seeds: Sequence[object]) -> str:
    """`seed 2`, `seeds 0, 1`."""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _age(row: Row) -> tuple[str, str]:
    return row.recorded_at, row.arm_id


def _paper(row: Row, benchmark: str) -> str:
    return row.cells[benchmark].score.paper
