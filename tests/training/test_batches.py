"""Every kept step is seen once per epoch, whichever unit an update is counted in."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import chain, islice

import numpy as np
import pytest

from lrbench.errors import RunError
from lrbench.methods.presets import BY_NAME
from lrbench.methods.targets import own_token
from lrbench.recipe.schema import Training
from lrbench.sampling.samples import Samples, build_samples
from lrbench.training.batches import update_batches


def test_an_epoch_of_rollouts_holds_every_step_once(samples: Samples) -> None:
    groups = len(np.unique(samples.rollout))
    batches = update_batches(samples, Training(updates=groups, rollouts_per_update=1), seed=0)
    assert Counter(chain.from_iterable(batches)) == Counter(range(len(samples)))


def test_an_epoch_of_steps_holds_every_step_once(samples: Samples) -> None:
    batches = update_batches(samples, Training(updates=10_000, steps_per_update=5), seed=0)
    stream = list(islice(chain.from_iterable(batches), 2 * len(samples)))
    assert Counter(stream[: len(samples)]) == Counter(range(len(samples)))
    assert Counter(stream) == Counter(2 * list(range(len(samples))))


def test_every_update_has_the_declared_number_of_steps(samples: Samples) -> None:
    batches = list(update_batches(samples, Training(updates=20, steps_per_update=7), seed=0))
    assert [len(batch) for batch in batches] == [7] * 20


def test_the_seed_decides_the_order(samples: Samples) -> None:
    training = Training(updates=5, rollouts_per_update=2)
    first, again, other = (list(update_batches(samples, training, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def plain_order(samples: Samples, seed: int, epochs: int) -> list[list[int]]:
    """The kept steps of one rollout after the other, as lists of all of them."""
    groups: dict[int, list[int]] = {}
    for index, rollout in enumerate(samples.rollout.tolist()):
        groups.setdefault(rollout, []).append(index)
    listed = list(groups.values())
    return [
        listed[place]
        for epoch in range(epochs)
        for place in np.random.default_rng([seed, epoch]).permutation(len(listed))
    ]


@pytest.mark.parametrize("seed", [0, 5])
def test_batches_are_the_shuffled_rollouts_cut_into_updates(samples: Samples, seed: int) -> None:
    order = plain_order(samples, seed, epochs=3)
    by_rollouts = list(update_batches(samples, Training(updates=7, rollouts_per_update=3), seed))
    assert by_rollouts == [list(chain.from_iterable(order[start : start + 3])) for start in range(0, 21, 3)]
    by_steps = list(update_batches(samples, Training(updates=9, steps_per_update=7), seed))
    steps = list(chain.from_iterable(order))
    assert by_steps == [steps[start : start + 7] for start in range(0, 63, 7)]


def test_batches_of_many_steps_hold_none_of_them() -> None:
    """A list of all would take 40 bytes a step."""
    steps, per_rollout = 200_000, 20
    rollout = np.repeat(np.arange(steps // per_rollout, dtype=np.int32), per_rollout)
    nothing = np.zeros(steps, dtype=np.int32)
    samples = Samples([], rollout, nothing, nothing.astype(np.float32), own_token(nothing))
    tracemalloc.start()
    next(update_batches(samples, Training(updates=2, rollouts_per_update=2), seed=0))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0 < most < 12 * steps


def test_nothing_kept_is_said_plainly() -> None:
    sft = BY_NAME["sft"].ingredients
    assert sft is not None
    empty = build_samples([], {}, sft)
    with pytest.raises(RunError, match="no step was kept"):
        next(update_batches(empty, Training(rollouts_per_update=2), seed=0))
