"""What a judge of pairs is worth: right in both orders, and whether the place of an answer decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrbench.evaluation.protocol import GRADER_FIELD
from lrbench.evaluation.statistics import Estimate, mean_of, share_of
from lrbench.suites.judging import Judgement

if TYPE_CHECKING:
    from lrbench.results.rows import Cell

OF_PAIRS = Judgement(of="pair").model_dump(mode="json")


@dataclass(frozen=True)
class JudgedPairs:
    """Of `n` judgements of pairs in both orders: shares that are right.

    `both` is in both orders, `first` where the right answer stands first, `second` where it stands second,
    and `bias` is the difference of these two over the pairs: 0 for a judge that does not mind the place, 1
    for one that always says the first.
    """

    n: int
    both: Estimate
    first: Estimate
    second: Estimate
    bias: Estimate


def judged_in(cells: Sequence[Cell]) -> JudgedPairs | None:
    """How pairs were judged; None where none was asked in both orders. Draws of an item are averaged over.

    In every group the right answer stands first in the first item.
    """
    first: list[bool] = []
    second: list[bool] = []
    units: list[str] = []
    for cell in cells:
        score = cell.score
        if score.protocol.get(GRADER_FIELD) != OF_PAIRS or score.groups is None:
            continue
        places: dict[int, list[int]] = defaultdict(list)
        for place, group in enumerate(score.groups):
            places[group].append(place)
        for group, both in places.items():
            if len(both) == 2:
                for outcomes in score.outcomes:
                    first.append(outcomes[both[0]] == "1")
                    second.append(outcomes[both[1]] == "1")
                    units.append(f"{score.benchmark} {group}")
    if not units:
        return None
    pairs = list(zip(first, second, strict=True))
    return JudgedPairs(
        n=len(pairs),
        both=share_of([one and other for one, other in pairs], units),
        first=share_of(first, units),
        second=share_of(second, units),
        bias=mean_of([float(one) - float(other) for one, other in pairs], units),
    )
