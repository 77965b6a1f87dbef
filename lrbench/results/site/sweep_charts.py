"""An arm's sweep as a drawing that stands in a page, as the dashboard draws it, and what to read it by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from markupsafe import Markup

from lrbench.methods.presets import BY_NAME
from lrbench.recipe.expanding import value_text
from lrbench.results.choosing import Sweep
from lrbench.results.rows import AVERAGE
from lrbench.results.site.axes import Axis, Tick
from lrbench.results.text import plain
from lrbench.results.web.labels import beside, spread
from lrbench.results.web.sweep_baselines import baselines_html
from lrbench.results.web.sweep_picture import Picture, Point, longest_field, picture_of
from lrbench.results.wording import chosen_text

# Of the plot, in units of the drawing; the least and the most are so far from its sides.
WIDTH, HEIGHT, INSET = 280.0, 170.0, 18.0
# Of a letter, between two names one above the other, and of the longest name beside the plot in letters.
LETTER, LINE_HEIGHT, LONGEST = 6.5, 13.0, 20
MARKS = (
    "M-4,0A4,4,0,1,1,4,0A4,4,0,1,1,-4,0Z",
    "M-4,-4H4V4H-4Z",
    "M0,-5.5L5.5,0L0,5.5L-5.5,0Z",
    "M0,-5L5,4H-5Z",
    "M0,5L5,-4H-5Z",
    "M-4,0L5,-5V5Z",
)
DASHES = ("none", "7 4", "14 4", "8 3 2 3")


@dataclass(frozen=True)
class Marked:
    """A point's mark; `taken` is the one that the recipe has chosen."""

    across: str
    up: str
    taken: bool


@dataclass(frozen=True)
class SweepLine:
    """A line with its band as points of a drawing, its marks, and the name beside it where there are several.

    `bars` are from the lowest to the highest of every point's interval.
    """

    points: str
    band: str
    bars: tuple[tuple[str, str, str], ...]
    mark: str
    dash: str
    marked: tuple[Marked, ...]
    name: str
    name_up: str


@dataclass(frozen=True)
class Dotted:
    """A baseline, with marks where it is another result at every point, and its name at the left."""

    points: str
    marked: tuple[tuple[str, str], ...]
    name: str
    name_up: str


@dataclass(frozen=True)
class SweepChart:
    """A drawing with `room` for names at its right, of an arm whose `color` is as CSS has it.

    `runs` are ticks of single seeds, `said` is all of it in words, `remark` which point is best, and
    `baselines` what is dotted.
    """

    width: ClassVar[float] = WIDTH
    height: ClassVar[float] = HEIGHT
    arm: str
    title: str
    axis: str
    color: str
    room: float
    up: tuple[Tick, ...]
    across: tuple[Tick, ...]
    lines: tuple[SweepLine, ...]
    runs: tuple[tuple[str, str], ...]
    dotted: tuple[Dotted, ...]
    said: str
    remark: str
    baselines: Markup


def sweep_chart(sweep: Sweep) -> SweepChart | None:
    """Its accuracies on average along the field with most values; None where no point has an average."""
    picture = picture_of(sweep, longest_field(sweep), AVERAGE)
    if not picture.points:
        return None
    low, high = picture.domain
    up, across = Axis(low, high, HEIGHT, logarithmic=False, downwards=True), _Across(picture)
    arm, lines = plain(sweep.first.arm, LONGEST), picture.lines
    preset = BY_NAME.get(sweep.first.arm)
    colour = None if preset is None else preset.colour
    return SweepChart(
        arm=arm,
        title=f"{arm}: {AVERAGE} in percent by {picture.title}",
        axis=picture.axis,
        color="var(--link)" if colour is None else f"light-dark({colour.light}, {colour.dark})",
        room=10 + LETTER * max(len(_cut(line)) for line in lines) if len(lines) > 1 else 10,
        up=up.ticks(),
        across=tuple(across.ticks()),
        lines=tuple(_lines(picture, across, up)),
        runs=tuple((across.at(run.at), up.at(run.value)) for run in picture.runs),
        dotted=tuple(_dotted(picture, across, up)),
        said=f"{arm}, {AVERAGE}: " + "; ".join(f"{point.name}: {point.said}" for point in picture.points),
        remark=_remark(sweep),
        baselines=Markup(baselines_html(picture.baselines)),
    )


