"""The sign-flip test of a sum of independent differences: exact where it can be counted, else drawn.

If two arms were equally good, each item's difference (or each group's, or each flip) could as well have
pointed the other way. Of whole numbers, such as counts of draws, the sum's distribution under all flips is
counted by convolution, whatever their number; other numbers are enumerated up to sixteen and drawn beyond.
"""

from __future__ import annotations

import numpy as np

from lrbench.evaluation.statistics.values import RESAMPLES, SEED

_ENUMERATED = 16
_MOST_STEPS = 2 * 10**8
_DRAWN_AT_ONCE = 2 * 10**7


def sign_flip_p(differences_G: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> float:
    """The chance, if every difference could as well be turned around, of a sum as far from nought.

    Two-sided. Counted: the mid-p, which counts sums just as far in half, and is `mcnemar_p` where differences
    are 1 and -1. Drawn: (sums as far + 1) / (resamples + 1). 1 where the sum is nought.
    """
    sizes_G = np.abs(differences_G[differences_G != 0])
    total = abs(differences_G.sum())
    if np.issubdtype(differences_G.dtype, np.integer):
        if total == 0:
            return 1.0
        # In units of what divides all of them.
        common = np.gcd.reduce(sizes_G)
        sizes_G, total = sizes_G // common, total // common
        if len(sizes_G) * int(sizes_G.sum()) <= _MOST_STEPS:
            return _counted(sizes_G, int(total))
    near = 1e-9 * max(1.0, float(sizes_G.sum()))
    if total <= near:
        return 1.0
    if len(sizes_G) <= _ENUMERATED:
        sums = np.zeros(1)
        for size in sizes_G:
            sums = np.concatenate([sums - size, sums + size])
        beyond = np.count_nonzero(np.abs(sums) > total + near)
        same = np.count_nonzero(np.abs(np.abs(sums) - total) <= near)
        return float((beyond + same / 2) / len(sums))
    return _drawn(sizes_G, float(total) - near, resamples, seed)


def _counted(sizes_G: np.ndarray, total: int) -> float:
    """By convolution: `chance_T[t]` is that of the turned ones having the sizes t together."""
    every = int(sizes_G.sum())
    chance_T = np.zeros(every + 1)
    chance_T[0] = 1.0
    reached = 0
    for size in np.sort(sizes_G):
        reached += int(size)
        chance_T[: reached + 1] *= 0.5
        chance_T[size : reached + 1] += chance_T[: reached + 1 - size].copy()
    # With t turned around the sum is `every` - 2t, and its distribution is symmetric.
    turned = (every - total) // 2
    return min(1.0, float(2 * chance_T[:turned].sum() + chance_T[turned]))


def _drawn(sizes_G: np.ndarray, least: float, resamples: int, seed: int) -> float:
    generator = np.random.default_rng(seed)
    values_V, counts_V = np.unique(sizes_G, return_counts=True)
    rows = max(1, _DRAWN_AT_ONCE // len(values_V))
    as_far = 0
    for start in range(0, resamples, rows):
        turned_RV = generator.binomial(counts_V, 0.5, size=(min(rows, resamples - start), len(values_V)))
        as_far += int(np.count_nonzero(np.abs((2 * turned_RV - counts_V) @ values_V) >= least))
    return (1 + as_far) / (1 + resamples)
