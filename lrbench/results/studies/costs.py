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

COSTS_NOTE = (
    "Times are wall-clock seconds of sampling, scoring and training, the mean over seeds, on the machine "
    "that ran them; the paper's are hours on one NVIDIA H200 without inference accelerators. Times of "
    "different machines are not comparable; the ratios between arms are what can be compared. The "
    "reported gain is that of the seven-benchmark average."
)


@dataclass(frozen=True)
class Quantity:
    """One kind of cost: what it is called, and how it is read from records and from the paper's table."""

    name: str
    unit: str
    measured: Callable[[Costs], float]
    reported: Callable[[ReportedCosts], float]

    @property
    def title(self) -> str:
        """The name with its unit, unless that says it."""
        return self.name if self.unit in self.name else f"{self.name}, {self.unit}"


QUANTITIES = (
    Quantity("time", "seconds", lambda costs: sum(costs.seconds.values()), lambda row: 3600 * row.hours),
    Quantity("problems", "problems", lambda costs: costs.sampled_problems, lambda row: row.problems),
    Quantity("tuned tokens", "tokens", lambda costs: costs.tuned_tokens, lambda row: row.tuned_tokens),
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
            header += [quantity.title, f"{quantity.name}, reported"]
        for expert, lines in self.gathered.by_expert():
            trained = [line for line in lines if line.arm.is_random]
            cells = [self._costs(line) for line in trained]
            ratios = [row for line in trained if (row := self._ratios(line, trained))]
            if ratios:
                cells += [(), *ratios]
            base = self.gathered.base_of(expert)
            over = UNTRAINED.name if base is None else base.arm.name
            caption = f"{expert}: costs and gain of the average over {over} in points"
            yield Table(caption, (*header, "gain", "gain, reported"), tuple(cells))

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
        """A panel per quantity, arms side by side within each expert."""
        experts = [
            (expert, [line for line in lines if line.arm.is_random])
            for expert, lines in self.gathered.by_expert()
        ]
        arms = list(dict.fromkeys(line.label for _, lines in experts for line in lines))
        panels = []
        for quantity in QUANTITIES:
            series = []
            for arm in arms:
                found = [next((line for line in lines if line.label == arm), None) for _, lines in experts]
                measured = tuple(None if line is None else _mean(quantity, line) for line in found)
                if any(value is not None for value in measured):
                    series.append(Series(arm, measured))
                rows = [None if line is None else self._reported(line) for line in found]
                if any(rows):
                    values = tuple(None if row is None else quantity.reported(row) for row in rows)
                    series.append(Series(f"{arm}, reported", values, reported=True))
            names = tuple(short_model(expert) for expert, _ in experts)
            panels.append(Panel(quantity.title, names, tuple(series)))
        return Bars(tuple(panels), logarithmic=True)

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
            reported = None
            if pair[0] is not None and pair[1] is not None:
                reported = _ratio(quantity.reported(pair[0]), quantity.reported(pair[1]))
            cells.append(reported or "")
        return (f"{line.label} / {subject.arm.name}", *cells, "", "") if any(cells) else None

    def _reported(self, line: Line) -> ReportedCosts | None:
        if line.point:
            return None
        rows = (row for row in reported_costs() if (row.expert, row.arm) == (line.expert, line.arm.name))
        return next(rows, None)


def _mean(quantity: Quantity, line: Line) -> float | None:
    known = [costs for costs in line.costs if costs is not None]
    return fmean(map(quantity.measured, known)) if known and len(known) == len(line.costs) else None


def _amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.1f}"


def _ratio(first: float | None, second: float | None) -> str:
    return f"{first / second:.1f} times" if first and second else ""
