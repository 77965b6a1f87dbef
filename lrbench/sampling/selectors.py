"""Selectors: which steps of the scored rollouts are kept. Pure functions over scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrbench.sampling.scores import Scores


def keep_above(scores: Scores, beta: float) -> NDArray[np.bool_]:
    """The `kl` selector: (N,) True where KL(expert || amateur) > beta (paper, equation 2)."""
    kept: NDArray[np.bool_] = scores.kl > np.float32(beta)
    return kept


def keep_all(scores: Scores) -> NDArray[np.bool_]:
    """The `all` selector: (N,) True everywhere."""
    return np.ones(len(scores), dtype=bool)
