"""The objective: mean over kept steps of KL(target || model), with logits at kept positions only.

Shapes: B rows, T tokens, D hidden, N kept steps of an update, P those of one forward, C those of a
chunk, V shared vocabulary, M target tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lrbench.models.forward import log_probabilities
from lrbench.models.loading import Model
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.samples import Samples
from lrbench.training.dropout import TokenDropout
from lrbench.training.packing import Forward, forwards_of, packed_hidden_states


def needed_tokens(samples: Samples, batch: Sequence[int]) -> dict[int, int]:
    """For each rollout with a step in `batch`, how many of its tokens have to be read.

    What follows a rollout's last kept step is never looked at.
    """
    needed: dict[int, int] = {}
    steps_N = np.asarray(batch, dtype=np.int64)
    for rollout, step in zip(samples.rollout[steps_N].tolist(), samples.step[steps_N].tolist(), strict=True):
        length = len(samples.rollouts[rollout].prompt_ids) + step
        needed[rollout] = max(needed.get(rollout, 0), length)
    return needed


def batch_losses(
    model: Model,
    vocabulary: SharedVocabulary,
    samples: Samples,
    batch: Sequence[int],
    *,
    pieces: Pieces | None = None,
    pack: bool = False,
    dropout: TokenDropout | None = None,
    share: slice = slice(None),
) -> Iterator[Tensor]:
    """Parts of the loss of the kept steps `batch`, in nats per step (paper, equation 6).

    The parts sum to the mean over all steps of the batch; each is one forward over rollouts of similar
    length, or with `pack` over rows that several rollouts share, to be sent backward before the next is
    made, so that memory holds one at a time. One forward per rollout serves all of its kept steps, and
    log-probabilities exist for one chunk of positions at a time, in the backward pass too. Equal to one row
    per (prefix, token) with dropout off. `share` picks the rollouts of one process of several; the parts of
    all processes sum to the mean.
    """
    needed = needed_tokens(samples, batch)
    # Longest first, so that the shares of several processes are about equal.
    mine = sorted(needed, key=lambda rollout: (-needed[rollout], rollout))[share]
    pieces = pieces or Pieces.usual(model.device.type, vocabulary.size)
    steps_N = np.asarray(batch, dtype=np.int64)
    for forward in forwards_of([needed[rollout] for rollout in mine], pieces.tokens, pack):
        part = _Part(samples, [[mine[index] for index in row] for row in forward], needed)
        steps_P = steps_N[np.isin(samples.rollout[steps_N], list(part.places))]
        yield part.divergence(model, vocabulary, steps_P, pieces.positions, dropout) / len(steps_N)


class _Part:
    """The rollouts of one forward: by row, each with the row and the column at which it begins."""

    def __init__(self, samples: Samples, rows: Forward, needed: dict[int, int]) -> None:
        self.samples = samples
        self.rows = rows
        self.needed = needed
        self.places: dict[int, tuple[int, int]] = {}
        for row, rollouts in enumerate(rows):
            column = 0
            for rollout in rollouts:
                self.places[rollout] = row, column
                column += needed[rollout]

    def divergence(
        self,
        model: Model,
        vocabulary: SharedVocabulary,
        steps_P: NDArray[np.int64],
        positions_per_chunk: int,
        dropout: TokenDropout | None,
    ) -> Tensor:
        """Sum of KL(target || model) over the kept steps P."""
        samples = self.samples
        rollout_P = samples.rollout[steps_P].astype(np.int64)
        prompts = [len(samples.rollouts[rollout].prompt_ids) for rollout in rollout_P]
        position_P = np.array(prompts, dtype=np.int64) - 1 + samples.step[steps_P]
        rows_P, starts_P = np.array([self.places[rollout] for rollout in rollout_P.tolist()]).T
        if dropout is not None:
            dropout.rows_BT = self._keys(dropout, model.device)
        tokens = [
            [samples.rollouts[rollout].token_ids[: self.needed[rollout]] for rollout in row]
            for row in self.rows
        ]
        hidden_BTD = packed_hidden_states(model, tokens)
        hidden_PD = hidden_BTD[
            torch.as_tensor(rows_P, device=model.device),
            torch.as_tensor(starts_P + position_P, device=model.device),
        ]
        total = torch.zeros((), device=model.device)
        for start in range(0, len(steps_P), positions_per_chunk):
            chunk = slice(start, start + positions_per_chunk)
            keys_C = None
            if dropout is not None:
                keys_C = dropout.keys(rollout_P[chunk], position_P[chunk], model.device)
            total = total + checkpoint(
                _chunk_divergence,
                model,
                vocabulary,
                dropout,
                keys_C,
                hidden_PD[chunk],
                *_targets(samples, steps_P[chunk], model.device),
                use_reentrant=False,
            )
        return total

    def _keys(self, dropout: TokenDropout, device: torch.device) -> Tensor:
        """(B, T) the key of every token; padding has those of a rollout that there is not."""
        width = max(sum(self.needed[rollout] for rollout in row) for row in self.rows)
        rollouts_BT = np.full((len(self.rows), width), -1, dtype=np.int64)
        columns_BT = np.zeros_like(rollouts_BT)
        for rollout, (row, column) in self.places.items():
            span = slice(column, column + self.needed[rollout])
            rollouts_BT[row, span] = rollout
            columns_BT[row, span] = np.arange(self.needed[rollout])
        return dropout.keys(rollouts_BT, columns_BT, device)


def _chunk_divergence(
    model: Model,
    vocabulary: SharedVocabulary,
    dropout: TokenDropout | None,
    keys_C: Tensor | None,
    hidden_CD: Tensor,
    rows_M: Tensor,
    ids_M: Tensor,
    weights_M: Tensor,
) -> Tensor:
    if dropout is not None:
        # Set here, since the backward pass computes every chunk again.
        dropout.chunk_C = keys_C
    log_p_CV = log_probabilities(model, hidden_CD, vocabulary)
    # A weight can underflow to 0, where w log w is 0 by continuity.
    log_weights_M = weights_M.clamp_min(torch.finfo(torch.float32).tiny).log()
    return (weights_M * (log_weights_M - log_p_CV[rows_M, ids_M])).sum()


def _targets(
    samples: Samples, steps: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Row within the chunk, token id and weight of every target token of `steps`, each (M,)."""
    targets = samples.targets
    spans = [np.arange(targets.offsets[step], targets.offsets[step + 1]) for step in steps]
    tokens = np.concatenate(spans)
    rows = np.repeat(np.arange(len(steps)), [len(span) for span in spans])
    return (
        torch.as_tensor(rows, device=device),
        torch.as_tensor(targets.ids[tokens].astype(np.int64), device=device),
        torch.as_tensor(targets.weights[tokens], device=device),
    )
