from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.presets import BY_NAME
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scoring import LoadedPair


@pytest.fixture(scope="session")
def pair(tiny_model: Callable[..., Any]) -> LoadedPair:
    """Two random models; ids 61-63 are padding rows and id 7 stands for no token."""
    return LoadedPair(
        expert=tiny_model(seed=1),
        amateur=tiny_model(seed=2, layers=1),
        vocabulary=SharedVocabulary(size=61, unused=(7,), identity="test"),
    )


@pytest.fixture(scope="session")
def rollouts() -> list[Rollout]:
    """Rollouts of uneven lengths, one of a single step."""
    random = np.random.default_rng(0)
    return [
        Rollout(
            problem_id=f"p{index}",
            sample=0,
            prompt_ids=tuple(random.integers(8, 61, size=3 + index % 5).tolist()),
            completion_ids=tuple(random.integers(8, 61, size=length).tolist()),
        )
        for index, length in enumerate([5, 1, 9, 14, 3, 7])
    ]


@pytest.fixture(scope="session")
def ingredients() -> Callable[[str], Ingredients]:
    """The ingredients of a known arm."""

    def of(arm: str) -> Ingredients:
        found = BY_NAME[arm].ingredients
        assert found is not None
        return found

    return of
