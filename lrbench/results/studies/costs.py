"""Efficiency: what each arm cost and what it gained, measured beside reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from lrbench.methods.presets import UNTRAINED
from lrbench.results.records import Costs
from lrbench.results.rendering.sheet import Table
from lrbench.results.reported import ReportedCosts, reported_costs
from lrbench.results.rows import AVERAGE
from lrbench.results.studies.content import Number
from lrbench.results.studies.figures import Bars, Panel, Series
from lrbench.results.studies.gathering import Gathered, Line, command_for
from lrbench.results.studies.measures import difference
from lrbench.results.studies.using import uses_fields
from lrbench.results.studies.wording import comparison_text, short_model

REPORTED = "reported"
COSTS_NOTE = (
    "Times are wall-clock seconds of sampling, scoring and training, the mean over seeds, on the machine "
    "that ran them; the paper's are hours on one NVIDIA H200 without inference accelerators. Times of "
    "different machines are not comparable; the ratios between arms are what can be compared. The "
    "reported gain is that of the seven-benchmark average."
)


@dataclass(frozen=True)
class Quantity:
    """One kind of cost: what it is called, and how it is read from records and from the paper's table.

    `reported` gives None where the paper's table has no such column.
    """

    name: str
    unit: str
    measured: Callable[[Costs], float]
    reported: Callable[[ReportedCosts], float | None]

    @property
    def title(self) -> str:
        """The name with its unit, unless that says it."""
        return self.name if self.unit in self.name else f"{self.name}, {self.unit}"


QUANTITIES = (
    Quantity("time", "seconds", lambda costs: sum(costs.seconds.values()), lambda row: 3600 * row.hours),
    Quantity("problems", "problems", lambda costs: costs.sampled_problems, lambda row: row.problems),
    Quantity("tuned tokens", "tokens", lambda costs: costs.tuned_tokens, lambda row: row.tuned_tokens),
    Quantity("sampled tokens", "tokens", lambda costs: costs.sampled_tokens, lambda _: None),
)


@dataclass(frozen=True)
class CostTables:
    """The costs of the lines of an edition that took training: their own, or that of an arm they read."""

    gathered: Gathered
    benchmarks: tuple[str, ...]
    runs: Path

    def tables(self) -> Iterator[Table]:
        """Per expert costs and gain of every arm that took training, then how many times the subject's."""
        header = ["arm"]
        for quantity in QUANTITIES:
            header += [quantity.title, f"{quantity.name}, {REPORTED}"]
        for expert, lines in self.gathered.by_expert():
            trained = [line for line in lines if line.arm.is_random]
            cells = [self._costs(line) for line in trained]
            ratios = [row for line in trained if (row := self._ratios(line, trained))]
            if ratios:
                cells += [(), *ratios]
            base = self.gathered.base_of(expert)
            over = UNTRAINED.name if base is None else base.arm.name
            caption = f"{expert}: costs and gain of the average over {over} in points"
            yield _without_empty(caption, (*header, "gain", f"gain, {REPORTED}"), cells)

    def rows(self) -> Iterator[dict[str, Number]]:
        """A CSV line per trained line."""
        for line in self.gathered.lines:
            if not line.arm.is_random:
                continue
            reported = self._reported(line)
            row: dict[str, Number] = {
                "expert": line.expert,
                "amateur": line.amateur,
                "arm": line.label,
                "recipe": line.source.path,
                "seeds": len(line.records),
            }
            for quantity in QUANTITIES:
                name = quantity.title.replace(", ", "_").replace(" ", "_")
                row[name] = _mean(quantity, line)
                row[f"{name}_reported"] = None if reported is None else quantity.reported(reported)
            base = self.gathered.untrained(line)
            gain = (
                None
                if base is None
                else difference(line, base, AVERAGE, self.benchmarks, self.gathered.lines)
            )
            row["gain"] = None if gain is None else gain.difference
            row["gain_low"] = None if gain is None else gain.interval.low
            row["gain_high"] = None if gain is None else gain.interval.high
            row["gain_reported"] = None if reported is None else reported.gain
            row["source"] = None if reported is None else reported.source
            row["command"] = command_for(line, self.runs) if line.missing_seeds else None
            row |= uses_fields(line)
            yield row

    def bars(self) -> Bars:
        """A panel per quantity: arms across, and of several experts side by side within each."""
        experts = [
            (expert, [line for line in lines if line.arm.is_random])
            for expert, lines in self.gathered.by_expert()
        ]
        panels = []
        for quantity in QUANTITIES:
            if len(experts) == 1:
                names, series = self._across(quantity, experts[0][1])
            else:
                names = tuple(short_model(expert) for expert, _ in experts)
                series = self._within(quantity, [lines for _, lines in experts])
            panels.append(Panel(quantity.title, names, tuple(series)))
        return Bars(tuple(panels), logarithmic=True)

    def _across(self, quantity: Quantity, lines: list[Line]) -> tuple[tuple[str, ...], Iterator[Series]]:
        """The arms of one expert and what they cost, measured beside reported."""
        measured = tuple(_mean(quantity, line) for line in lines)
        reported = tuple(self._reported_of(quantity, line) for line in lines)
        kinds = (Series("measured", measured), Series(REPORTED, reported, reported=True))
        found = (series for series in kinds if any(value is not None for value in series.values))
        return tuple(line.label for line in lines), found

    def _within(self, quantity: Quantity, experts: list[list[Line]]) -> Iterator[Series]:
        """What each arm cost with every expert, measured beside reported."""
        for arm in dict.fromkeys(line.label for lines in experts for line in lines):
            found = [next((line for line in lines if line.label == arm), None) for lines in experts]
            measured = tuple(None if line is None else _mean(quantity, line) for line in found)
            if any(value is not None for value in measured):
                yield Series(arm, measured)
            reported = tuple(None if line is None else self._reported_of(quantity, line) for line in found)
            if any(value is not None for value in reported):
                yield Series(f"{arm}, {REPORTED}", reported, reported=True)

    def _costs(self, line: Line) -> tuple[str, ...]:
        reported = self._reported(line)
        cells = [line.label]
        for quantity in QUANTITIES:
            cells += [
                _amount(_mean(quantity, line)),
                _amount(None if reported is None else quantity.reported(reported)),
            ]
        base = self.gathered.untrained(line)
        gain = None if base is None else difference(line, base, AVERAGE, self.benchmarks, self.gathered.lines)
        return (*cells, comparison_text(gain), "" if reported is None else f"{reported.gain:+.1f}")

    def _ratios(self, line: Line, trained: list[Line]) -> tuple[str, ...] | None:
        subject = next((other for other in trained if other.is_subject), None)
        if subject is None or subject is line:
            return None
        pair = self._reported(line), self._reported(subject)
        cells = []
        for quantity in QUANTITIES:
            cells.append(_ratio(_mean(quantity, line), _mean(quantity, subject)))
            reported = [None if costs is None else quantity.reported(costs) for costs in pair]
            cells.append(_ratio(*reported))
        return (f"{line.label} / {subject.arm.name}", *cells, "", "") if any(cells) else None

    def _reported_of(self, quantity: Quantity, line: Line) -> float | None:
        reported = self._reported(line)
        return None if reported is None else quantity.reported(reported)

    def _reported(self, line: Line) -> ReportedCosts | None:
        if line.point:
            return None
        rows = (row for row in reported_costs() if (row.expert, row.arm) == (line.expert, line.arm.name))
        return next(rows, None)


def _without_empty(caption: str, header: tuple[str, ...], cells: list[tuple[str, ...]]) -> Table:
    """The table without the columns of what is reported that say nothing in any line."""
    shown = [
        place
        for place, name in enumerate(header)
        if not name.endswith(f", {REPORTED}") or any(line[place] for line in cells if line)
    ]
    lines = tuple(tuple(line[place] for place in shown) if line else line for line in cells)
    return Table(caption, tuple(header[place] for place in shown), lines)


def _mean(quantity: Quantity, line: Line) -> float | None:
    known = [costs for costs in line.costs if costs is not None]
    return fmean(map(quantity.measured, known)) if known and len(known) == len(line.costs) else None


def _amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.1f}"


def _ratio(first: float | None, second: float | None) -> str:
    return f"{first / second:.1f} times" if first and second else ""