def _remark(sweep: Sweep) -> str:
    if sweep.chosen is None:
        return f"No point is the highest: {sweep.why_none}."
    return chosen_text(sweep.chosen)


class _Across:
    """Where the swept field's values are: on a scale, or one beside another."""

    def __init__(self, picture: Picture) -> None:
        self.values = picture.ticks
        self.axis = None
        if picture.numeric and len(self.values) > 1:
            inner = WIDTH - 2 * INSET
            self.axis = Axis(self.values[0], self.values[-1], inner, picture.logarithmic)

    def at(self, value: Any) -> str:
        if self.axis is not None:
            return f"{INSET + float(self.axis.at(value)):.1f}"
        return f"{WIDTH * (self.values.index(value) + 0.5) / len(self.values):.1f}"

    def ticks(self) -> Iterator[Tick]:
        """The values that have room, from the left."""
        free = -WIDTH
        for value in self.values:
            text = _cut(value_text(value))
            place, half = float(self.at(value)), LETTER * len(text) / 2
            if place - half >= free:
                free = place + half + LETTER
                yield Tick(self.at(value), text)


def _lines(picture: Picture, across: _Across, up: Axis) -> Iterator[SweepLine]:
    of = {line: [point for point in picture.points if point.line == line] for line in picture.lines}
    ends = spread([float(up.at(points[-1].mean)) for points in of.values()], LINE_HEIGHT)
    for number, ((line, points), end) in enumerate(zip(of.items(), ends, strict=True)):
        places = [across.at(point.at) for point in points]
        yield SweepLine(
            points=_joined(places, [up.at(point.mean) for point in points]),
            band=_band(points, places, up),
            bars=tuple(
                (place, up.at(point.low), up.at(point.high))
                for place, point in zip(places, points, strict=True)
            ),
            mark=MARKS[number % len(MARKS)],
            dash=DASHES[number % len(DASHES)],
            marked=tuple(
                Marked(place, up.at(point.mean), point.taken)
                for place, point in zip(places, points, strict=True)
            ),
            name=_cut(line) if len(of) > 1 else "",
            name_up=f"{end:.1f}",
        )


def _band(points: Sequence[Point], places: Sequence[str], up: Axis) -> str:
    there = _joined(places, [up.at(point.high) for point in points])
    back = _joined(places[::-1], [up.at(point.low) for point in reversed(points)])
    return f"{there} {back}"


def _dotted(picture: Picture, across: _Across, up: Axis) -> Iterator[Dotted]:
    lines = [
        (line, [(at if picture.numeric else value_text(at), value) for at, value in line.points])
        for line in picture.baselines.lines
    ]
    for _, points in lines:
        points.sort(key=lambda point: across.values.index(point[0]))
    first = [float(up.at(point.mean)) for point in picture.points if point.at == picture.ticks[0]]
    names = spread([beside(float(up.at(points[0][1])), first) for _, points in lines], LINE_HEIGHT)
    for (line, points), place in zip(lines, names, strict=True):
        marked = [(across.at(at), up.at(value)) for at, value in points]
        along = [("0", marked[0][1]), (f"{WIDTH:g}", marked[0][1])] if line.level else marked
        yield Dotted(
            " ".join(",".join(point) for point in along),
            () if line.level else tuple(marked),
            _cut(line.name),
            f"{place:.1f}",
        )


def _joined(across: Sequence[str], up: Sequence[str]) -> str:
    return " ".join(map(",".join, zip(across, up, strict=True)))


def _cut(name: str) -> str:
    return plain(name, LONGEST)
