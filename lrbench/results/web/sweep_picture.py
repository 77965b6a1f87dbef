"""A sweep as a picture, whatever draws it: means with seed bands, single runs, where the baseline lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.recipe.expanding import value_text
from lrbench.results.board_arms import estimate_of
from lrbench.results.choosing import Sweep
from lrbench.results.rows import Group
from lrbench.results.web.sweep_baselines import Baselines, baselines_of, fields_of, line_of

# Of the range of what is drawn, free above and below it.
MARGIN = 0.08
# Values that are so many times the least are drawn on a logarithmic axis: rates are swept by factors.
FACTORS = 10.0


@dataclass(frozen=True)
class Point:
    """The mean of one point's runs, with its interval; all three in percent.

    `at` is the swept field's value, as text where the values are no numbers. `line` is what its other fields
    are, `name` the whole point, `said` its numbers in words; `taken` says that the recipe has chosen it.
    """

    at: Any
    mean: float
    low: float
    high: float
    line: str
    name: str
    said: str
    taken: bool


@dataclass(frozen=True)
class Run:
    """One seed of a point that has several, in percent."""

    at: Any
    value: float
    name: str


@dataclass(frozen=True)
class Picture:
    """`title` is the swept field, `numeric` whether its values lie on a scale; `points` are in its order."""

    title: str
    numeric: bool
    points: tuple[Point, ...]
    runs: tuple[Run, ...]
    baselines: Baselines

    @property
    def lines(self) -> list[str]:
        """Every line once: points that agree in all fields but the one that is drawn along."""
        return list(dict.fromkeys(point.line for point in self.points))

    @property
    def ticks(self) -> list[Any]:
        """The swept field's values, each once."""
        values = list(dict.fromkeys(point.at for point in self.points))
        return sorted(values) if self.numeric else values

    @property
    def logarithmic(self) -> bool:
        """Whether the values are apart by factors."""
        return self.numeric and bool(self.ticks) and 0 < FACTORS * self.ticks[0] <= self.ticks[-1]

    @property
    def axis(self) -> str:
        """What stands at the axis of the swept field."""
        return f"{self.title} (logarithmic)" if self.logarithmic else self.title

    @property
    def domain(self) -> tuple[float, float]:
        """From where to where accuracies are drawn, in percent."""
        bounds = [bound for point in self.points for bound in (point.low, point.high)]
        bounds += [run.value for run in self.runs]
        bounds += [value for line in self.baselines.lines for _, value in line.points]
        low, high = min(bounds, default=0.0), max(bounds, default=100.0)
        margin = MARGIN * max(high - low, 1.0)
        return max(0.0, low - margin), min(100.0, high + margin)


def longest_field(sweep: Sweep) -> str:
    """The swept field with most values: along it a line says most."""
    return max(fields_of(sweep), key=lambda name: len(sweep.fields[name]))


def picture_of(sweep: Sweep, across: str, column: str) -> Picture:
    """What is drawn of the sweep in `column`, along the field `across`."""
    numeric = all(_is_number(value) for value in sweep.fields[across])
    found = [_point(sweep, group, across, column, numeric) for group in sweep.groups]
    points = [point for point, _ in filter(None, found)]
    if numeric:
        points.sort(key=lambda point: point.at)
    return Picture(
        fields_of(sweep).get(across, across),
        numeric,
        tuple(points),
        tuple(run for _, runs in filter(None, found) for run in runs),
        baselines_of(sweep, across, column),
    )


def _is_number(value: object) -> bool:
    """Whether a swept value lies on a scale."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _point(
    sweep: Sweep, group: Group, across: str, column: str, numeric: bool
) -> tuple[Point, Sequence[Run]] | None:
    """A group's mean, and its single runs where there are several; None where nothing was measured."""
    mean, point = group.value(column), group.rows[0].point
    if mean is None or across not in point:
        return None
    at = point[across] if numeric else value_text(point[across])
    fields = fields_of(sweep).items()
    name = ", ".join(f"{short}={value_text(point[field])}" for field, short in fields if field in point)
    estimate = estimate_of(group, column)
    low, high = (mean, mean) if estimate is None else (estimate.interval.low, estimate.interval.high)
    said = f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}], runs: {len(group.rows)}"
    runs = [
        Run(at, 100 * value, f"{name}, seed {row.seed}")
        for row in group.rows
        if len(group.rows) > 1 and (value := row.value(column)) is not None
    ]
    line = line_of(sweep, group, across)
    return Point(at, 100 * mean, 100 * low, 100 * high, line, name, said, sweep.is_taken(group)), runs
