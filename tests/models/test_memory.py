"""What is held on a GPU is told beside what the models there take. The GPU itself is made up."""

from __future__ import annotations

import pytest
import torch

from lrbench.models.memory import held_on_gpu


class OnGpu:
    """A weight on a GPU, as far as the count looks at it."""

    def __init__(self, address: int, nbytes: int, device: str = "cuda") -> None:
        self.address, self.nbytes, self.device = address, nbytes, torch.device(device)

    def data_ptr(self) -> int:
        return self.address


class ModelOf:
    """A model of given weights."""

    def __init__(self, *weights: OnGpu) -> None:
        self.weights = weights

    def parameters(self) -> tuple[OnGpu, ...]:
        return self.weights


def test_nothing_is_said_on_a_cpu() -> None:
    assert held_on_gpu(torch.device("cpu"), [torch.nn.Linear(2, 2)]) == {}


def test_weights_count_once_and_only_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 3 * 2**30)
    tied = OnGpu(1, 2**30)
    models = [ModelOf(tied, tied, OnGpu(2, 2**29)), ModelOf(OnGpu(3, 2**33, device="cpu"))]
    assert held_on_gpu(torch.device("cuda"), models) == {
        "gpu_gib_held": "3.000",
        "gpu_gib_of_models": "1.500",
    }
