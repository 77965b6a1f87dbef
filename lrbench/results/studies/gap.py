"""The expertise gap: what LightReasoner gains beside how far the amateur is behind the expert."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lrbench.results.rendering.sheet import Table
from lrbench.results.reported import ReportedResult
from lrbench.results.rows import AVERAGE
from lrbench.results.studies.accuracies import AccuracyTables
from lrbench.results.studies.content import Number
from lrbench.results.studies.figures import Point, Scatter
from lrbench.results.studies.gathering import Gathered, Line
from lrbench.results.studies.measures import accuracy, difference, differences
from lrbench.results.studies.wording import accuracy_text, comparison_text, reported_text, short_model

GAP_TABLE = "expertise_gap"
GAP_NOTE = (
    "The gap is the untrained expert's accuracy minus the amateur's on {benchmark}, in points. A few "
    "amateurs are a few points, not a curve: amateurs differ in more than their gap, so no line is drawn "
    "through them."
)


@dataclass(frozen=True)
class GapTables:
    """Lines by amateur. Amateurs are measured by recipes of the edition that have them as their expert."""

    gathered: Gathered
    benchmarks: tuple[str, ...]
    runs: Path

    @property
    def accuracies(self) -> AccuracyTables:
        """The accuracy tables without the recipes that only measure an amateur."""
        trained = {line.expert for line in self.gathered.lines if line.arm.ingredients is not None}
        lines = tuple(line for line in self.gathered.lines if line.expert in trained)
        shown = replace(self.gathered, lines=lines)
        return AccuracyTables(shown, self.benchmarks, GAP_TABLE, self.runs, label=_label)

    def gap(self, line: Line) -> float | None:
        """How far the amateur is behind the expert on the first benchmark, in points, as measured."""
        expert = self.gathered.base_of(line.expert)
        amateur = None if line.amateur is None else self.gathered.base_of(line.amateur)
        if expert is None or amateur is None:
            return None
        found = [accuracy(one, self.benchmarks[0], self.benchmarks) for one in (expert, amateur)]
        if found[0] is None or found[1] is None:
            return None
        return 100 * (found[0].value - found[1].value)

    def tables(self) -> Iterator[Table]:
        """Per expert, an amateur a line, by gap: the gap, the average and what was gained."""
        for expert, lines in self.accuracies.gathered.by_expert():
            cells = []
            for line, _, _ in self._by_gap(lines):
                reported = self.accuracies.reported(line)
                base = self.gathered.base_of(expert)
                gained = (
                    None
                    if base is None
                    else difference(line, base, AVERAGE, self.benchmarks, self.accuracies.gathered.lines)
                )
                cells.append(
                    (
                        line.amateur or "",
                        _points(self.gap(line)),
                        _points(reported.gap if reported else None),
                        accuracy_text(accuracy(line, AVERAGE, self.benchmarks)),
                        "" if reported is None else reported_text(reported, AVERAGE),
                        comparison_text(gained),
                        _points(self._reported_gain(reported)),
                    )
                )
            header = (
                "amateur",
                "gap",
                "gap, reported",
                "average",
                "average, reported",
                "gain",
                "gain, reported",
            )
            if not cells:
                continue
            yield Table(f"{expert}: gain by expertise gap", header, tuple(cells))
            yield from self._from_widest(expert, [line for line, _, _ in self._by_gap(lines)])

    def rows(self) -> Iterator[dict[str, Number]]:
        """The accuracies' CSV lines with the gap."""
        gaps: dict[tuple[Number, Number], float | None] = {
            (line.expert, line.amateur): self.gap(line) for line in self.gathered.lines
        }
        for row in self.accuracies.rows():
            yield row | {"gap": gaps[row["expert"], row["amateur"]]}

    def scatter(self) -> Scatter:
        """Average by gap, measured and reported, with the untrained expert as a line across."""
        panels = []
        for expert, lines in self.accuracies.gathered.by_expert():
            points = []
            for line, measured_gap, reported in self._by_gap(lines):
                found = accuracy(line, AVERAGE, self.benchmarks)
                name = short_model(line.amateur or "")
                if found is not None and measured_gap is not None:
                    low, high = 100 * found.interval.low, 100 * found.interval.high
                    points.append(Point(name, measured_gap, 100 * found.value, False, low, high))
                if reported is not None and reported.gap is not None:
                    points.append(Point(name, reported.gap, reported.average, True))
            panels.append((short_model(expert), tuple(points), self._base_height(expert)))
        across = f"expertise gap on {self.benchmarks[0]}, points"
        return Scatter(across, "average accuracy, percent", tuple(panels))

    def _from_widest(self, expert: str, lines: list[Line]) -> Iterator[Table]:
        """What every amateur teaches less, or more, than the one with the widest gap."""
        widest, columns = lines[0], (AVERAGE, *self.benchmarks)
        cells = [
            (_label(line), *(comparison_text(found.get(column)) for column in columns))
            for line in lines[1:]
            if (found := differences(line, widest, self.benchmarks, self.accuracies.gathered.lines))
        ]
        if cells:
            caption = f"{expert}: difference from {_label(widest)}, the widest gap, in points"
            yield Table(caption, ("arm", *columns), tuple(cells))

    def _by_gap(self, lines: list[Line]) -> list[tuple[Line, float | None, ReportedResult | None]]:
        """The lines that have an amateur, the widest gap first."""
        found = [
            (line, self.gap(line), self.accuracies.reported(line))
            for line in lines
            if line.amateur is not None
        ]

        def gap(entry: tuple[Line, float | None, ReportedResult | None]) -> float:
            _, measured, reported = entry
            known = measured if measured is not None else reported.gap if reported else None
            return float("-inf") if known is None else known

        return sorted(found, key=gap, reverse=True)

    def _base_height(self, expert: str) -> float | None:
        base = self.gathered.base_of(expert)
        if base is None:
            return None
        found = accuracy(base, AVERAGE, self.benchmarks)
        if found is not None:
            return 100 * found.value
        reported = self.accuracies.reported(base)
        return None if reported is None else reported.average

    def _reported_gain(self, reported: ReportedResult | None) -> float | None:
        if reported is None:
            return None
        base = self.gathered.base_of(reported.expert)
        reported_base = None if base is None else self.accuracies.reported(base)
        return None if reported_base is None else reported.average - reported_base.average


def _label(line: Line) -> str:
    return line.label if line.amateur is None else f"{line.arm.name} from {short_model(line.amateur)}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"
