"""What confidences are worth: the share of votes that agree, and how sure answers say they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lrbench.evaluation.statistics import Calibration, Estimate, calibration, mean_share, share_of

if TYPE_CHECKING:
    from lrbench.results.rows import Cell


@dataclass(frozen=True)
class Confidences:
    """What the confidences of answers are worth.

    `share` is that of the answers that have one; of these are `confidence`, its mean, `accuracy`, and the
    `calibration`, which are None where no answer has one.
    """

    share: Estimate
    confidence: Estimate | None
    accuracy: Estimate | None
    calibration: Calibration | None


def votes_in(cells: Sequence[Cell]) -> Confidences | None:
    """The share of an item's draws that agree, as a confidence that the majority is right; of all items.

    None where one of the results has no draws, or was recorded without how many agree.
    """
    shares: list[float] = []
    right: list[bool] = []
    groups: list[str] = []
    for cell in cells:
        score = cell.score
        if score.agreeing is None or score.majority is None or cell.draws == 1:
            return None
        shares += [count / cell.draws for count in score.agreeing]
        right += [outcome == "1" for outcome in score.majority]
        groups += units_of(cell)
    return worth_of(shares, right, groups) if shares else None


def stated_in(cells: Sequence[Cell]) -> Confidences | None:
    """How sure the answers to all items say they are; the draws of an item, or of a group, are one unit.

    None where no answer is there, or one of the results was recorded without reading it. Cells whose
    answers were read by different patterns say different things, and are None too.
    """
    if not cells or len({cell.score.confidence for cell in cells}) > 1:
        return None
    said: list[float | None] = []
    right: list[bool] = []
    groups: list[str] = []
    for cell in cells:
        if cell.score.stated is None:
            return None
        for stated, outcomes in zip(cell.score.stated, cell.score.outcomes, strict=True):
            said += stated
            right += [outcome == "1" for outcome in outcomes]
            groups += units_of(cell)
    return worth_of(said, right, groups) if said else None


def worth_of(given: Sequence[float | None], outcomes: Sequence[bool], units: Sequence[str]) -> Confidences:
    """What the confidences of answers are worth, None of one without; `units` are what counts."""
    share = share_of([one is not None for one in given], units)
    answers = zip(given, outcomes, units, strict=True)
    found = [(one, right, unit) for one, right, unit in answers if one is not None]
    if not found:
        return Confidences(share, None, None, None)
    confidences, right, groups = (list(values) for values in zip(*found, strict=True))
    return Confidences(
        share,
        # A confidence between nought and one is worth more than an outcome, which is either.
        mean_share(np.array(confidences), groups, outcomes=np.inf),
        share_of(right, groups),
        calibration(confidences, right, groups),
    )


def units_of(cell: Cell) -> list[str]:
    """What the answers to every item belong to, apart from those of other benchmarks."""
    own = cell.groups or [f"item {place}" for place in range(cell.n)]
    return [f"{cell.score.benchmark} {group}" for group in own]
