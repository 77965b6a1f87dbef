"""Choosing the next token of each row: the likeliest, or a sample by the row's own seed.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lrbench.sampling.engines.base import Decoding
from lrbench.sampling.engines.rows import Row


class Chooser(Protocol):
    """Says what each row writes next, from what one model or several think of it."""

    def stream(self, seed: int) -> torch.Generator | None:
        """The random stream of one row; None where nothing is random."""

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """The next token of each row, from logits (B, V) of each model, which may be overwritten."""


class Choice:
    """Greedy at temperature 0, else a sample. Ids that stand for no token are never chosen."""

    def __init__(self, no_tokens: Sequence[int], decoding: Decoding, device: torch.device) -> None:
        self.temperature = decoding.temperature
        self.top_p = decoding.top_p
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
            scores_BV = scores_BV / self.temperature
            if self.top_p < 1:
                scores_BV = nucleus(scores_BV, self.top_p)
            scores_BV = scores_BV + gumbel_noise(streams, scores_BV)
        return scores_BV

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """What one model alone writes: the only one of `logits`."""
        (logits_BV,) = logits
        chosen: list[int] = self.scores(logits_BV, [row.stream for row in rows]).argmax(dim=-1).tolist()
        return chosen


def nucleus(scores_BV: Tensor, top_p: float) -> Tensor:
    """The scores of the likeliest tokens that hold `top_p` of their softmax together; all others are -inf.

    A token stays where those that are likelier hold less than `top_p`; so the likeliest always does.
    """
    ordered_BV, ids_BV = scores_BV.sort(dim=-1, descending=True, stable=True)
    chance_BV = ordered_BV.softmax(dim=-1)
    beyond_BV = chance_BV.cumsum(dim=-1) - chance_BV >= top_p
    return scores_BV.masked_fill(torch.zeros_like(beyond_BV).scatter(-1, ids_BV, beyond_BV), -torch.inf)


def gumbel_noise(streams: Sequence[torch.Generator | None], like_BV: Tensor) -> Tensor:
    """Gumbel(0, 1) noise, each row from its own stream, so that the batch has no say in what is sampled.

    The maximum of log p + such noise is distributed as p (Gumbel-max; Maddison et al. 2014).
    """
    exponential_BV = torch.empty_like(like_BV)
    for row_V, stream in zip(exponential_BV, streams, strict=True):
        row_V.exponential_(generator=stream)
    # The negative logarithm of an Exponential(1) variable is Gumbel(0, 1).
    return exponential_BV.log_().neg_()
