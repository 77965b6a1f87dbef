"""Choosing the next token of each row: the likeliest, or a sample by the row's own seed.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lrbench.sampling.engines.rows import Row


class Chooser(Protocol):
    """Says what each row writes next, from what one model or several think of it."""

    def stream(self, seed: int) -> torch.Generator | None:
        """The random stream of one row; None where nothing is random."""

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """The next token of each row, from logits (B, V) of each model, which may be overwritten."""


class Choice:
    """Greedy at temperature 0, else a sample. Ids that stand for no token are never chosen."""

    def __init__(self, no_tokens: Sequence[int], temperature: float, device: torch.device) -> None:
        self.temperature = temperature
        self._device = device
        self._no_tokens = torch.tensor(no_tokens, dtype=torch.long, device=device)

    def stream(self, seed: int) -> torch.Generator | None:
        """The random stream of one row; None where nothing is random."""
        return torch.Generator(self._device).manual_seed(seed) if self.temperature > 0 else None

    def scores(self, logits_BV: Tensor, streams: Sequence[torch.Generator | None]) -> Tensor:
        """Float32 scores whose largest is the token to write. `logits_BV` may be overwritten."""
        scores_BV = logits_BV.float()
        if self._no_tokens.numel():
            scores_BV.index_fill_(1, self._no_tokens, -torch.inf)
        if self.temperature > 0:
            scores_BV = scores_BV / self.temperature + gumbel_noise(streams, scores_BV)
        return scores_BV

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """What one model alone writes: the only one of `logits`."""
        (logits_BV,) = logits
        chosen: list[int] = self.scores(logits_BV, [row.stream for row in rows]).argmax(dim=-1).tolist()
        return chosen


def gumbel_noise(streams: Sequence[torch.Generator | None], like_BV: Tensor) -> Tensor:
    """Gumbel(0, 1) noise, each row from its own stream, so that the batch has no say in what is sampled.

    The maximum of log p + such noise is distributed as p (Gumbel-max; Maddison et al. 2014).
    """
    exponential_BV = torch.empty_like(like_BV)
    for row_V, stream in zip(exponential_BV, streams, strict=True):
        row_V.exponential_(generator=stream)
    # The negative logarithm of an Exponential(1) variable is Gumbel(0, 1).
    return exponential_BV.log_().neg_()
