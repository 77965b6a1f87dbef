"""The objective: mean over kept steps of KL(target || model), with logits at kept positions only.

Shapes: B rows, T tokens, D hidden, N kept steps of an update, P those of one forward, C those of a
chunk, V shared vocabulary, M target tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.methods.objectives import Distance
from lrbench.models.loading import Model
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.samples import Samples
from lrbench.training.distances import summed_distance
from lrbench.training.dropout import TokenDropout
from lrbench.training.output_gradient import Chunk, mean_divergence
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
    distance: Distance | None = None,
) -> Iterator[Tensor]:
    """Parts of the loss of the kept steps `batch`, in nats per step (paper, equation 6).

    The parts sum to the mean over all steps of the batch; each is one forward over rollouts of similar
    length, or with `pack` over rows that several rollouts share, to be sent backward before the next is
    made, so that memory holds one at a time. One forward per rollout serves all of its kept steps, and
    logits exist for one chunk of positions at a time. Equal to one row per (prefix, token) with dropout off.
    `share` picks the rollouts of one process of several; the parts of all processes sum to the mean.
    `distance` is another one from the targets than KL(target || model).
    """
    pieces = pieces or Pieces.usual(model.device.type, vocabulary.size)
    for part, steps_P in parts_of(samples, batch, pieces, pack, share):
        yield part.divergence(model, vocabulary, steps_P, pieces.positions, dropout, len(batch), distance)


def parts_of(
    samples: Samples, batch: Sequence[int], pieces: Pieces, pack: bool, share: slice
) -> Iterator[tuple[Part, NDArray[np.int64]]]:
    """The rollouts of one forward after the other, with the kept steps (P,) of `batch` that are theirs."""
    needed = needed_tokens(samples, batch)
    # Longest first, so that the shares of several processes are about equal.
    mine = sorted(needed, key=lambda rollout: (-needed[rollout], rollout))[share]
    steps_N = np.asarray(batch, dtype=np.int64)
    for forward in forwards_of([needed[rollout] for rollout in mine], pieces.tokens, pack):
        part = Part(samples, [[mine[index] for index in row] for row in forward], needed)
        yield part, steps_N[np.isin(samples.rollout[steps_N], list(part.places))]


class Part:
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
        steps: int,
        distance: Distance | None = None,
    ) -> Tensor:
        """Sum of the distances from the targets over the kept steps P, divided by all of an update."""
        hidden_PD, begins = self.states(model, steps_P, positions_per_chunk, dropout)
        chunks = [
            Chunk(positions, *_targets(self.samples, steps_P[positions], model.device), begin)
            for positions, begin in begins
        ]
        summed = None
        if distance is not None:
            summed = partial(summed_distance, distance=distance, own_P=self._own(steps_P, model.device))
        return mean_divergence(model, vocabulary, hidden_PD, chunks, steps, summed)

    def _own(self, steps_P: NDArray[np.int64], device: torch.device) -> Tensor:
        """(P,) the tokens that the rollouts themselves have at the steps."""
        samples = self.samples
        places = zip(samples.rollout[steps_P].tolist(), samples.step[steps_P].tolist(), strict=True)
        own = [samples.rollouts[rollout].completion_ids[step] for rollout, step in places]
        return torch.tensor(own, device=device)

    def states(
        self,
        model: Model,
        steps_P: NDArray[np.int64],
        positions_per_chunk: int,
        dropout: TokenDropout | None,
    ) -> tuple[Tensor, list[tuple[slice, Callable[[], None]]]]:
        """(P, D) the hidden states that predict the steps, and chunks of them.

        Each chunk has what has to be called before the output layer sees it.
        """
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
        chunks: list[tuple[slice, Callable[[], None]]] = []
        for start in range(0, len(steps_P), positions_per_chunk):
            chunk = slice(start, start + positions_per_chunk)
            begin = partial(_tell, dropout, rollout_P[chunk], position_P[chunk], model.device)
            chunks.append((chunk, begin))
        return hidden_PD, chunks

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


def _tell(
    dropout: TokenDropout | None,
    rollout_C: NDArray[np.int64],
    position_C: NDArray[np.int64],
    device: torch.device,
) -> None:
    """Tell dropout, where there is any, which tokens the output layer sees next."""
    if dropout is not None:
        dropout.chunk_C = dropout.keys(rollout_C, position_C, device)


def _targets(
    samples: Samples, steps_C: NDArray[np.int64], device: torch.device
) -> tuple[NDArray[np.int64], Tensor, Tensor]:
    """How many target tokens each of the steps has, (C,), and their ids and weights, each (M,)."""
    targets = samples.targets
    spans = [np.arange(targets.offsets[step], targets.offsets[step + 1]) for step in steps_C]
    tokens_M = np.concatenate(spans)
    return (
        np.array([len(span) for span in spans], dtype=np.int64),
        torch.as_tensor(targets.ids[tokens_M].astype(np.int64), device=device),
        torch.as_tensor(targets.weights[tokens_M], device=device),
    )
