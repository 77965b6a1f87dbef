"""What the tokens of answers say: how likely the arm's model finds them, and when they were first right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrbench.evaluation.statistics import (
    Estimate,
    mean_of,
    ratio,
    share_of,
    tokens_after_first_right,
)
from lrbench.results.confidences import Confidences, units_of, worth_of

if TYPE_CHECKING:
    from lrbench.results.rows import Cell


@dataclass(frozen=True)
class Traced:
    """The traces of `n` answers; the draws of an item, or of a group, are one unit of every interval.

    `nats_per_token` is the negative log-likelihood of all tokens over their number, None without any.
    `tokens` is how long answers are, `right_once` the share of which any beginning was right, and `beyond`
    how many tokens those went on for. `cut` is the share cut at the length limit. `likelihood` is the mean
    probability of an answer's tokens (geometric) as a confidence that it is right. `weighed` is
    `nats_per_token` with every token weighed by another model's confidence, None where none was asked.
    """

    n: int
    nats_per_token: Estimate | None
    tokens: Estimate
    right_once: Estimate
    beyond: Estimate | None
    cut: Estimate
    likelihood: Confidences
    weighed: Estimate | None = None


def traced_in(cells: Sequence[Cell]) -> Traced | None:
    """The traces of the answers to all items; None where one of the results was recorded without."""
    nll: list[float] = []
    scored: list[int] = []
    tokens: list[int] = []
    first_right: list[int | None] = []
    cut: list[bool] = []
    right: list[bool] = []
    groups: list[str] = []
    weighed_nll: list[float] = []
    weight: list[float] = []
    for cell in cells:
        traces = cell.score.traces
        if traces is None:
            return None
        for draw, outcomes in enumerate(cell.score.outcomes):
            nll += traces.nll[draw]
            scored += traces.scored[draw]
            tokens += traces.tokens[draw]
            first_right += traces.first_right[draw]
            cut += [one == "1" for one in traces.truncated[draw]]
            right += [one == "1" for one in outcomes]
            groups += units_of(cell)
            if traces.weighed_nll is not None and traces.weight is not None:
                weighed_nll += traces.weighed_nll[draw]
                weight += traces.weight[draw]
    if not nll:
        return None
    likely = [math.exp(-sum_ / count) if count else None for sum_, count in zip(nll, scored, strict=True)]
    return Traced(
        n=len(nll),
        nats_per_token=ratio(nll, scored, groups) if any(scored) else None,
        tokens=mean_of(tokens, groups),
        right_once=share_of([place is not None for place in first_right], groups),
        beyond=tokens_after_first_right(tokens, first_right, groups),
        cut=share_of(cut, groups),
        likelihood=worth_of(likely, right, groups),
        weighed=ratio(weighed_nll, weight, groups) if any(weight) and len(weight) == len(nll) else None,
    )
