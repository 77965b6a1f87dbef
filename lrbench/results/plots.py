"""The figures kept with a run: PNG bytes that are equal for equal numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCHES = (6.4, 4.0)
DOTS_PER_INCH = 120
COLOUR = "#1f6f8b"


def loss_plot(loss: Sequence[tuple[int, float]]) -> bytes:
    """Training loss (nats per kept step) by update."""
    figure, axes = _figure("update", "loss (nats)", "Training loss")
    axes.plot([update for update, _ in loss], [value for _, value in loss], color=COLOUR, linewidth=1.4)
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
