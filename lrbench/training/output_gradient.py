"""The divergence at the output layer and its gradient, made together and one chunk of positions at a time.

Left to the backward pass, the distributions of all positions would be in memory at once, or every chunk's
logits would be computed twice. The gradient of a logit, softmax minus target, is known when the logit is; it
takes the logit's place, and the hidden states' gradient is all that is kept.

Shapes: P positions, D hidden, C those of a chunk, B those of a block of it, R rows of the output layer, V
shared vocabulary, M target tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from lrbench.models.forward import shared_logits
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.step_scores import rows_per_block


class Positions(Protocol):
    """Some positions; `begin` is called before the output layer sees them."""

    @property
    def positions(self) -> slice: ...
    @property
    def begin(self) -> Callable[[], None]: ...


AnyChunk = TypeVar("AnyChunk", bound=Positions)


@dataclass(frozen=True)
class Chunk:
    """Some positions and their targets: how many tokens each has, (C,), and all their ids and weights, (M,).

    `begin` is called before the output layer sees the chunk.
    """

    positions: slice
    counts: NDArray[np.int64]
    ids: Tensor
    weights: Tensor
    begin: Callable[[], None] = lambda: None


# The sum over a chunk, of logits (C, R) whose place its gradient, times a scale, takes.
Summed = Callable[[Tensor, SharedVocabulary, Chunk, float], Tensor]


def mean_divergence(
    model: Model,
    vocabulary: SharedVocabulary,
    hidden_PD: Tensor,
    chunks: Sequence[Chunk],
    steps: int,
    summed: Summed | None = None,
) -> Tensor:
    """Sum of KL(target || model), or what is `summed`, over the chunks, in nats, divided by `steps`.

    It can be sent backward once, into the hidden states and into what learns of the output layer.
    """
    return mean_of_chunks(model, vocabulary, hidden_PD, chunks, steps, summed or _divergence)


def mean_of_chunks(
    model: Model,
    vocabulary: SharedVocabulary,
    hidden_PD: Tensor,
    chunks: Sequence[AnyChunk],
    steps: int,
    loss: Callable[[Tensor, SharedVocabulary, AnyChunk, float], Tensor],
) -> Tensor:
    """The sum of `loss` over the chunks, divided by `steps`, to be sent backward once.

    `loss` is given the logits (C, R) of a chunk and puts its gradient, times the number that it is given, in
    their place.
    """
    learning = [weight for weight in model.get_output_embeddings().parameters() if weight.requires_grad]
    mean: Tensor = _MeanOfChunks.apply(model, vocabulary, chunks, steps, loss, hidden_PD, *learning)  # type: ignore[no-untyped-call]
    return mean


class _MeanOfChunks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        model: Model,
        vocabulary: SharedVocabulary,
        chunks: Sequence[AnyChunk],
        steps: int,
        loss: Callable[[Tensor, SharedVocabulary, AnyChunk, float], Tensor],
        hidden_PD: Tensor,
        *learning: Tensor,
    ) -> Tensor:
        total = torch.zeros((), device=hidden_PD.device)
        of_hidden_PD = torch.empty_like(hidden_PD)
        of_learning = [torch.zeros_like(weight) for weight in learning]
        for chunk in chunks:
            chunk.begin()
            # A leaf of its own, whether or not the hidden states learn.
            hidden_CD = hidden_PD[chunk.positions].detach().requires_grad_()
            with torch.enable_grad():
                logits_CR = model.get_output_embeddings()(hidden_CD)
            gradient_CR = logits_CR.detach()
            total = total + loss(gradient_CR, vocabulary, chunk, 1 / steps)
            found = torch.autograd.grad(logits_CR, [hidden_CD, *learning], gradient_CR)
            of_hidden_PD[chunk.positions] = found[0]
            for summed, gradient in zip(of_learning, found[1:], strict=True):
                summed += gradient
        ctx.save_for_backward(of_hidden_PD, *of_learning)
        return total / steps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, None, *(gradient * saved for saved in ctx.saved_tensors)


def blocks_of(logits_CR: Tensor, chunk: Chunk) -> Iterator[tuple[slice, NDArray[np.int64], slice]]:
    """Rows that are worked on at once, how many target tokens each has (B,), and which tokens these are.

    Block by block no further tensor of the chunk's size is needed: to find new memory for one takes the
    system a good part of the time that the logits take.
    """
    ends_C = np.cumsum(chunk.counts)
    size = rows_per_block(logits_CR)
    for start in range(0, len(logits_CR), size):
        counts_B = chunk.counts[start : start + size]
        end = int(ends_C[start + len(counts_B) - 1])
        yield slice(start, start + size), counts_B, slice(end - int(counts_B.sum()), end)


def _divergence(logits_CR: Tensor, vocabulary: SharedVocabulary, chunk: Chunk, scale: float) -> Tensor:
    """Sum of KL(target || model) over the chunk; its gradient, times `scale`, takes the logits' place."""
    parts = []
    for block, counts_B, tokens in blocks_of(logits_CR, chunk):
        rows_M = torch.as_tensor(np.repeat(np.arange(len(counts_B)), counts_B), device=logits_CR.device)
        logits_BR = logits_CR[block].detach().requires_grad_()
        with torch.enable_grad():
            logits_BV = shared_logits(logits_BR.clone(), vocabulary)
            wide = torch.promote_types(logits_BV.dtype, torch.float32)
            log_p_M = torch.log_softmax(logits_BV.to(wide), dim=-1)[rows_M, chunk.ids[tokens]]
        gradient_M = chunk.weights[tokens].to(wide) * -scale
        (logits_CR[block],) = torch.autograd.grad(log_p_M, logits_BR, gradient_M)
        parts.append(log_p_M.detach())
    # A weight can underflow to 0, where w log w is 0 by continuity.
    log_weights_M = chunk.weights.clamp_min(torch.finfo(torch.float32).tiny).log()
    return (chunk.weights * (log_weights_M - torch.cat(parts))).sum()
