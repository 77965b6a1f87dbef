"""The figures kept with a run: PNG bytes that are equal for equal numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lrbench.evaluation.statistics import Estimate

SIZE_INCHES = (6.4, 4.0)
DOTS_PER_INCH = 120
COLOUR = "#1f6f8b"


@dataclass(frozen=True)
class Series:
    """One arm's accuracies, a share with its interval per column; None where it was not measured."""

    name: str
    estimates: Sequence[Estimate | None]


def curve_plot(title: str, points: Sequence[tuple[int, float]]) -> bytes:
    """A training curve by update, with its `title` at the axis."""
    figure, axes = _figure("update", title, "Training")
    axes.plot([update for update, _ in points], [value for _, value in points], color=COLOUR, linewidth=1.4)
    return _png(figure)


def accuracy_plot(columns: Sequence[str], series: Sequence[Series]) -> bytes:
    """Accuracy of every arm in every column, in percent with its interval."""
    figure, axes = _figure("", "accuracy (%)", "Accuracy with 95% intervals")
    width = 0.8 / max(len(series), 1)
    for position, one in enumerate(series):
        shown = [(place, found) for place, found in enumerate(one.estimates) if found is not None]
        below = [100 * (found.value - found.interval.low) for _, found in shown]
        above = [100 * (found.interval.high - found.value) for _, found in shown]
        axes.errorbar(
            [place - 0.4 + (position + 0.5) * width for place, _ in shown],
            [100 * found.value for _, found in shown],
            yerr=[[max(0.0, size) for size in below], [max(0.0, size) for size in above]],
            fmt="o",
            markersize=4,
            capsize=2,
            label=one.name,
        )
    axes.set_xticks(range(len(columns)), columns, rotation=25, ha="right")
    axes.set_ylim(-2, 102)
    if series:
        axes.legend(fontsize="small")
    return _png(figure)


def kl_histogram_plot(edges: Sequence[float], counts: Sequence[int]) -> bytes:
    """How many steps have which KL(expert || amateur); `edges` (nats) are one more than `counts`."""
    figure, axes = _figure("KL(expert || amateur), nats", "steps", "Divergence by step")
    axes.stairs(counts, edges, fill=True, color=COLOUR)
    if any(counts):
        axes.set_yscale("log")
    return _png(figure)


def _figure(across: str, up: str, title: str) -> tuple[Figure, Axes]:
    # The figure is drawn by Agg itself: pyplot would bring a display's backend and global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlabel=across, ylabel=up, title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
