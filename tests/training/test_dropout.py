"""Dropout falls on tokens, whatever else is in the forward, and is as random as it ought to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.recipe.schema import Lora
from lrbench.training.adapters import attach_adapter
from lrbench.training.dropout import TokenDropout

CPU = torch.device("cpu")


def masks(
    tiny_model: Callable[..., Any], rollouts: list[int], length: int, *, seed: int = 0, update: int = 0
) -> torch.Tensor:
    """(modules, B, T, D): True where a feature is dropped."""
    adapted = attach_adapter(tiny_model(), Lora(dropout=0.3), seed=0).train()
    dropout = TokenDropout(adapted, seed)
    dropout.update = update
    rollouts_BT = np.repeat(np.array(rollouts)[:, None], length, axis=1)
    columns_BT = np.repeat(np.arange(length)[None, :], len(rollouts), axis=0)
    dropout.rows_BT = dropout.keys(rollouts_BT, columns_BT, CPU)
    modules = [m.lora_dropout["default"] for _, m in adapted.named_modules() if hasattr(m, "lora_dropout")]
    ones = torch.ones(len(rollouts), length, 32)
    return torch.stack([module(ones) == 0 for module in modules])


def test_a_token_has_its_mask_wherever_it_is(tiny_model: Callable[..., Any]) -> None:
    together = masks(tiny_model, [4, 9, 2], 50)
    alone = masks(tiny_model, [9], 30)
    assert torch.equal(together[:, 1, :30], alone[:, 0])


@pytest.mark.parametrize("other", [{"seed": 1}, {"update": 1}])
def test_another_seed_and_another_update_have_other_masks(
    tiny_model: Callable[..., Any], other: dict[str, int]
) -> None:
    first, second = masks(tiny_model, [0, 1], 50), masks(tiny_model, [0, 1], 50, **other)
    assert 0.4 < (first ^ second).float().mean() / (2 * 0.3 * 0.7) < 1.6


def test_masks_are_as_dense_as_declared_and_independent(tiny_model: Callable[..., Any]) -> None:
    dropped = masks(tiny_model, list(range(40)), 60).float()
    modules, rows, length, features = dropped.shape
    spread = (0.3 * 0.7) ** 0.5
    for dims, count in (
        ((0, 1, 2, 3), dropped.numel()),
        ((1, 2, 3), rows * length * features),
        ((0, 2, 3), modules * length * features),
        ((0, 1, 3), modules * rows * features),
        ((0, 1, 2), modules * rows * length),
    ):
        deviations = (dropped.mean(dims) - 0.3) / (spread / count**0.5)
        assert deviations.abs().max() < 5
    for other in (dropped.roll(1, 0), dropped.roll(1, 1), dropped.roll(1, 2), dropped.roll(1, 3)):
        correlation = ((dropped - 0.3) * (other - 0.3)).mean() / (0.3 * 0.7)
        assert correlation.abs() < 5 / dropped.numel() ** 0.5


def test_what_is_kept_is_scaled_and_nothing_is_dropped_in_evaluation(tiny_model: Callable[..., Any]) -> None:
    adapted = attach_adapter(tiny_model(), Lora(dropout=0.5), seed=0).train()
    dropout = TokenDropout(adapted, 0)
    dropout.rows_BT = dropout.keys(np.zeros((1, 9), dtype=int), np.arange(9)[None], CPU)
    module = next(m.lora_dropout["default"] for m in adapted.modules() if hasattr(m, "lora_dropout"))
    x = torch.ones(1, 9, 32)
    assert set(module(x).unique().tolist()) == {0.0, 2.0}
    # What is not one row per token, as in a layer of experts, is dropped as torch drops it.
    assert set(module(torch.ones(5, 32)).unique().tolist()) == {0.0, 2.0}
    assert torch.equal(module.eval()(x), x)
