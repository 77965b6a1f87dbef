"""What two comparisons say together: only what both of them say."""

from __future__ import annotations

from dataclasses import replace

from lrbench.evaluation.statistics.values import Comparison


def weaker(own: Comparison, other: Comparison) -> Comparison:
    """The one of two that says less, where both are to hold; `own` of two that say as much.

    Of two that are separated the same way it is the one with the larger p, of two equivalent ones that with
    the larger p of equivalence. Where one says that there is a difference and the other none, or another,
    nothing is decided.
    """
    runs = own.runs if own.runs is None or other.runs is None else weaker(own.runs, other.runs)
    if _said(own) != _said(other):
        undecided = next((one for one in (own, other) if one.verdict == "inconclusive"), None)
        found = undecided or replace(own, p=1.0, p_adjusted=1.0, p_equivalent=1.0)
    elif own.separated:
        found = max(own, other, key=lambda one: one.p_adjusted)
    else:
        found = max(own, other, key=lambda one: one.p_equivalent)
    return replace(found, runs=runs)


def _said(one: Comparison) -> tuple[str, bool]:
    return one.verdict, one.separated and one.difference > 0
