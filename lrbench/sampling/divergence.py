"""What the steps looked like: the paper's divergence statistics over stored scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.sampling.scores import Scores

HISTOGRAM_EDGES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 32.0)


def divergence_statistics(scores: Scores, kept: NDArray[np.bool_]) -> dict[str, Any]:
    """Statistics of D_t in nats, and how often both models' first choices agree; `kept` is (N,).

    The histogram's first and last bins also hold what lies beyond them; means over no steps are None.
    """
    agrees = scores.top1_expert == scores.top1_amateur
    counts, _ = np.histogram(np.clip(scores.kl, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1]), HISTOGRAM_EDGES)
    return {
        "steps": len(scores),
        "kept_steps": int(kept.sum()),
        "share_kept": _mean(kept),
        "top1_agreement": _mean(agrees),
        "mean_kl": _mean(scores.kl),
        "mean_kl_where_top1_agrees": _mean(scores.kl[agrees]),
        "mean_kl_where_top1_differs": _mean(scores.kl[~agrees]),
        "share_kl_below_0.1": _mean(scores.kl < 0.1),
        "share_kl_above_0.4": _mean(scores.kl > 0.4),
        "kl_histogram": {"edges": list(HISTOGRAM_EDGES), "counts": counts.tolist()},
    }


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
