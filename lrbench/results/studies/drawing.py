"""Drawing a study's figures, in print on white: bytes that are equal for equal data.

Measured is filled or solid, reported hatched, dashed or hollow, everywhere. Layouts are set by hand, since
matplotlib's own layout engines draw every figure several times.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import pairwise
from math import cos, floor, log10, pi, radians, sin
from typing import TYPE_CHECKING, Any

from lrbench.methods.presets import PRESETS, UNTRAINED
from lrbench.results.studies.figures import (
    Bars,
    Figure,
    Histogram,
    Lines,
    Panel,
    Point,
    Radar,
    Scatter,
    Series,
)
from lrbench.results.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

FORMATS = ("png", "svg", "pdf")
# Raised whenever the same data would be drawn otherwise.
VERSION = 1
DOTS_PER_INCH = 130
LONGEST_LABEL = 40
NOTHING = "nothing measured yet"
SETTINGS = {
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "svg.hashsalt": "lrbench",
    "svg.fonttype": "none",
    "pdf.compression": 6,
    "hatch.linewidth": 0.6,
    # Names are text: a dollar sign begins no formula.
    "text.parse_math": False,
}
# Okabe and Ito's colours, told apart without full colour vision.
COLOURS = {
    **{preset.name: preset.colour.printed for preset in PRESETS if preset.colour is not None},
    "measured": "#0072b2",
    "reported": "#8c8c8c",
}
POINTS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
OTHERS = ("#332288", "#88ccee", "#117733", "#ddcc77", "#aa4499", "#882255")
REPORTED = ", reported"
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


def draw(figure: Figure) -> dict[str, bytes]:
    """The figure in every format of `FORMATS`, by format."""
    import matplotlib

    with matplotlib.rc_context(SETTINGS):
        match figure:
            case Radar():
                drawing = _radar(figure)
            case Bars():
                drawing = _bars(figure)
            case Scatter():
                drawing = _scatter(figure)
            case Histogram():
                drawing = _histogram(figure)
            case Lines():
                drawing = _lines(figure)
        return {form: _saved(drawing, form) for form in FORMATS}


def _saved(drawing: Drawing, form: str) -> bytes:
    stream = io.BytesIO()
    drawing.savefig(stream, format=form, metadata=_METADATA[form])
    return stream.getvalue()


def _drawing(width: float, height: float) -> Drawing:
    # The figure is drawn by its own canvas: pyplot would bring a display's backend and global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(drawing)
    return drawing


def _grid(
    count: int, width: float, height: float, named: Iterable[str], under: float = 0.5
) -> tuple[Drawing, list[Axes]]:
    """A drawing with `count` panels of so many inches each, three in a row, and room for a legend below.

    `named` are the legend's names; `under` is the room for what stands under an axis.
    """
    across = min(count, 3) or 1
    down = -(-count // across) or 1
    whole = max(width * across, 4.2)
    names = list(dict.fromkeys(map(_label, named)))
    legend = 0.2 + 0.19 * -(-len(names) // _legend_columns(names, whole))
    total = height * down + legend
    drawing = _drawing(whole, total)
    axes = [drawing.add_subplot(down, across, place + 1) for place in range(max(count, 1))]
    inner = height - under - 0.4
    drawing.subplots_adjust(
        left=0.82 / drawing.get_figwidth(),
        right=1 - 0.2 / drawing.get_figwidth(),
        top=1 - 0.4 / total,
        bottom=(legend + under) / total,
        wspace=0.34,
        hspace=(under + 0.4) / inner,
    )
    return drawing, axes


def _radar(figure: Radar) -> Drawing:
    # By hand: matplotlib's polar axes take ten times as long to draw.
    drawing, panels = _grid(len(figure.panels), 3.3, 3.1, _series_names(figure.panels), under=0.25)
    for axes, panel in zip(panels, figure.panels, strict=False):
        around = [
            (sin(2 * pi * place / len(panel.across)), cos(2 * pi * place / len(panel.across)))
            for place in range(len(panel.across))
        ]
        for ring in (25, 50, 75, 100):
            _polygon(axes, around, [ring] * len(around), color="#cccccc", linewidth=0.6)
            axes.text(0, ring, str(ring), fontsize=6, color="#777777", ha="center", va="center")
        for (right, up), name in zip(around, panel.across, strict=True):
            axes.plot([0, 100 * right], [0, 100 * up], color="#cccccc", linewidth=0.6)
            side = "center" if abs(right) < 0.1 else "left" if right > 0 else "right"
            axes.text(108 * right, 112 * up, _label(name), fontsize=7.5, ha=side, va="center")
        for series in panel.series:
            values = [float("nan") if value is None else value for value in series.values]
            _polygon(axes, around, values, label=_label(series.label), **_line_style(series))
        axes.set(xlim=(-150, 150), ylim=(-112, 125), aspect="equal")
        axes.set_axis_off()
        _title(axes, panel.title)
        _if_empty(axes, panel.series)
    _legend(drawing, panels)
    return drawing


def _polygon(axes: Axes, around: list[tuple[float, float]], values: list[float], **style: Any) -> None:
    """A closed line through `values` in the directions `around`."""
    across = [value * right for value, (right, _) in zip(values, around, strict=True)]
    upwards = [value * up for value, (_, up) in zip(values, around, strict=True)]
    axes.plot([*across, across[0]], [*upwards, upwards[0]], **style)


def _bars(figure: Bars) -> Drawing:
    bars = max((len(panel.across) * max(len(panel.series), 1) for panel in figure.panels), default=1)
    width = max(3.1, min(9.0 / min(max(len(figure.panels), 1), 2), 0.9 + 0.34 * bars))
    longest = max(
        (len(name) for panel in figure.panels if _turned(panel) for name in panel.across), default=0
    )
    # What a turned name takes below the axis, by the sine of its angle.
    depth = 0.07 * sin(radians(max(map(_turn, figure.panels), default=0)))
    under = 0.35 + depth * min(longest, LONGEST_LABEL)
    drawing, panels = _grid(len(figure.panels), width, 2.4 + under, _series_names(figure.panels), under)
    for axes, panel in zip(panels, figure.panels, strict=False):
        _draw_bars(axes, panel)
        _title(axes, panel.title)
        _name_axes(axes, "", panel.unit)
        if figure.logarithmic and panel.series:
            _logarithmic(axes, [value for series in panel.series for value in series.values if value])
        _plain_axes(axes)
        _if_empty(axes, panel.series)
    _legend(drawing, panels)
    return drawing


def _turned(panel: Panel) -> bool:
    """Whether the names under the bars need to be turned to stand side by side."""
    return max(map(len, panel.across), default=0) * len(panel.across) > 30


def _turn(panel: Panel) -> int:
    """By how many degrees the names under the bars are turned: many need less room when they are steep."""
    return 0 if not _turned(panel) else 25 if len(panel.across) <= 8 else 60


def _logarithmic(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis from the power of ten below the smallest value, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(bottom=10 ** floor(log10(min(values) / 1.5)) if values else None)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_bars(axes: Axes, panel: Panel) -> None:
    width = 0.8 / max(len(panel.series), 1)
    for number, series in enumerate(panel.series):
        places = [
            place + (number - (len(panel.series) - 1) / 2) * width for place in range(len(panel.across))
        ]
        shown = [
            (place, value, low, high)
            for place, value, low, high in zip(
                places,
                series.values,
                series.low or [None] * len(places),
                series.high or [None] * len(places),
                strict=True,
            )
            if value is not None
        ]
        if not shown:
            continue
        colour = _colour(series.label)
        look: dict[str, Any] = {"color": colour}
        if series.reported:
            look = {"color": "white", "edgecolor": colour, "hatch": "////"}
        heights = [value for _, value, _, _ in shown]
        axes.bar([place for place, *_ in shown], heights, width * 0.92, label=_label(series.label), **look)
        bounded = [(place, value, low, high) for place, value, low, high in shown if low is not None]
        if bounded:
            axes.errorbar(
                [place for place, *_ in bounded],
                [value for _, value, _, _ in bounded],
                [
                    [value - low for _, value, low, _ in bounded],
                    [(high or value) - value for _, value, _, high in bounded],
                ],
                fmt="none",
                ecolor="black",
                elinewidth=0.9,
                capsize=2,
            )
    turned: dict[str, Any] = {"rotation": _turn(panel), "ha": "right", "rotation_mode": "anchor"}
    axes.set_xlim(-0.5, len(panel.across) - 0.5)
    axes.set_xticks(range(len(panel.across)))
    axes.set_xticklabels(
        [_label(name) for name in panel.across], fontsize=7.5, **(turned if _turned(panel) else {})
    )


def _scatter(figure: Scatter) -> Drawing:
    names = dict.fromkeys(point.label for _, points, _ in figure.panels for point in points)
    colours = {name: POINTS[place % len(POINTS)] for place, name in enumerate(names)}
    listed = [_point_name(point) for _, points, _ in figure.panels for point in points]
    drawing, panels = _grid(len(figure.panels), 4.2, 3.0, [UNTRAINED.name, *listed])
    for axes, (title, points, base) in zip(panels, figure.panels, strict=False):
        for point in points:
            colour = colours[point.label]
            errors = None
            if point.low is not None and point.high is not None:
                errors = [[point.up - point.low], [point.high - point.up]]
            axes.errorbar(
                [point.across],
                [point.up],
                yerr=errors,
                fmt="o",
                color=colour,
                markerfacecolor="white" if point.reported else colour,
                capsize=2,
                label=_label(_point_name(point)),
            )
        if base is not None:
            colour = COLOURS[UNTRAINED.name]
            axes.axhline(base, color=colour, linewidth=0.9, linestyle=":", label=UNTRAINED.name)
        axes.margins(x=0.15, y=0.22)
        _title(axes, title)
        _name_axes(axes, figure.across, figure.up)
        _plain_axes(axes)
        _if_empty(axes, points)
    _legend(drawing, panels)
    return drawing


def _point_name(point: Point) -> str:
    return f"{point.label}{REPORTED}" if point.reported else point.label


def _series_names(panels: Iterable[Panel]) -> list[str]:
    return [series.label for panel in panels for series in panel.series]


def _histogram(figure: Histogram) -> Drawing:
    drawing, panels = _grid(len(figure.panels), 4.2, 2.9, ["beta"])
    for axes, (title, edges, counts) in zip(panels, figure.panels, strict=False):
        # Bins are not equally wide, so each is drawn as wide as any other and its edges are named.
        shares = [100 * count / max(sum(counts), 1) for count in counts]
        axes.bar([place + 0.5 for place in range(len(counts))], shares, 0.94, color=COLOURS["measured"])
        axes.set_xticks(range(0, len(edges), 2))
        axes.set_xticklabels([f"{edge:g}" for edge in edges[::2]], fontsize=7)
        if figure.mark is not None:
            mark = f"beta {figure.mark:g}"
            place = _place_of(figure.mark, edges)
            axes.axvline(place, color="black", linewidth=0.9, linestyle="--", label=mark)
        _title(axes, title)
        _name_axes(axes, figure.across, figure.up)
        _plain_axes(axes)
    if not figure.panels:
        _if_empty(panels[0], ())
    _legend(drawing, panels)
    return drawing


def _place_of(value: float, edges: tuple[float, ...]) -> float:
    """Where `value` lies when every bin is one wide."""
    for place, (low, high) in enumerate(pairwise(edges)):
        if low <= value <= high:
            return place + (value - low) / (high - low)
    return 0.0 if value < edges[0] else len(edges) - 1.0


def _lines(figure: Lines) -> Drawing:
    names = [label for _, curves in figure.panels for label, _ in curves]
    drawing, panels = _grid(len(figure.panels), 3.8, 2.9, names)
    for axes, (title, curves) in zip(panels, figure.panels, strict=False):
        for label, points in curves:
            axes.plot(
                [update for update, _ in points],
                [value for _, value in points],
                color=_colour(label),
                linewidth=1.1,
                label=_label(label),
            )
        _title(axes, title)
        _name_axes(axes, figure.across, figure.up)
        _plain_axes(axes)
        _if_empty(axes, curves)
    _legend(drawing, panels)
    return drawing


def _line_style(series: Series) -> dict[str, Any]:
    style: dict[str, Any] = {"color": _colour(series.label), "linewidth": 1.4}
    return style | ({"linestyle": "--", "linewidth": 1.0} if series.reported else {})


def _colour(label: str) -> str:
    name = label.removesuffix(REPORTED)
    if name in COLOURS:
        return COLOURS[name]
    return OTHERS[sum(map(ord, name)) % len(OTHERS)]


def _label(text: str) -> str:
    return plain(text, LONGEST_LABEL)


def _title(axes: Axes, text: str) -> None:
    # At a fixed height: looking for a free one measures every label of the axes each time.
    axes.set_title(_label(text), y=1.02)


def _name_axes(axes: Axes, across: str, up: str) -> None:
    # In fixed places, as the title is.
    axes.set_xlabel(_label(across))
    axes.set_ylabel(_label(up))
    box = axes.get_window_extent()
    axes.xaxis.set_label_coords(0.5, -0.27 * DOTS_PER_INCH / box.height)
    axes.yaxis.set_label_coords(-0.56 * DOTS_PER_INCH / box.width, 0.5)


def _plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _if_empty(axes: Axes, shown: Iterable[object]) -> None:
    if not list(shown):
        axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", va="center", color="#666666")


def _legend_columns(names: list[str], width: float) -> int:
    """How many names of a legend stand side by side in so many inches."""
    widest = 0.55 + 0.066 * max(map(len, names), default=0)
    return max(1, min(len(names), int(width / widest)))


def _legend(drawing: Drawing, panels: list[Axes]) -> None:
    """One legend below, each name once."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        drawing.legend(
            entries.values(),
            entries.keys(),
            loc="lower center",
            ncols=_legend_columns(list(entries), drawing.get_figwidth()),
            frameon=False,
            fontsize=7.5,
        )
