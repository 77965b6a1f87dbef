"""Odd targets: their largest weight is on a token that the writer hardly ever writes at such a place.

A contrast rewards what the amateur would not write, which may be a strange token as well as a careful one.
What is written at a kind of place is known from the rollouts themselves: a **place** is the token before, and
the first step of an answer is a place of its own. A token is **odd** where less than one in a thousand of all
rollouts' steps at that place has it.

Shapes: N steps of all rollouts, K kept ones, P pairs of a place and a token that were written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrbench.methods.targets import Targets
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples

ODD_BELOW = 0.001
# The place of first steps; no token has this id.
BEGINNING = -1
# Place and token as one number: ids are below this.
WIDTH = np.int64(2**31)


@dataclass(frozen=True)
class Habits:
    """What was written where: `pairs` (P,) in ascending order, and how often each, (P,)."""

    pairs: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, rollouts: Iterable[Rollout]) -> Habits:
        """Those of the writer of all `rollouts`."""
        written = [_pairs(_before(rollout), rollout.completion_ids) for rollout in rollouts if rollout.steps]
        joined = np.concatenate([np.zeros(0, dtype=np.int64), *written])
        return cls(*np.unique(joined, return_counts=True))

    def share(self, before: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """(K,) of the steps after `before` (K,), the share that has the token `tokens` (K,); 0 of none."""
        sums = np.concatenate([[0], np.cumsum(self.counts)])
        first, last = (np.searchsorted(self.pairs, _pairs(before + end, 0)) for end in (0, 1))
        there, beyond = (
            np.searchsorted(self.pairs, _pairs(before, tokens), side) for side in ("left", "right")
        )
        at_place = sums[last] - sums[first]
        found: NDArray[np.float64] = (sums[beyond] - sums[there]) / np.maximum(at_place, 1)
        return found

    def odd(self, samples: Samples) -> NDArray[np.bool_]:
        """(K,) True for the kept steps whose target has its largest weight on an odd token."""
        before = [
            BEGINNING if step == 0 else samples.rollouts[rollout].completion_ids[step - 1]
            for rollout, step in zip(samples.rollout.tolist(), samples.step.tolist(), strict=True)
        ]
        heaviest = favourites(samples.targets).astype(np.int64)
        return self.share(np.array(before, dtype=np.int64), heaviest) < ODD_BELOW


def favourites(targets: Targets) -> NDArray[np.int32]:
    """(K,) the token with the largest weight of each target, of equals the one that stands first."""
    if not len(targets):
        return np.zeros(0, dtype=np.int32)
    starts, lengths = targets.offsets[:-1], np.diff(targets.offsets)
    largest = np.repeat(np.maximum.reduceat(targets.weights, starts), lengths)
    places = np.where(targets.weights == largest, np.arange(len(targets.weights)), len(targets.weights))
    found: NDArray[np.int32] = targets.ids[np.minimum.reduceat(places, starts)]
    return found


def without(samples: Samples, odd: NDArray[np.bool_]) -> Samples:
    """The samples without the kept steps that are `odd`, (K,)."""
    targets, stays = samples.targets, ~odd
    lengths = np.diff(targets.offsets)
    mask = np.repeat(stays, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths[stays])]).astype(np.int64)
    return replace(
        samples,
        rollout=samples.rollout[stays],
        step=samples.step[stays],
        kl=samples.kl[stays],
        targets=Targets(offsets, targets.ids[mask], targets.weights[mask]),
    )


def _before(rollout: Rollout) -> list[int]:
    return [BEGINNING, *rollout.completion_ids[:-1]]


def _pairs(
    before: NDArray[np.int64] | list[int], tokens: NDArray[np.int64] | tuple[int, ...] | int
) -> NDArray[np.int64]:
    joined: NDArray[np.int64] = (np.asarray(before, dtype=np.int64) + 1) * WIDTH + np.asarray(
        tokens, np.int64
    )
    return joined
