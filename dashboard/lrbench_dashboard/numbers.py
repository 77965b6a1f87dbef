"""Numbers as HTML: an accuracy with its interval drawn, a difference with what it can carry."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from lrbench.results.statistics import Comparison, Estimate
from lrbench.results.web.text import name_html
from lrbench.results.wording import difference_text, forgetting_text, interval_text, p_text, runs_differ_text

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
    """A difference in points behind the sign of its verdict, with its p where separated; all in its title."""
    if comparison is None:
        return NONE
    sign, word = _SIGNS[verdict_of(comparison)]
    points, p = points_text(comparison.difference), p_text(comparison.p_adjusted)
    interval = comparison.interval
    title = (
        f"{word}: 95% interval {points_text(interval.low)} to {points_text(interval.high)} points, {p}"
        f"{runs_differ_text(comparison)}"
    )
    way = f"lr-{verdict_of(comparison)}" if comparison.separated else "lr-muted"
    more = f" <small>{p}</small>" if comparison.separated else ""
    return (
        f'<span class="{way}" title="{title}"><span aria-hidden="true">{sign}</span>'
        f'<span class="lr-unseen"> {word}</span> {points}{more}</span>'
    )


def verdict_of(found: Comparison) -> str:
    """`up`, `down`, `equivalent` or `inconclusive`."""
    if not found.separated:
        return found.verdict
    return "up" if found.difference > 0 else "down"


# What each verdict looks like without colours, and what it is called.
_SIGNS = {
    "up": ("▲", "better"),
    "down": ("▼", "worse"),
    "equivalent": ("≈", "equivalent"),
    "inconclusive": ("?", "inconclusive"),
}
_AFTER = {"up": "than", "down": "than", "equivalent": "to", "inconclusive": "against"}


def verdict_word_html(found: Comparison) -> str:
    """`▲ better than`, `▼ worse than`, `≈ equivalent to`, `? inconclusive against`."""
    verdict = verdict_of(found)
    sign, word = _SIGNS[verdict]
    style = verdict if found.separated else "muted"
    return f'<b class="lr-{style}"><span aria-hidden="true">{sign}</span> {word}</b> {_AFTER[verdict]}'


def verdict_html(found: Comparison, baseline: str) -> str:
    """A verdict against a baseline, over the difference with its interval and p."""
    low, high = points_text(found.interval.low), points_text(found.interval.high)
    more = runs_differ_text(found)
    return (
        f'<span class="lr-said">{verdict_word_html(found)} {name_html(baseline, 24)}</span>'
        f'<span class="lr-points">{points_text(found.difference)} <small>[{low}, {high}]</small></span>'
        f'<small class="lr-muted">{p_text(found.p)}{name_html(more, 80)}</small>'
    )
