"""The score statistic of a paired difference (Tango, 1998) and the limits it gives; whole arrays at once.

Arguments are arrays that broadcast together. Differences are shares, first minus second.
"""

from __future__ import annotations

import numpy as np

_HALVINGS = 40


def score_statistic(
    won: np.ndarray | int, lost: np.ndarray | int, n: np.ndarray | int, difference: np.ndarray | float
) -> np.ndarray:
    """How many standard errors (won - lost) / n lies above `difference`, if `difference` were true.

    The error uses the discordance that is likeliest under `difference`: its P(lost) is the larger root q of
    2 n q^2 + b q + c = 0. Zero where the difference measured is `difference`, even without any error.
    """
    b = (2 * n - won + lost) * difference - won - lost
    c = -lost * difference * (1 - difference)
    likeliest = (np.sqrt(np.maximum(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * np.maximum(2 * likeliest + difference * (1 - difference), 0.0)
    # Without flips the likeliest discordance under a difference of nought is nought, and so is the gap.
    return np.asarray((won - lost - n * difference) / np.sqrt(np.maximum(variance, 1e-12)))


def score_limits(won: np.ndarray, lost: np.ndarray, n: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Estimates each table's difference: the lowest and the highest that lie within `z` >= 0 errors."""
    return -_upper_limit(lost, won, n, z), _upper_limit(won, lost, n, z)


def average_limits(
    won: np.ndarray, lost: np.ndarray, n: np.ndarray, z: float
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates the mean difference over the tables of the last axis: `z` >= 0 errors below and above.

    Half the widths of the tables' limits are added as standard errors are (MOVER; Zou and Donner, 2008). What
    moves their middles away from the differences is added as skewness is: third cumulants add like variances,
    so the middle of a sum is moved by the mean of what moves its parts, weighted by their variances. Adding
    the distances to either side apart, as MOVER does, takes a sum of many tables to be as skewed as one.
    """
    difference = (won - lost) / n
    low, high = score_limits(won, lost, n, z)
    count = difference.shape[-1]
    half = (high - low) / 2
    variance = half**2
    total = variance.sum(axis=-1)
    moved = ((high + low) / 2 - difference) * variance
    middle = difference.mean(axis=-1) + moved.sum(axis=-1) / np.where(total > 0, total, 1.0) / count
    return middle - np.sqrt(total) / count, middle + np.sqrt(total) / count


def _upper_limit(won: np.ndarray, lost: np.ndarray, n: np.ndarray, z: float) -> np.ndarray:
    inside = np.asarray((won - lost) / n)
    outside = np.ones_like(inside)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        within = score_statistic(won, lost, n, middle) >= -z
        inside = np.where(within, middle, inside)
        outside = np.where(within, outside, middle)
    return inside
