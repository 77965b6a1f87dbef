"""Ranks: which steps have the largest values, over all rollouts or within each. Pure functions.

Among equals the earlier step comes first; what is not a number comes after everything that is one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbench.methods.arrays import np
from lrbench.methods.steps import Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray


def comparable(values_N: NDArray[Any]) -> NDArray[Any]:
    """(N,) the values with what is not a number below everything that is one."""
    return np.where(np.isnan(values_N), -np.inf, values_N).astype(values_N.dtype)


@dataclass(frozen=True)
class Cut:
    """Steps with values above `value`, and those with just that up to step `step` of rollout `rollout`."""

    value: Any
    rollout: int
    step: int

    def keeps(self, values_N: NDArray[Any], steps: Steps) -> NDArray[np.bool_]:
        """(N,) True for the steps on the upper side of the cut."""
        values_N = comparable(values_N)
        earlier_N = (steps.rollout < self.rollout) | (
            (steps.rollout == self.rollout) & (steps.step <= self.step)
        )
        kept: NDArray[np.bool_] = (values_N > self.value) | ((values_N == self.value) & earlier_N)
        return kept


# Above everything.
NOTHING = Cut(math.inf, -1, -1)


def cut_at(parts: Iterable[tuple[NDArray[Any], Steps]], share: float) -> Cut:
    """The cut that keeps the `share` of all steps with the largest values, rounded to whole steps.

    `parts` are values (N,) and the steps that have them, in the source's order. Of each step 12 bytes or 16
    are in memory.
    """
    columns = [(comparable(values), steps.rollout, steps.step) for values, steps in parts]
    if not columns:
        return NOTHING
    values_N, rollout_N, step_N = (np.concatenate(each) for each in zip(*columns, strict=True))
    count = round(share * len(values_N))
    if count == 0:
        return NOTHING
    value = np.partition(values_N, len(values_N) - count)[len(values_N) - count]
    among_equals = count - int(np.count_nonzero(values_N > value))
    last = np.flatnonzero(values_N == value)[among_equals - 1]
    return Cut(value, int(rollout_N[last]), int(step_N[last]))


def most_of_each(
    values_N: NDArray[Any], rollout_N: NDArray[np.int32], like_N: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(N,) the steps with the largest values of each rollout: as many as are True of it in `like_N`."""
    _, owner_N = np.unique(rollout_N, return_inverse=True)
    order = np.lexsort((np.arange(len(values_N)), -comparable(values_N), owner_N))
    lengths = np.bincount(owner_N)
    rank_N = np.empty(len(order), dtype=np.int64)
    rank_N[order] = np.arange(len(order)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    counts = np.bincount(owner_N[like_N], minlength=len(lengths))
    kept: NDArray[np.bool_] = rank_N < counts[owner_N]
    return kept
