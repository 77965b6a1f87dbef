"""What each line of a sweep's chart is set against: one result all along it, or another at every point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrbench.recipe.expanding import point_text, short_field, value_text
from lrbench.results.board_arms import declared_baseline
from lrbench.results.choosing import Sweep
from lrbench.results.rows import Group
from lrbench.results.text import plain
from lrbench.results.web.text import name_html

LONGEST = 40


@dataclass(frozen=True)
class BaselineLine:
    """A baseline of `arm`, called `name`, of the chart's lines `of`.

    `points` are its percents by the swept field's values; `level` says that it is one result all along.
    """

    name: str
    arm: str
    of: tuple[str, ...]
    points: tuple[tuple[Any, float], ...]
    level: bool


@dataclass(frozen=True)
class Baselines:
    """The baselines of all lines, each once, and the lines `without` one."""

    lines: tuple[BaselineLine, ...]
    without: tuple[str, ...]

    @property
    def is_one(self) -> bool:
        """Whether all lines are set against the same."""
        return len(self.lines) == 1 and not self.without


def fields_of(sweep: Sweep) -> dict[str, str]:
    """The swept fields of which there are several values, each with as much of its name as it needs."""
    return {
        name: short_field(name, sweep.fields) for name, values in sweep.fields.items() if len(values) > 1
    } or {name: short_field(name, sweep.fields) for name in sweep.fields}


def line_of(sweep: Sweep, group: Group, across: str) -> str:
    """The line that a point stands on: its other fields, or the arm where there are none."""
    point = group.rows[0].point
    others = [
        f"{short}={value_text(point[field])}"
        for field, short in fields_of(sweep).items()
        if field in point and field != across
    ]
    return " ".join(others) or sweep.first.arm


def baselines_of(sweep: Sweep, across: str, column: str) -> Baselines:
    """What the points of every line are set against, as their recipe declares, in `column`."""
    found: dict[str, dict[Any, Group]] = {}
    for group in sweep.groups:
        point = group.rows[0].point
        if across not in point or group.value(column) is None:
            continue
        own = found.setdefault(line_of(sweep, group, across), {})
        declared = declared_baseline(sweep.board, group)
        other = None if declared is None else sweep.board.baseline_of(group, declared)
        if other is not None and other.value(column) is not None:
            own[point[across]] = other
    same: dict[tuple[Any, ...], list[str]] = {}
    for line, others in found.items():
        if others:
            same.setdefault(_identity(others), []).append(line)
    return Baselines(
        tuple(_drawn(sweep, found[of[0]], column, tuple(of)) for of in same.values()),
        tuple(line for line, others in found.items() if not others),
    )


def baselines_html(baselines: Baselines) -> str:
    """In words which dotted line is whose baseline, and which lines have none."""
    if not baselines.lines:
        return "No baseline of it is measured."
    if baselines.is_one:
        (line,) = baselines.lines
        whose = "the baseline of every line" if len(line.of) > 1 else "its baseline"
        return f"The dotted line is {name_html(line.name)}, {whose}."
    said = [
        f"{name_html(line.name)} is the baseline of {', '.join(name_html(of, LONGEST) for of in line.of)}"
        for line in baselines.lines
    ]
    without = ", ".join(name_html(line, LONGEST) for line in baselines.without)
    none = f" No baseline is measured of {without}." if without else ""
    return f"Dotted lines: {'; '.join(said)}.{none}"


def _identity(others: Mapping[Any, Group]) -> tuple[Any, ...]:
    """Equal for lines that are set against the same: of one result all along, wherever its points are."""
    ids = {str(x): group.rows[-1].arm_id for x, group in others.items()}
    return tuple(set(ids.values())) if len(set(ids.values())) == 1 else tuple(sorted(ids.items()))


def _drawn(sweep: Sweep, others: Mapping[Any, Group], column: str, of: tuple[str, ...]) -> BaselineLine:
    rows = [group.rows[0] for group in others.values()]
    first, ids = rows[0], {row.arm_id for row in rows}
    name = plain(first.arm, LONGEST)
    # Where it stands itself, as far as that is the same all along the line.
    same = {
        field: value
        for field, value in first.point.items()
        if all(row.point.get(field) == value for row in rows)
    }
    if same:
        name += f" {plain(point_text(same), LONGEST)}"
    if first.recipe != sweep.first.recipe:
        name += f" of {plain(first.recipe, LONGEST)}"
    points = tuple((x, 100 * (group.value(column) or 0.0)) for x, group in others.items())
    return BaselineLine(name, first.arm, of, points, len(ids) == 1)
