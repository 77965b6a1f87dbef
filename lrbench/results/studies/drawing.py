"""Drawing a study's figures, in print on white: bytes that are equal for equal data.

Measured is filled or solid, reported hatched, dashed or hollow, everywhere. Layouts are set by hand, since
matplotlib's own layout engines draw every figure several times.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from math import pi
from typing import TYPE_CHECKING, Any

from lrbench.results.studies.figures import (
    Bars,
    Figure,
    Histogram,
    Lines,
    Panel,
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
    "base": "#7f7f7f",
    "sft": "#e69f00",
    "lightr": "#0072b2",
    "no_selection": "#56b4e9",
    "no_contrast": "#d55e00",
    "neither": "#cc79a7",
    "ground_truth": "#009e73",
    "measured": "#0072b2",
    "reported": "#8c8c8c",
}
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


def _grid(count: int, width: float, height: float, polar: bool = False) -> tuple[Drawing, list[Axes]]:
    """A drawing with `count` panels of so many inches each, three in a row, and room for a legend below."""
    across = min(count, 3) or 1
    down = -(-count // across) or 1
    legend = 0.62
    total = height * down + legend
    drawing = _drawing(max(width * across, 4.2), total)
    settings = {"projection": "polar"} if polar else {}
    axes = [drawing.add_subplot(down, across, place + 1, **settings) for place in range(max(count, 1))]
    drawing.subplots_adjust(
        left=0.62 / drawing.get_figwidth(),
        right=1 - 0.2 / drawing.get_figwidth(),
        top=1 - 0.42 / total,
        bottom=(legend + 0.52) / total,
        wspace=0.34,
        hspace=0.62,
    )
    return drawing, axes


def _radar(figure: Radar) -> Drawing:
    drawing, panels = _grid(len(figure.panels), 3.1, 2.9, polar=True)
    axes: Any
    for axes, panel in zip(panels, figure.panels, strict=False):
        angles = [2 * pi * place / len(panel.across) for place in range(len(panel.across))]
        for series in panel.series:
            values = [float("nan") if value is None else value for value in series.values]
            style = _line_style(series)
            axes.plot([*angles, angles[0]], [*values, values[0]], label=_label(series.label), **style)
        axes.set_theta_offset(pi / 2)
        axes.set_theta_direction(-1)
        axes.set_xticks(angles, [_label(name) for name in panel.across], fontsize=7.5)
        axes.tick_params(axis="x", pad=1)
        axes.set_ylim(0, 100)
        axes.set_yticks([25, 50, 75, 100], ["25", "50", "75", "100"], fontsize=6.5, color="#666666")
        axes.grid(alpha=0.35)
        axes.set_title(_label(panel.title), pad=12)
        _if_empty(axes, panel.series)
    _legend(drawing, panels)
    return drawing


def _bars(figure: Bars) -> Drawing:
    bars = max((len(panel.across) * len(panel.series) for panel in figure.panels), default=1)
    drawing, panels = _grid(len(figure.panels), max(3.1, min(6.5, 0.9 + 0.34 * bars)), 2.9)
    for axes, panel in zip(panels, figure.panels, strict=False):
        _draw_bars(axes, panel)
        axes.set_title(_label(panel.title))
        axes.set_ylabel(_label(panel.unit))
        if figure.logarithmic and panel.series:
            axes.set_yscale("log")
        _plain_axes(axes)
        _if_empty(axes, panel.series)
    _legend(drawing, panels)
    return drawing


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
    turned = max(map(len, panel.across), default=0) * len(panel.across) > 30
    turning: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticks(range(len(panel.across)))
    axes.set_xticklabels([_label(name) for name in panel.across], fontsize=7.5, **turning)


def _scatter(figure: Scatter) -> Drawing:
    drawing, panels = _grid(len(figure.panels), 3.6, 3.0)
    for axes, (title, points, base) in zip(panels, figure.panels, strict=False):
        for point in points:
            colour = COLOURS["reported" if point.reported else "measured"]
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
                label="reported" if point.reported else "measured",
            )
            axes.annotate(
                _label(point.label),
                (point.across, point.up),
                xytext=(4, 5),
                textcoords="offset points",
                fontsize=7,
            )
        if base is not None:
            axes.axhline(base, color=COLOURS["base"], linewidth=0.9, linestyle=":", label="base")
        axes.margins(x=0.28, y=0.22)
        axes.set(title=_label(title), xlabel=_label(figure.across), ylabel=_label(figure.up))
        _plain_axes(axes)
        _if_empty(axes, points)
    _legend(drawing, panels)
    return drawing


def _histogram(figure: Histogram) -> Drawing:
    drawing, panels = _grid(len(figure.panels), 3.8, 2.8)
    for axes, (title, edges, counts) in zip(panels, figure.panels, strict=False):
        axes.stairs(counts, edges, fill=True, color=COLOURS["measured"], label="steps")
        axes.set_xlim(edges[0], _last_filled(edges, counts))
        if any(counts):
            axes.set_yscale("log")
        if figure.mark is not None:
            axes.axvline(
                figure.mark, color="black", linewidth=0.9, linestyle="--", label=f"beta {figure.mark:g}"
            )
        axes.set(title=_label(title), xlabel=_label(figure.across), ylabel=_label(figure.up))
        _plain_axes(axes)
    if not figure.panels:
        _if_empty(panels[0], ())
    _legend(drawing, panels)
    return drawing


def _lines(figure: Lines) -> Drawing:
    drawing, panels = _grid(len(figure.panels), 3.8, 2.9)
    for axes, (title, curves) in zip(panels, figure.panels, strict=False):
        for label, points in curves:
            axes.plot(
                [update for update, _ in points],
                [value for _, value in points],
                color=_colour(label),
                linewidth=1.1,
                label=_label(label),
            )
        axes.set(title=_label(title), xlabel=_label(figure.across), ylabel=_label(figure.up))
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


def _last_filled(edges: tuple[float, ...], counts: tuple[int, ...]) -> float:
    filled = [place for place, count in enumerate(counts) if count]
    return edges[filled[-1] + 1] if filled else edges[-1]


def _plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _if_empty(axes: Axes, shown: Iterable[object]) -> None:
    if not list(shown):
        axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", va="center", color="#666666")


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
            ncols=min(len(entries), max(2, int(drawing.get_figwidth() / 1.35))),
            frameon=False,
            fontsize=7.5,
        )
