"""Systems of result files set against the first of them: differences, verdicts, flips, what could be seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from statistics import NormalDist

import numpy as np

from lrbench.errors import DataError
from lrbench.evaluation.statistics import (
    LEVEL,
    POINTS,
    POWER,
    Comparison,
    DrawsDifference,
    Estimate,
    PairedDraws,
    adjust,
    compare_average,
    macro_average,
    mean_of_benchmarks,
    mean_share,
    smallest_detectable_difference,
)
from lrbench.results.foreign.outcomes import Measured, shown
from lrbench.results.foreign.pairing import Pairing, pair
from lrbench.results.foreign.reading import System, read_systems, source_of
from lrbench.results.protocols import Difference, differing_fields


@dataclass(frozen=True)
class Contrast:
    """One system against another where both were measured: shares right, and what they differ by.

    Over `n` items that both answered; the difference is the system's minus the baseline's, in points.
    `detectable` is the true difference, in points, that these items separate with power 0.8, were their
    outcomes to differ as often as they did; None where no difference could be seen.
    """

    n: int
    baseline: Estimate
    system: Estimate
    comparison: Comparison
    detectable: float | None


@dataclass(frozen=True)
class BenchmarkContrast(Contrast):
    """A contrast on one benchmark. `won` and `lost` are the items of which more or less was right, by id.

    `measured_otherwise` are the fields in which the files say that the two were measured differently.
    """

    benchmark: str
    pairing: Pairing
    won: tuple[str, ...]
    lost: tuple[str, ...]
    measured_otherwise: tuple[Difference, ...]


@dataclass(frozen=True)
class SystemContrast:
    """A system against the baseline: on every benchmark that both have, and on the average of these.

    Holm over the benchmarks; the average stands alone, and is None where there is one benchmark only.
    `left_out` says what was not paired, and why.
    """

    system: str
    baseline: str
    benchmarks: tuple[BenchmarkContrast, ...]
    average: Contrast | None
    left_out: tuple[str, ...]

    @property
    def overall(self) -> Contrast:
        """The average, or the one benchmark there is."""
        return self.average or self.benchmarks[0]


@dataclass(frozen=True)
class FilesCompared:
    """All systems but the first against the first, and what a reader has to know of the files."""

    baseline: str
    contrasts: tuple[SystemContrast, ...]
    remarks: tuple[str, ...]


def compare_files(files: Iterable[str], metric: str | None = None) -> FilesCompared:
    """Compare the systems in result files or folders, each `PATH` or `NAME=PATH`; the first is the baseline.

    Raises `DataError` for files that cannot be read or paired, `UserError` for names that cannot be meant.
    """
    return compare_systems(read_systems(map(source_of, files), metric))


def compare_systems(systems: Sequence[System]) -> FilesCompared:
    """Compare systems with the first of them.

    Raises `DataError` for a single system, and where one shares no item with the first.
    """
    if len(systems) < 2:
        found = systems[0].name if systems else "none"
        raise DataError(f"two systems or more are compared, found is one: {shown(found)}; name another file")
    first, *others = systems
    contrasts = tuple(_contrast(first, other) for other in others)
    remarks = dict.fromkeys(remark for system in systems for remark in system.remarks)
    remarks |= dict.fromkeys(_chosen_metrics(systems))
    return FilesCompared(first.name, contrasts, tuple(remarks))


def _contrast(first: System, second: System) -> SystemContrast:
    left_out = [
        f"{shown(benchmark)}: in {shown(system.name)} alone"
        for system, other in ((first, second), (second, first))
        for benchmark in system.benchmarks
        if benchmark not in other.benchmarks
    ]
    found = []
    for benchmark in first.benchmarks:
        if benchmark in second.benchmarks:
            ours, theirs = first.benchmarks[benchmark], second.benchmarks[benchmark]
            pairing = pair(ours, theirs)
            left_out += (
                f"{shown(benchmark)}: {reason}" for reason in pairing.reasons(first.name, second.name)
            )
            if pairing.draws is not None:
                found.append((ours, theirs, pairing, pairing.draws))
            if pairing.paired and not pairing.texts_known:
                left_out.append(
                    f"{shown(benchmark)}: the files do not both say what was asked, so items were paired by "
                    "their ids alone"
                )
    if not found:
        why = "; ".join(left_out) or "no benchmark is in both"
        raise DataError(f"{first.place} and {second.place} share no item that can be paired: {why}")
    alone = {ours.benchmark: compare_average((paired,)) for ours, _, _, paired in found}
    adjusted = adjust(alone)
    benchmarks = tuple(
        _on_benchmark(ours, theirs, pairing, paired, adjusted[ours.benchmark])
        for ours, theirs, pairing, paired in found
    )
    average = _on_average(benchmarks, [paired for *_, paired in found]) if len(found) > 1 else None
    return SystemContrast(second.name, first.name, benchmarks, average, tuple(left_out))


def _on_benchmark(
    first: Measured, second: Measured, pairing: Pairing, pair: PairedDraws, comparison: Comparison
) -> BenchmarkContrast:
    won, lost = pairing.flipped
    return BenchmarkContrast(
        n=pair.n,
        baseline=_accuracy(pair.second, pair, pairing.parts),
        system=_accuracy(pair.first, pair, pairing.parts),
        comparison=comparison,
        detectable=_detectable(pair),
        benchmark=first.benchmark,
        pairing=pairing,
        won=won,
        lost=lost,
        measured_otherwise=tuple(differing_fields(first.origin.protocol, second.origin.protocol)),
    )


def _accuracy(right_NM: np.ndarray, pair: PairedDraws, parts: int) -> Estimate:
    # What is partly right may be worth more than one outcome: its variance alone says how much.
    outcomes = right_NM.shape[1] if parts == 1 else inf
    return mean_share(right_NM.mean(axis=1), pair.groups, outcomes)


def _detectable(pair: PairedDraws) -> float | None:
    flips = pair.flips
    if flips is not None:
        # As if half an item at least had flipped: of none, nothing could be planned with.
        return smallest_detectable_difference(flips.n, max(flips.discordance, 0.5 / flips.n))
    return _within_reach(DrawsDifference((pair,)).error)


def _within_reach(error: float) -> float | None:
    """The difference that a standard error of so many points separates with power 0.8; None above 100."""
    found = error * (NormalDist().inv_cdf((1 + LEVEL) / 2) + NormalDist().inv_cdf(POWER))
    return found if found <= POINTS else None


def _on_average(benchmarks: Sequence[BenchmarkContrast], pairs: Sequence[PairedDraws]) -> Contrast:
    tables = [table for table in (pair.flips for pair in pairs) if table is not None]
    whole = len(tables) == len(pairs)
    return Contrast(
        n=sum(pair.n for pair in pairs),
        baseline=macro_average(tuple((table.both + table.lost, table.n) for table in tables))
        if whole
        else mean_of_benchmarks([one.baseline for one in benchmarks]),
        system=macro_average(tuple((table.both + table.won, table.n) for table in tables))
        if whole
        else mean_of_benchmarks([one.system for one in benchmarks]),
        comparison=compare_average(pairs),
        detectable=_within_reach(DrawsDifference(tuple(pairs)).error),
    )


def _chosen_metrics(systems: Sequence[System]) -> Iterator[str]:
    """Of every benchmark with several metrics, which one is the outcome."""
    for system in systems:
        for benchmark, measured in system.benchmarks.items():
            if measured.origin.others:
                counts, others = measured.origin.metric or "", ", ".join(map(shown, measured.origin.others))
                yield f"{shown(benchmark)}: {shown(counts)} counts; there is also {others} (--metric)"
