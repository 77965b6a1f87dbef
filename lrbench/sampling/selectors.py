"""Which steps of an aligned pair can be looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrbench.sampling.scores import Scores

# What is covered is the difference of two logarithms in float32.
COVERED_ROUNDING = 1e-5


def keep_covered(scores: Scores, least_mass: float) -> NDArray[np.bool_]:
    """(N,) True where the shared tokens of an aligned pair hold at least `least_mass` for both models.

    Up to rounding, so that a pair that shares every token has all of its steps kept even at 1.
    Below it the distributions that are compared are a renormalised sliver of what the models think.
    """
    assert scores.covered is not None
    kept: NDArray[np.bool_] = scores.covered >= np.float32(least_mass - COVERED_ROUNDING)
    return kept
