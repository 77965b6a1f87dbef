"""A model or an adapter that an engine does not run is found out by a probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from lrbench.errors import ModelError, RunError
from lrbench.sampling.engines.canary import prove_adapter_counts, prove_same_model
from tests.oracles.scoring import distribution

PROBE = [9, 10, 11, 30, 31, 5, 17]


class Running:
    """An engine that runs a model, as the definition of a log-probability says."""

    name = "running"

    def __init__(self, model: Any) -> None:
        self.model = model

    def log_probabilities(self, ids: Sequence[int]) -> list[float]:
        return [
            float(torch.log(torch.as_tensor(distribution(self.model, tuple(ids[:end]), 64)[ids[end]])))
            for end in range(1, len(ids))
        ]


def test_the_same_model_is_proven(tiny_model: Callable[..., Any]) -> None:
    prove_same_model(Running(tiny_model(seed=5)), tiny_model(seed=5), PROBE, "there", "float32")


def test_a_slightly_different_model_is_found_out(tiny_model: Callable[..., Any]) -> None:
    here, there = tiny_model(seed=5), tiny_model(seed=5)
    with torch.no_grad():
        next(iter(there.parameters())).mul_(1.01)
    with pytest.raises(ModelError, match="there does not run the recipe's expert: log-probabilities of 7"):
        prove_same_model(Running(there), here, PROBE, "there", "float32")


def test_a_server_that_computes_nothing_is_found_out(tiny_model: Callable[..., Any]) -> None:
    class Broken(Running):
        def log_probabilities(self, ids: Sequence[int]) -> list[float]:
            return [float("nan")] * (len(ids) - 1)

    with pytest.raises(ModelError, match="differ by nan nats"):
        prove_same_model(Broken(None), tiny_model(seed=5), PROBE, "there", "float32")


def test_an_adapter_that_is_dropped_is_found_out(tiny_model: Callable[..., Any]) -> None:
    base = Running(tiny_model(seed=5))
    with pytest.raises(RunError, match="arm/adapter: the engine running runs the model as if it had no"):
        prove_adapter_counts(base, Running(tiny_model(seed=5)), PROBE, "arm/adapter")


def test_an_adapter_that_changes_the_model_counts(tiny_model: Callable[..., Any]) -> None:
    prove_adapter_counts(Running(tiny_model(seed=5)), Running(tiny_model(seed=6)), PROBE, "arm/adapter")
