"""Why an arm has nothing to learn from: what was seen, and which settings would have kept some of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lrbench.pipeline.stages.rollouts import parquet_files
from lrbench.pipeline.stages.samples import ArmSamples
from lrbench.sampling.scores import COVERED_ROUNDING
from lrbench.store.artifact import Artifact

NOTHING = "no step was kept, so there is nothing to train on"
# Of the steps scored, these shares are above the quantiles that a message gives.
SHARES = (0.5, 0.1, 0.01)


def why_nothing_kept(samples: ArmSamples, artifacts: Mapping[str, Artifact]) -> str:
    """Why no step of `samples` was kept, with the numbers that are needed to mend it.

    `artifacts` holds those of all stages behind the samples.
    """
    source = artifacts[samples.rollouts.key]
    if source.statistics["tokens"] == 0:
        return f"{NOTHING}: {samples.rollouts.why_nothing(source)}"
    if samples.scores is None:
        return (
            f"{NOTHING}: of the {source.statistics['tokens']:,} steps of {source.statistics['rollouts']:,} "
            f"rollouts the selector `{samples.ingredients.selector.label}` keeps none"
        )
    columns = ["kl"] if samples.scores.least_mass is None else ["kl", "covered"]
    table = [pq.read_table(path, columns=columns) for path in parquet_files(artifacts[samples.scores.key])]
    kl, *covered = (np.concatenate([part[name].to_numpy() for part in table]) for name in columns)
    told = []
    if samples.scores.least_mass is not None:
        enough = covered[0] >= samples.scores.least_mass - COVERED_ROUNDING
        told.append(
            f"pair.least_mass is {samples.scores.least_mass:g}, and {enough.sum():,} of {len(kl):,} steps "
            f"have that much on the shared tokens (at most {covered[0].max():.3f})"
        )
        kl = kl[enough]
    beta = samples.ingredients.selector.threshold
    if beta is not None and len(kl):
        told.append(_beta(kl, beta))
    return f"{NOTHING}: {'; '.join(told)}"


def _beta(kl: NDArray[np.float32], beta: float) -> str:
    """What the divergences were, and how many steps another beta would keep."""
    would: dict[float, int] = {}
    for quantile in np.quantile(kl, [1 - share for share in SHARES]):
        # Rounded down, so that the beta as written keeps at least the steps that it is said to keep.
        value = math.floor(float(quantile) * 1000) / 1000
        would[value] = int((kl > np.float32(value)).sum())
    kept = ", ".join(f"beta {value:g} would keep {count:,}" for value, count in would.items() if count)
    return (
        f"divergence.beta is {beta:g}, and the largest KL of the {len(kl):,} steps scored is {kl.max():.4g} "
        f"({kept or 'no beta would keep any'})"
    )
