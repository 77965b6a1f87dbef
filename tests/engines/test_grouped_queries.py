"""Attention without copies: the bits of transformers' own in float32, as near to the truth in bfloat16."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lrbench.sampling.engines.grouped_queries import grouped_attention, without_copies

ROWS, HEADS, COLUMNS, DIMENSION = 5, 12, 37, 16


def _drawn(keys: int, positions: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Query, key, value and an added mask that hides another number of columns of each row."""
    draw = torch.Generator().manual_seed(keys * 100 + positions)
    query = torch.randn(ROWS, HEADS, positions, DIMENSION, generator=draw).to(dtype)
    key, value = (torch.randn(ROWS, keys, COLUMNS, DIMENSION, generator=draw).to(dtype) for _ in range(2))
    mask = torch.zeros(ROWS, 1, positions, COLUMNS, dtype=dtype)
    for row in range(ROWS):
        mask[row, ..., : 3 * row] = -torch.inf
    return query, key, value, mask


def _by_transformers(parts: tuple[Tensor, Tensor, Tensor, Tensor], scaling: float) -> Tensor:
    module: Any = SimpleNamespace(num_key_value_groups=HEADS // parts[1].shape[1], is_causal=True)
    return sdpa_attention_forward(module, *parts, scaling=scaling)[0]


@pytest.mark.parametrize("keys", [1, 2, 6, HEADS])
@pytest.mark.parametrize("positions", [1, 4])
def test_in_float32_the_bits_are_those_of_transformers(keys: int, positions: int) -> None:
    parts = _drawn(keys, positions, torch.float32)
    module: Any = SimpleNamespace(num_key_value_groups=HEADS // keys, is_causal=True)
    ours, weights = grouped_attention(module, *parts, scaling=0.3)
    assert weights is None
    assert torch.equal(ours, _by_transformers(parts, 0.3))


@pytest.mark.parametrize("keys", [1, 2, 6])
def test_in_bfloat16_it_is_as_near_to_exact_attention(keys: int) -> None:
    parts = _drawn(keys, 1, torch.bfloat16)
    exact = _by_transformers(tuple(part.double() for part in parts), 0.3)  # type: ignore[arg-type]
    module: Any = SimpleNamespace(num_key_value_groups=HEADS // keys, is_causal=True)
    ours = grouped_attention(module, *parts, scaling=0.3)[0]
    assert ours.dtype == torch.bfloat16
    away = (ours.double() - exact).abs().max()
    assert away <= 1.5 * (_by_transformers(parts, 0.3).double() - exact).abs().max()


def test_it_stands_in_for_torchs_kernel_only_within() -> None:
    def fail_within() -> None:
        with without_copies():
            assert ALL_ATTENTION_FUNCTIONS["sdpa"] is grouped_attention
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward
