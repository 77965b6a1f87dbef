"""How a study's numbers and caveats are put into words."""

from __future__ import annotations

from lrbench.evaluation.statistics import EQUIVALENCE_MARGIN, Comparison, Interval
from lrbench.results.reported import ReportedResult
from lrbench.results.studies.measures import Accuracy
from lrbench.results.wording import difference_within_text, p_text, runs_differ_text

REPORTED_NOTE = (
    "Rows marked reported are the paper's numbers ({source}), not measurements; their n is the size of the "
    "public test set and their 95% interval follows from rate and n (Wilson, for the average the bootstrap). "
    "Measured is set against reported as independent samples, since items cannot be paired. One seed: two "
    "proportions (Newcombe's interval, score test); several: the interval of the seeds' mean and the "
    "reported one combined (MOVER), and p from that. Holm over the benchmarks; averages are not tested "
    "against reported ones. The protocols "
    "may differ: prompt, answer extraction, engine and precision of the paper's evaluation are not those of "
    "the suite."
)
ACCURACY_NOTE = (
    "Accuracy in percent with its 95% interval. One seed: Wilson, for the average the stratified bootstrap; "
    "they say nothing of other seeds. Several seeds: mean over the seeds, with an interval that counts the "
    "variance between seeds beside that of the items. Bold: the best of its column, separated from "
    "every other arm at 5%, Holm over the columns shown, the average among them."
)
DIFFERENCE_NOTE = (
    "Differences in points on the same items with their 95% interval. One seed of each arm: McNemar's mid-p, "
    "for the average sign-flip permutation, and that is about these runs, not about training like this. "
    "Several: all seeds of both, by the variance of items and of the seeds of all arms of the expert. Holm "
    "over the benchmarks. inconclusive: not separated at 5%, which is not equal; equivalent: within "
    f"{EQUIVALENCE_MARGIN:g} points at 5%, two one-sided tests; these runs differ: on other items, which "
    "says nothing of other seeds."
)


def share_text(value: float, interval: Interval) -> str:
    """`71.6 [68.6, 74.4]`, in percent."""
    return f"{100 * value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def accuracy_text(accuracy: Accuracy | None) -> str:
    """An accuracy with its interval; empty where nothing was measured."""
    return "" if accuracy is None else share_text(accuracy.value, accuracy.interval)


def reported_text(reported: ReportedResult, column: str) -> str:
    """`70.6 [68.1, 73.0], n 1319`, in percent; empty where the paper has no number for `column`."""
    estimate = reported.printed(column)
    return (
        "" if estimate is None else f"{share_text(estimate.value, estimate.interval)}, n {reported.n(column)}"
    )


def comparison_text(comparison: Comparison | None) -> str:
    """`+9.7 [+7.1, +12.3] p 0.002`, `equivalent within 2: ...` or `inconclusive: ...`; empty for None."""
    if comparison is None:
        return ""
    text = difference_within_text(comparison)
    if not comparison.separated:
        within = f" within {EQUIVALENCE_MARGIN:g}" if comparison.verdict == "equivalent" else ""
        return f"{comparison.verdict}{within}: {text}{runs_differ_text(comparison)}"
    return f"{text} {p_text(comparison.p_adjusted)}"


def short_model(name: str) -> str:
    """A model's name without its owner."""
    return name.rpartition("/")[2] or name
