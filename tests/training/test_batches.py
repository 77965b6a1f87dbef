"""Every kept step is seen once per epoch, whichever unit an update is counted in."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice

import numpy as np
import pytest

from lrbench.errors import RunError
from lrbench.recipe.arms import KNOWN_ARMS
from lrbench.recipe.schema import Divergence, Training
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


def test_nothing_kept_is_said_plainly() -> None:
    sft = KNOWN_ARMS["sft"]
    assert sft is not None
    empty = build_samples([], None, sft, Divergence())
    with pytest.raises(RunError, match="no step was kept"):
        next(update_batches(empty, Training(rollouts_per_update=2), seed=0))
