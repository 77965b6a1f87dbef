"""Dropout that depends on which token it falls on, and not on what else is in the same forward.

Torch draws masks from a stream, so a batch cut in two, or shared among processes, would be another
training. Here a mask is a hash of (seed, update, rollout, position, module, feature): however rollouts are
batched, packed or dealt out, the gradient of an update is the same up to rounding.

Shapes: B rows, T tokens, C positions of a chunk, D features.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import Tensor, nn

# Multipliers of a 32-bit finaliser found by search (C. Wellons, "Prospecting for hash functions", 2018), as
# signed numbers, and the increment and multipliers of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
FIRST, SECOND = 0x7FEB352D, 0x846CA68B - 2**32
INCREMENT, MIX_1, MIX_2 = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class TokenDropout:
    """The dropout of all modules of an adapter; it has to be told which tokens the next forward holds."""

    def __init__(self, adapted: PeftModel, seed: int) -> None:
        """Replace the dropout of every LoRA layer of `adapted`."""
        self.seed = seed
        self.update = 0
        self.rows_BT: Tensor | None = None
        self.chunk_C: Tensor | None = None
        salt = 0
        for _, module in sorted(adapted.named_modules()):
            dropouts = getattr(module, "lora_dropout", {})
            for name, dropout in dropouts.items():
                if isinstance(dropout, nn.Dropout):
                    salt += 1
                    dropouts[name] = _HashedDropout(self, dropout.p, salt)

    def keys(self, rollouts: NDArray[np.int64], columns: NDArray[np.int64], device: torch.device) -> Tensor:
        """A 32-bit key for each token, given by its rollout and its position there."""
        update = _mixed(np.array([self.seed, self.update], dtype=np.uint64))
        own = _mixed(rollouts.astype(np.uint64) ^ _mixed(update[:1] + update[1:]))
        mixed = _mixed(own + columns.astype(np.uint64))
        return torch.as_tensor((mixed >> np.uint64(32)).astype(np.uint32).view(np.int32), device=device)


class _HashedDropout(nn.Module):
    """Sets a feature to 0 with probability `p` and scales the rest by 1 / (1 - p)."""

    def __init__(self, tokens: TokenDropout, p: float, salt: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.p = p
        self.salt = salt
        self.features: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keys = self.tokens.rows_BT if x.dim() == 3 else self.tokens.chunk_C
        if keys is None or keys.shape != x.shape[:-1]:
            # A layer that sees something else than tokens, such as an expert of a mixture.
            return nn.functional.dropout(x, self.p)
        if self.features is None or len(self.features) != x.shape[-1]:
            salted = np.arange(x.shape[-1], dtype=np.uint64) + np.uint64(self.salt << 32)
            mixed = (_mixed(salted) >> np.uint64(32)).astype(np.uint32).view(np.int32)
            self.features = torch.as_tensor(mixed, device=x.device)
        hashed = keys.unsqueeze(-1) ^ self.features
        hashed = (hashed ^ (hashed >> 16)) * FIRST
        hashed = (hashed ^ (hashed >> 15)) * SECOND
        dropped = hashed < int(self.p * 2**32) - 2**31
        return x.masked_fill(dropped, 0.0) * (1 / (1 - self.p))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 of each value."""
    with np.errstate(over="ignore"):
        values = values + INCREMENT
        values = (values ^ (values >> np.uint64(30))) * MIX_1
        values = (values ^ (values >> np.uint64(27))) * MIX_2
        return values ^ (values >> np.uint64(31))
