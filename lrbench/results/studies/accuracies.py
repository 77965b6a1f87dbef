"""Tables of accuracies: measured beside reported, what separates them, and what separates the arms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrbench.evaluation.statistics import Comparison
from lrbench.methods.presets import UNTRAINED
from lrbench.results.rendering.sheet import Strong, Table
from lrbench.results.reported import ReportedResult, reported_for
from lrbench.results.rows import AVERAGE
from lrbench.results.studies.content import Number
from lrbench.results.studies.figures import Bars, Panel, Radar, Series
from lrbench.results.studies.gathering import Gathered, Line, command_for
from lrbench.results.studies.measures import Accuracy, accuracy, best_lines, differences, from_reported
from lrbench.results.studies.using import uses_fields
from lrbench.results.studies.wording import (
    accuracy_text,
    comparison_text,
    reported_text,
    share_text,
    short_model,
)

REPORTED = ", reported"
AMATEUR = "pair.amateur."


@dataclass(frozen=True)
class AccuracyTables:
    """The accuracy tables of some lines. `table` is the paper's table whose rows stand beside the lines."""

    gathered: Gathered
    benchmarks: tuple[str, ...]
    table: str
    runs: Path
    label: Callable[[Line], str] = lambda line: line.label

    def reported(self, line: Line) -> ReportedResult | None:
        """What the paper reports for a line; nothing where more than the amateur is swept."""
        if any(not field.startswith(AMATEUR) for field in line.point):
            return None
        rows = (
            row
            for row in reported_for(line.expert, self.table)
            if (row.arm, row.amateur) == (line.arm.name, line.amateur)
        )
        return next(rows, None)

    def accuracies(self) -> Iterator[Table]:
        """Per expert, a line per arm and under it what is reported."""
        for expert, lines in self.gathered.by_expert():
            header = ("arm", "seeds", *map(self._heading(lines), (AVERAGE, *self.benchmarks)))
            best = best_lines(lines, self.benchmarks, self.gathered.lines)
            cells = [row for line in lines for row in self._accuracy_rows(line, best)]
            yield Table(f"{expert}: accuracy in percent", header, tuple(cells))

    def comparisons(self, with_subjects: bool = False) -> Iterator[Table]:
        """Per expert and baseline, every other arm's difference from it; then those from the subjects."""
        for expert, lines in self.gathered.by_expert():
            subjects = [line.arm.name for line in lines if line.is_subject] if with_subjects else []
            for baseline in dict.fromkeys([*self.gathered.baselines(lines), *subjects]):
                pairs = [
                    (line, self.gathered.sibling(line, baseline))
                    for line in lines
                    # All others are measured from the untrained expert.
                    if not line.arm.is_expert or baseline in subjects
                ]
                yield from self._differences(expert, baseline, pairs)

    def from_subjects(self) -> Iterator[Table]:
        """Per expert and subject of a recipe, every other arm's difference from it."""
        for expert, lines in self.gathered.by_expert():
            for subject in dict.fromkeys(line.arm.name for line in lines if line.is_subject):
                pairs = [(line, self.gathered.sibling(line, subject)) for line in lines]
                yield from self._differences(expert, subject, pairs)

    def from_untrained(self) -> Iterator[Table]:
        """Per expert, every arm's difference from the untrained expert."""
        for expert, lines in self.gathered.by_expert():
            base = self.gathered.base_of(expert)
            if base is not None:
                pairs = [(line, self.gathered.untrained(line)) for line in lines]
                yield from self._differences(expert, base.arm.name, pairs)

    def _differences(
        self, expert: str, baseline: str, pairs: Iterable[tuple[Line, Line | None]]
    ) -> Iterator[Table]:
        """One table of the first of each pair minus the second, where there are results to set so."""
        cells = [
            (self.label(line), *(comparison_text(found.get(name)) for name in self._columns))
            for line, other in pairs
            if other is not None and (found := differences(line, other, self.benchmarks, self.gathered.lines))
        ]
        if cells:
            caption = f"{expert}: difference from {baseline} in points"
            yield Table(caption, ("arm", *self._columns), tuple(cells))

    def against_reported(self) -> Iterator[Table]:
        """Every number that is both measured and reported, side by side."""
        cells = []
        for line in self.gathered.lines:
            reported = self.reported(line)
            if reported is None:
                continue
            for name, comparison in from_reported(line, reported, self.benchmarks).items():
                measured = accuracy(line, name, self.benchmarks)
                assert measured is not None
                estimate = reported.on(name)
                cells.append(
                    (
                        short_model(line.expert),
                        self.label(line),
                        name,
                        f"{measured.n} and {reported.n(name)}",
                        accuracy_text(measured),
                        share_text(estimate.value, estimate.interval),
                        comparison_text(comparison),
                        comparison.verdict,
                    )
                )
        if cells:
            header = ("expert", "arm", "benchmark", "n", "measured", "reported", "difference", "verdict")
            yield Table("Measured against reported (independent samples)", header, tuple(cells))

    def rows(self) -> Iterator[dict[str, Number]]:
        """A CSV line per line and column, measured and reported and the difference."""
        for line in self.gathered.lines:
            reported = self.reported(line)
            base = self.gathered.untrained(line)
            compared = {} if reported is None else from_reported(line, reported, self.benchmarks)
            to_base = {} if base is None else differences(line, base, self.benchmarks, self.gathered.lines)
            for column in self._columns:
                yield self._row(line, column, reported, compared.get(column), to_base.get(column))

    def radar(self) -> Radar:
        """Arms over the benchmarks, a panel per expert."""
        return Radar(
            tuple(
                Panel(short_model(expert), self.benchmarks, tuple(self._series(lines, self.benchmarks)))
                for expert, lines in self.gathered.by_expert()
            )
        )

    def bars(self) -> Bars:
        """The averages with their intervals: arms across, measured beside reported."""
        panels = []
        for expert, lines in self.gathered.by_expert():
            names = tuple(map(self.label, lines))
            found = [accuracy(line, AVERAGE, self.benchmarks) for line in lines]
            series = []
            if any(found):
                values, low, high = zip(*(one.percent if one else (None,) * 3 for one in found), strict=True)
                series.append(Series("measured", values, low=low, high=high))
            reported = [self._reported_average(line) for line in lines]
            if any(one is not None for one in reported):
                series.append(Series("reported", tuple(reported), reported=True))
            panels.append(Panel(short_model(expert), names, tuple(series), "average accuracy, percent"))
        return Bars(tuple(panels))

    @property
    def _columns(self) -> tuple[str, ...]:
        return (AVERAGE, *self.benchmarks)

    def _heading(self, lines: Sequence[Line]) -> Callable[[str], str]:
        def heading(column: str) -> str:
            sizes = sorted(
                {row.cells[column].n for line in lines for row in line.rows if column in row.cells}
            )
            return f"{column}, n {'-'.join(map(str, sizes[:1] + sizes[1:][-1:]))}" if sizes else column

        return heading

    def _accuracy_rows(self, line: Line, best: Mapping[str, Line]) -> Iterator[tuple[str, ...]]:
        cells = []
        for column in self._columns:
            text = accuracy_text(accuracy(line, column, self.benchmarks))
            cells.append(Strong(text) if best.get(column) is line else text)
        there = f"{len(line.rows)} of {len(line.seeds)}" if line.missing_seeds else str(len(line.seeds))
        yield (self.label(line), there, *cells)
        reported = self.reported(line)
        if reported is not None:
            shown = (reported_text(reported, name) for name in self._columns)
            yield (f"{self.label(line)}{REPORTED}", "", *shown)

    def _reported_average(self, line: Line) -> float | None:
        reported = self.reported(line)
        return None if reported is None else reported.average

    def _series(self, lines: Sequence[Line], benchmarks: Sequence[str]) -> Iterator[Series]:
        for line in lines:
            found = [accuracy(line, name, benchmarks) for name in benchmarks]
            if any(found):
                yield Series(self.label(line), tuple(one.percent[0] if one else None for one in found))
        for line in lines:
            reported = self.reported(line)
            if reported is not None:
                values = tuple(reported.accuracies.get(name) for name in benchmarks)
                yield Series(f"{self.label(line)}{REPORTED}", values, reported=True)

    def _row(
        self,
        line: Line,
        column: str,
        reported: ReportedResult | None,
        compared: Comparison | None,
        to_base: Comparison | None,
    ) -> dict[str, Number]:
        measured = accuracy(line, column, self.benchmarks)
        row: dict[str, Number] = {
            "expert": line.expert,
            "amateur": line.amateur,
            "arm": line.label,
            "recipe": line.source.path,
            "benchmark": column,
            "seeds": len(line.rows),
        }
        row |= _accuracy_fields(measured)
        row |= _comparison_fields(UNTRAINED.name, to_base)
        rate = None
        if reported is not None:
            rate = reported.average if column == AVERAGE else reported.accuracies.get(column)
        row["reported"] = rate
        row["reported_n"] = reported.n(column) if reported and column in reported.accuracies else None
        around = None if reported is None else reported.printed(column)
        row["reported_rate_low"] = None if around is None else 100 * around.interval.low
        row["reported_rate_high"] = None if around is None else 100 * around.interval.high
        row |= _comparison_fields("reported", compared)
        row["source"] = reported.source if reported and rate is not None else None
        row["command"] = command_for(line, self.runs) if line.missing_seeds else None
        row |= uses_fields(line)
        return row


def _accuracy_fields(measured: Accuracy | None) -> dict[str, Number]:
    """What was measured, as CSV fields."""
    names = ("n", "accuracy", "low", "high", "by_seed")
    if measured is None:
        return dict.fromkeys(names)
    by_seed = " ".join(f"{100 * value:.2f}" for value in measured.by_seed)
    return dict(zip(names, (measured.n, *measured.percent, by_seed), strict=True))


def _comparison_fields(name: str, comparison: Comparison | None) -> dict[str, Number]:
    """What a comparison says, as CSV fields of `name`."""
    names = [
        f"{name}_{field}" for field in ("difference", "low", "high", "p_adjusted", "separated", "verdict")
    ]
    if comparison is None:
        return dict.fromkeys(names)
    interval = comparison.interval
    values = (
        comparison.difference,
        interval.low,
        interval.high,
        comparison.p_adjusted,
        comparison.separated,
        comparison.verdict,
    )
    return dict(zip(names, values, strict=True))
