"""What probes found, in words for people: both ways to answer, their difference, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lrbench.evaluation.statistics import (
    EQUIVALENCE_MARGIN,
    POINTS,
    POWER,
    Estimate,
    items_to_separate,
    wilson_interval,
)
from lrbench.pipeline.probing.probe import Probe, Written
from lrbench.results.wording import accuracy_text, p_text


def lines_of(probes: Sequence[Probe]) -> Iterator[str]:
    """The lines to print of all probes."""
    for probe in probes:
        yield from _lines(probe)
        yield ""
    holm = f"; p, not the intervals, adjusted over the {len(probes)} probes (Holm)" if len(probes) > 1 else ""
    yield (
        "Accuracy in percent, 95% intervals (Wilson); differences in points on the same problems, McNemar's "
        f"mid-p{holm}. Training problems were asked and no item of a benchmark; nothing is recorded."
    )


def _lines(probe: Probe) -> Iterator[str]:
    pair, comparison = probe.pair, probe.comparison
    yield (
        f"{pair.expert.name} with {pair.amateur.model.name}: {probe.flips.n} of the {pair.available} "
        f"training problems of {pair.problems.source}, at most {pair.asked_as.max_new_tokens} tokens an "
        "answer"
    )
    yield f"  alone       {_written_text(probe.alone)}"
    yield f"  together    {_written_text(probe.together)}"
    share = probe.together.contrasted / max(1, probe.together.tokens)
    yield f"              {pair.answer.label}: at {share:.0%} of the tokens"
    low, high = comparison.interval.low, comparison.interval.high
    difference = f"{comparison.difference:+.1f} [{low:+.1f}, {high:+.1f}], {p_text(comparison.p_adjusted)}"
    yield f"  difference  {difference}: {probe.flips.won} won, {probe.flips.lost} lost"
    yield f"  {verdict_text(probe)}"


def _written_text(written: Written) -> str:
    """`38.3 [27.1, 51.0] right, 14.6 tokens an answer, forward passes: expert 876 (1.2 s)`."""
    n, right = len(written.outcomes), written.outcomes.count("1")
    accuracy = accuracy_text(Estimate(right / n, wilson_interval(right, n)))
    passes = ", ".join(f"{name} {count:,}" for name, count in sorted(written.passes.items()))
    return (
        f"{accuracy} right, {written.tokens / n:.1f} tokens an answer, forward passes: {passes or 'none'} "
        f"({written.seconds:.1f} s)"
    )


def verdict_text(probe: Probe) -> str:
    """Better, worse, equivalent or inconclusive, and what follows for who wants to train."""
    comparison = probe.comparison
    if comparison.separated and comparison.difference > 0:
        return "separated better: this pair has something to teach its expert."
    if comparison.separated:
        return "separated worse: together they lose; no sign that this pair has anything to teach."
    if comparison.verdict == "equivalent":
        return (
            f"equivalent within {EQUIVALENCE_MARGIN:g} points: no sign that this pair has anything to teach."
        )
    return f"inconclusive, which is not equal: {_needed_text(probe)}"


def _needed_text(probe: Probe) -> str:
    """How many problems would decide it."""
    flips, difference = probe.flips, probe.comparison.difference
    if not flips.discordance:
        return "no verdict on any answer changed, so nothing says how many problems it would take."
    needed = items_to_separate(difference, flips.discordance)
    if needed is None:
        return "as many answers were won as lost, and no number of problems separates that."
    more = "--items" if needed <= probe.pair.available else "--items, and more of data.problems"
    return (
        f"{needed:,} problems ({more}) would separate a difference like this one in {POWER * POINTS:.0f}% of "
        "probes of this pair alone."
    )
