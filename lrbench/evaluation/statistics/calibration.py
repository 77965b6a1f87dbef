"""Whether stated confidences hold: expected calibration error, Brier score, and area under the ROC curve.

A forecast is a confidence in [0, 1] and whether the answer was right. Forecasts of one item (its draws) or of
one group of items are not independent: `groups` names what belongs together, and intervals count groups.

- **Calibration error** (Guo et al., 2017): bins of equal width, closed above; the mean over all forecasts of
  how far their bin's mean confidence lies from its share right. Chance alone makes it positive, so beside it
  stands what a calibrated forecaster with the same confidences would not exceed in 95 of 100 cases. The error
  estimated is that of these bins; within a bin too high and too low confidences cancel.
- **Brier score**: the mean squared distance of confidence and outcome.
- **AUROC**: the chance that a right answer has the higher confidence of a right and a wrong one, ties half
  (Mann-Whitney); its variance is DeLong's (1988), over groups as for clusters (Obuchowski, 1997).

Letters of shapes: N forecasts, B bins, G independent units, R random draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrbench.evaluation.statistics.effective_size import (
    Groups,
    effective_size,
    group_places,
    influence_variance,
    least_size,
    mean_share,
    units,
)
from lrbench.evaluation.statistics.values import LEVEL, SEED, SIGNIFICANCE, Estimate, Interval

BINS = 10
_DRAWN = 4000


@dataclass(frozen=True)
class Bin:
    """The `n` forecasts with a confidence above `low` and up to `high`: their means; `n` is at least 1."""

    low: float
    high: float
    n: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """What the confidences are worth.

    `bins` are those that hold a forecast. `error_of_calibrated` is what the error of a calibrated forecaster
    with these confidences stays below in 95 of 100 cases. `area` is None where all answers or none are right.
    """

    n: int
    bins: tuple[Bin, ...]
    error: Estimate
    error_of_calibrated: float
    brier: Estimate
    area: Estimate | None


def calibration(
    confidences: Sequence[float], right: Sequence[bool], groups: Groups = None, bins: int = BINS
) -> Calibration:
    """Estimates how well confidences say, on items like these, whether answers are right.

    Raises `ValueError` for no forecast, a confidence outside [0, 1], or other numbers of outcomes or groups.
    """
    confidence_N, right_N = np.asarray(confidences, dtype=float), np.asarray(right, dtype=bool)
    if not len(confidence_N) or len(confidence_N) != len(right_N):
        raise ValueError(f"{len(confidence_N)} confidences and {len(right_N)} outcomes are no forecasts")
    # Written so that nan is none.
    if not np.all((confidence_N >= 0) & (confidence_N <= 1)) or bins < 1:
        raise ValueError("a confidence is a number from 0 to 1, and there is one bin at least")
    place_N = np.maximum(np.ceil(confidence_N * bins).astype(int) - 1, 0)
    gap_N = confidence_N - right_N
    unit_N = np.arange(len(gap_N)) if groups is None else group_places(groups, len(gap_N))
    generator = np.random.default_rng(SEED)
    return Calibration(
        n=len(gap_N),
        bins=_bins(confidence_N, right_N, place_N, bins),
        error=_error(gap_N, place_N, unit_N, bins, generator),
        error_of_calibrated=_error_of_calibrated(confidence_N, place_N, bins, generator),
        brier=mean_share(gap_N**2, groups, outcomes=np.inf),
        area=area_under_curve(confidence_N, right_N, groups),
    )


def area_under_curve(confidence_N: np.ndarray, right_N: np.ndarray, groups: Groups = None) -> Estimate | None:
    """Estimates the chance that, of a right and a wrong answer, the right one has the higher confidence.

    Wilson's interval at the effective size, which is never below the rarer outcome's number (Birnbaum and
    Klose, 1957), or of groups what that is worth at least. None where all answers or none are right.
    """
    count, n = int(right_N.sum()), len(right_N)
    if count in (0, n):
        return None
    # An answer's share of the other kind that it stands on the proper side of: its rank among all, less its
    # rank among its own kind.
    beyond_N = _ranks(confidence_N)
    for kind_N in (right_N, ~right_N):
        beyond_N[kind_N] -= _ranks(confidence_N[kind_N])
    share_N = np.where(right_N, beyond_N / (n - count), 1 - beyond_N / count)
    area = float(share_N[right_N].mean())
    influence_N = (share_N - area) / np.where(right_N, count, n - count)
    rarer = min(
        least_size(
            int(kind_N.sum()), None if groups is None else [groups[at] for at in np.flatnonzero(kind_N)]
        )
        for kind_N in (right_N, ~right_N)
    )
    size = effective_size(
        area,
        influence_variance(influence_N, groups),
        items=min(count, n - count),
        units=units(n, groups),
        least=rarer,
    )
    return Estimate(area, size.interval(area))


def _ranks(values_N: np.ndarray) -> np.ndarray:
    """The place of every value in their order, from 1; the mean of their places for those that are equal."""
    _, place_N, count_V = np.unique(values_N, return_inverse=True, return_counts=True)
    rank_V = np.cumsum(count_V) - (count_V - 1) / 2
    return np.asarray(rank_V[place_N])


def _bins(confidence_N: np.ndarray, right_N: np.ndarray, place_N: np.ndarray, bins: int) -> tuple[Bin, ...]:
    found = []
    for place in np.unique(place_N).tolist():
        inside_N = place_N == place
        found.append(
            Bin(
                low=place / bins,
                high=(place + 1) / bins,
                n=int(inside_N.sum()),
                confidence=float(confidence_N[inside_N].mean()),
                right=float(right_N[inside_N].mean()),
            )
        )
    return tuple(found)


def _error(
    gap_N: np.ndarray, place_N: np.ndarray, unit_N: np.ndarray, bins: int, generator: np.random.Generator
) -> Estimate:
    """The calibration error; other units move the bins' sums as a normal distribution of their covariance.

    An error is a sum of absolute values, which chance raises and never brings below nought. So the interval
    reaches down by what chance alone may sum to, and up to the quantile of errors that chance has raised once
    more: it covers at least as often as it says.
    """
    units = int(unit_N.max()) + 1
    sums_GB = np.zeros((units, bins))
    np.add.at(sums_GB, (unit_N, place_N), gap_N / len(gap_N))
    measured_B = sums_GB.sum(axis=0)
    # A unit's sums less what its number of forecasts makes likely.
    size_G1 = np.bincount(unit_N)[:, None] / len(gap_N)
    rest_GB = sums_GB - size_G1 * measured_B
    covariance_BB = rest_GB.T @ rest_GB * (units / max(1, units - 1))
    moved_RB = generator.multivariate_normal(np.zeros(bins), covariance_BB, size=_DRAWN, method="eigh")
    value, upper = float(np.abs(measured_B).sum()), (1 + LEVEL) / 2
    low = value - float(np.quantile(np.abs(moved_RB).sum(axis=1), upper))
    high = float(np.quantile(np.abs(measured_B + moved_RB).sum(axis=1), upper))
    return Estimate(value, Interval(max(0.0, low), min(1.0, max(value, high))))


def _error_of_calibrated(
    confidence_N: np.ndarray, place_N: np.ndarray, bins: int, generator: np.random.Generator
) -> float:
    """The 95% quantile of the error where every answer is right with the chance stated, and by itself."""
    variance_B = np.bincount(place_N, confidence_N * (1 - confidence_N), bins)
    moved_RB = generator.normal(size=(_DRAWN, bins)) * np.sqrt(variance_B) / len(confidence_N)
    return float(np.quantile(np.abs(moved_RB).sum(axis=1), 1 - SIGNIFICANCE))
