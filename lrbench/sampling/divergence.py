"""What the steps looked like: the paper's divergence statistics over stored scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.sampling.scores import Scores, keep_covered

HISTOGRAM_EDGES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 32.0)


@dataclass
class DivergenceSums:
    """Counts and sums over steps, from which the statistics come however the steps were dealt out.

    `least_mass` is that of an aligned pair, whose coverage is counted too.
    """

    least_mass: float | None = None
    steps: int = 0
    kept: int = 0
    agreeing: int = 0
    below: int = 0
    above: int = 0
    kl: float = 0.0
    kl_where_agreeing: float = 0.0
    covered: float = 0.0
    least_covered: float = 1.0
    too_little: int = 0
    histogram: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(HISTOGRAM_EDGES) - 1, dtype=np.int64)
    )

    def add(self, scores: Scores, kept: NDArray[np.bool_]) -> None:
        """Count further steps in; `kept` is (N,)."""
        agrees = scores.top1_expert == scores.top1_amateur
        kl = scores.kl.astype(np.float64)
        self.steps += len(scores)
        self.kept += int(kept.sum())
        self.agreeing += int(agrees.sum())
        self.below += int((scores.kl < 0.1).sum())
        self.above += int((scores.kl > 0.4).sum())
        self.kl += float(kl.sum())
        self.kl_where_agreeing += float(kl[agrees].sum())
        clipped = np.clip(scores.kl, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
        self.histogram += np.histogram(clipped, HISTOGRAM_EDGES)[0]
        if self.least_mass is not None:
            assert scores.covered is not None
            self.covered += float(scores.covered.sum(dtype=np.float64))
            self.least_covered = min(self.least_covered, float(scores.covered.min(initial=1.0)))
            self.too_little += int((~keep_covered(scores, self.least_mass)).sum())

    def statistics(self) -> dict[str, Any]:
        """As `divergence_statistics` gives them."""
        differing = self.steps - self.agreeing
        return {
            "steps": self.steps,
            "kept_steps": self.kept,
            "share_kept": _share(self.kept, self.steps),
            "top1_agreement": _share(self.agreeing, self.steps),
            "mean_kl": _share(self.kl, self.steps),
            "mean_kl_where_top1_agrees": _share(self.kl_where_agreeing, self.agreeing),
            "mean_kl_where_top1_differs": _share(self.kl - self.kl_where_agreeing, differing),
            "share_kl_below_0.1": _share(self.below, self.steps),
            "share_kl_above_0.4": _share(self.above, self.steps),
            "kl_histogram": {"edges": list(HISTOGRAM_EDGES), "counts": self.histogram.tolist()},
        } | self._coverage()

    def _coverage(self) -> dict[str, Any]:
        """Of the probability that the shared tokens of an aligned pair hold; nothing for any other."""
        if self.least_mass is None:
            return {}
        return {
            "mean_covered": _share(self.covered, self.steps),
            "least_covered": self.least_covered if self.steps else None,
            "share_covered_too_little": _share(self.too_little, self.steps),
        }


def divergence_statistics(
    scores: Scores, kept: NDArray[np.bool_], least_mass: float | None = None
) -> dict[str, Any]:
    """Statistics of D_t in nats, and how often both models' first choices agree; `kept` is (N,).

    The histogram's first and last bins also hold what lies beyond them; means over no steps are None. With
    the `least_mass` of an aligned pair they say what its shared tokens cover: on average, at least, and for
    which share of the steps too little, so that no selector keeps them.
    """
    sums = DivergenceSums(least_mass)
    sums.add(scores, kept)
    return sums.statistics()


def _share(total: float, count: int) -> float | None:
    return total / count if count else None
