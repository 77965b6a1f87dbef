"""Which kept steps each update learns from: shuffled once per epoch, cut into updates.

Steps of one rollout stay together, so that one forward of the rollout serves all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice

import numpy as np

from lrbench.errors import NothingKeptError
from lrbench.recipe.schema import Training
from lrbench.sampling.samples import Samples, rollout_bounds

Batch = list[int]


def update_batches(
    samples: Samples, training: Training, seed: int, rows_shuffled: bool = False
) -> Iterator[Batch]:
    """Yield `training.updates` batches, each the indices of the kept steps of one update.

    With `rollouts_per_update` a batch is every kept step of that many rollouts; with
    `steps_per_update` it is that many kept steps, taken along the shuffled rollouts. The last batch
    of an epoch is filled from the next one. With `rows_shuffled` steps are shuffled by themselves, and the
    last batch of an epoch is what is left of it. Raises `NothingKeptError` when no step was kept.
    """
    if len(samples) == 0:
        raise NothingKeptError("no step was kept, so there is nothing to train on")
    if rows_shuffled:
        assert training.steps_per_update is not None
        yield from islice(_rows(len(samples), training.steps_per_update, seed), training.updates)
        return
    groups = _shuffled_groups(samples, seed)
    steps = chain.from_iterable(groups)
    for _ in range(training.updates):
        if training.rollouts_per_update is not None:
            yield list(chain.from_iterable(islice(groups, training.rollouts_per_update)))
        else:
            yield list(islice(steps, training.steps_per_update))


def _rows(count_of_steps: int, at_once: int, seed: int) -> Iterator[Batch]:
    """So many steps at once of one epoch after the other, without end; fewer at the end of each."""
    for epoch in count():
        order = np.random.default_rng([seed, epoch]).permutation(count_of_steps).tolist()
        yield from (order[start : start + at_once] for start in range(0, count_of_steps, at_once))


def _shuffled_groups(samples: Samples, seed: int) -> Iterator[range]:
    """The kept steps of one rollout after the other, without end; only where they begin is held in memory."""
    bounds = rollout_bounds(samples)
    for epoch in count():
        for group in np.random.default_rng([seed, epoch]).permutation(len(bounds) - 1):
            yield range(int(bounds[group]), int(bounds[group + 1]))
