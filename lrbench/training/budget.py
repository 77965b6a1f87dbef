"""How much of an arm's samples its budget lets it learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import RunError
from lrbench.methods.targets import Targets
from lrbench.sampling.samples import Samples, rollout_bounds


def first_samples(samples: Samples, *, tuned_tokens: int | None, problems: int | None) -> Samples:
    """The first rollouts that have at most `tuned_tokens` kept steps, of at most `problems` problems.

    Rollouts are taken whole and in their order, so up to one rollout less than the limit may be learnt from.
    Problems without a kept step are not counted. Raises `RunError` when not even the first rollout fits.
    """
    if len(samples) == 0:
        return samples
    bounds = rollout_bounds(samples)
    starts, ends = bounds[:-1], bounds[1:]
    fits = np.ones(len(ends), dtype=bool)
    if tuned_tokens is not None:
        fits &= ends <= tuned_tokens
    if problems is not None:
        ids = [samples.rollouts[rollout].problem_id for rollout in samples.rollout[starts]]
        seen: dict[str, int] = {}
        fits &= [seen.setdefault(problem_id, len(seen)) < problems for problem_id in ids]
    if not fits[0]:
        raise RunError(
            f"training.budget.tuned_tokens is {tuned_tokens}, but the first rollout has {ends[0]} kept "
            f"steps; allow at least {ends[0]}"
        )
    kept = int(ends[fits].max())
    offsets = samples.targets.offsets[: kept + 1]
    targets = Targets(offsets, samples.targets.ids[: offsets[-1]], samples.targets.weights[: offsets[-1]])
    return replace(
        samples,
        rollout=samples.rollout[:kept],
        step=samples.step[:kept],
        kl=samples.kl[:kept],
        targets=targets,
    )


def learnt_problems(samples: Samples, learnt: NDArray[np.bool_]) -> int:
    """How many different problems the kept steps belong to that were `learnt`, (N,)."""
    rollouts = np.unique(samples.rollout[learnt])
    return len({samples.rollouts[rollout].problem_id for rollout in rollouts.tolist()})
