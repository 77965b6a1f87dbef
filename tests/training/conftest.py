from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Divergence
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.sampling.scoring import LoadedPair, score_rollouts

VOCABULARY = SharedVocabulary(size=61, unused=(7,), identity="test")


def random_rollouts(count: int) -> list[Rollout]:
    random = np.random.default_rng(3)
    return [
        Rollout(
            f"p{index}",
            0,
            tuple(random.integers(8, 61, size=3 + index % 4).tolist()),
            tuple(random.integers(8, 61, size=4 + index % 7).tolist()),
        )
        for index in range(count)
    ]


@pytest.fixture(scope="session")
def samples(tiny_model: Callable[..., Any]) -> Samples:
    """LightReasoner samples of a random pair; most steps are kept."""
    rollouts = random_rollouts(12)
    pair = LoadedPair(tiny_model(seed=1), tiny_model(seed=2), VOCABULARY)
    scores = score_rollouts(pair, rollouts, alpha_min=0.05)
    lightr = BY_NAME["lightr"].ingredients
    assert lightr is not None
    return build_samples(
        rollouts, {PAIR: scores}, lightr.completed(Divergence(beta=float(np.median(scores.kl))))
    )
