"""Numbers as HTML: an accuracy with its interval drawn, a difference with what it can carry."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from lrbench.results.statistics import Comparison, Estimate
from lrbench.results.wording import difference_text, forgetting_text, interval_text, p_text, runs_differ_text
from lrbench_dashboard.text import name_html

PENDING = '<span class="lr-muted">…</span>'
BEST = "best"
BEST_OF_RUNS = "best of these runs"
UNDECIDED = "inconclusive"
NONE = '<span class="lr-muted">–</span>'


@dataclass(frozen=True)
class Scale:
    """The range that a column's bars span, in percent."""

    low: float
    high: float

    def at(self, share: float) -> float:
        """Where `share` lies on the scale, in percent of its length, and never outside."""
        width = max(self.high - self.low, 1.0)
        return min(100.0, max(0.0, (100 * share - self.low) / width * 100))


def scale_of(estimates: list[Estimate]) -> Scale:
    """From the lowest bound to the highest, outwards to the next 5 percent."""
    if not estimates:
        return Scale(0, 100)
    low = min(100 * estimate.interval.low for estimate in estimates)
    high = max(100 * estimate.interval.high for estimate in estimates)
    return Scale(5 * floor(low / 5), 5 * ceil(high / 5))


def accuracy_html(estimate: Estimate | None, scale: Scale, tag: str = "") -> str:
    """An accuracy in percent, how it is marked (`tag`) beside it, and its interval as a bar on `scale`."""
    if estimate is None:
        return NONE
    low, high, at = (
        scale.at(share) for share in (estimate.interval.low, estimate.interval.high, estimate.value)
    )
    value = f"{100 * estimate.value:.1f}"
    if tag:
        style = "lr-undecided" if tag == UNDECIDED else "lr-best" if tag == BEST else "lr-best lr-of-runs"
        value = f'<span class="{style}" title="{tag}">{value}<span class="lr-unseen"> {tag}</span></span>'
    return (
        f'<span class="lr-value">{value}</span>'
        f'<span class="lr-bar" style="--low:{low:.1f}%;--high:{high:.1f}%;--at:{at:.1f}%" '
        f'title="95% interval {interval_text(estimate)}"></span>'
        f'<span class="lr-interval">{interval_text(estimate)}</span>'
    )


def points_text(difference: float) -> str:
    """`+3.0`, `−1.2`, `0.0`: points with a sign that is as wide as a plus."""
    return difference_text(difference).replace("-", "−")


def forgetting_html(suite: str, comparison: Comparison | None) -> str:
    """What was lost on a second suite: the difference from the untrained expert with its interval."""
    if comparison is None:
        return NONE
    way = "lr-muted"
    if comparison.separated:
        way = "lr-up" if comparison.difference > 0 else "lr-down"
    points, _, interval = forgetting_text(comparison).replace("-", "−").partition(" ")
    return f'<span class="{way}" title="on {name_html(suite)}">{points} <small>{interval}</small></span>'


def difference_html(comparison: Comparison | None) -> str:
    """A difference in points: with its p where separated, muted and with its verdict where not."""
    if comparison is None:
        return NONE
    points = points_text(comparison.difference)
    interval = comparison.interval
    p = p_text(comparison.p_adjusted)
    title = f"95% interval {points_text(interval.low)} to {points_text(interval.high)} points, {p}"
    if comparison.separated:
        way = "up" if comparison.difference > 0 else "down"
        return f'<span class="lr-{way}" title="{title}">{points} <small>{p}</small></span>'
    # On one line it would be wider than all that is said of other arms.
    said = f"{comparison.verdict}{runs_differ_text(comparison)}".replace("; ", ";<br>").replace(
        ", p", ",<br>p"
    )
    return f'<span class="lr-muted" title="{title}">{points} <small>{said}</small></span>'
