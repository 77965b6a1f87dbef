"""Attention of grouped-query models on a processor, without a copy of keys and values for every query head.

Under a mask transformers copies them, since some kernels of GPUs need it; with many rows the copies are a
large part of a step. Shapes: B rows, T query positions, H query heads, D head dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lrbench.models.attention import USUAL


@contextmanager
def without_copies() -> Iterator[None]:
    """Forwards within use `grouped_attention` where their model is built with torch's own kernel."""
    ALL_ATTENTION_FUNCTIONS[USUAL] = grouped_attention
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS[USUAL]


def grouped_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """What transformers' `sdpa_attention_forward` gives, (B, T, H, D): in float32 the same bits.

    In narrower numbers the queries of a group are read as if they were positions, which rounds otherwise.
    """
    grouped = query.shape[1] != key.shape[1] and query.device.type == "cpu"
    if not grouped or attention_mask is None or settings.get("position_bias") is not None:
        usual: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **settings
        )
        return usual
    if query.shape[2] > 1 or query.dtype == torch.float32:
        attended = scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling, enable_gqa=True
        )
    else:
        rows, heads, _, dimension = query.shape
        groups = heads // key.shape[1]
        attended = scaled_dot_product_attention(
            query.view(rows, key.shape[1], groups, dimension),
            key,
            value,
            attn_mask=attention_mask.expand(-1, -1, groups, -1),
            dropout_p=dropout,
            scale=scaling,
        ).view(rows, heads, 1, -1)
    return attended.transpose(1, 2).contiguous(), None
