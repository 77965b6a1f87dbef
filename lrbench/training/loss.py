"""The objective: mean over kept steps of KL(target || model), with logits at kept positions only.

Shapes: B rollouts, T tokens, D hidden, N kept steps of an update, P those of one forward, C those of a
chunk, V shared vocabulary, M target tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lrbench.models.forward import (
    POSITIONS_PER_CHUNK,
    TOKENS_PER_FORWARD,
    hidden_states,
    length_batches,
    log_probabilities,
    pad_right,
)
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.samples import Samples


def batch_losses(
    model: Model,
    vocabulary: SharedVocabulary,
    samples: Samples,
    batch: Sequence[int],
    *,
    tokens_per_forward: int | None = None,
    positions_per_chunk: int = POSITIONS_PER_CHUNK,
) -> Iterator[Tensor]:
    """Parts of the loss of the kept steps `batch`, in nats per step (paper, equation 6).

    The parts sum to the mean over all steps of the batch; each is one forward over rollouts of similar
    length, to be sent backward before the next is made, so that memory holds one at a time. One forward
    per rollout serves all of its kept steps, and log-probabilities exist for one chunk of positions at a
    time, in the backward pass too. Equal to one row per (prefix, token) with dropout off.
    """
    steps_N = np.asarray(batch)
    rollout_N = samples.rollout[steps_N]
    needed: dict[int, int] = {}
    for rollout, step in zip(rollout_N.tolist(), samples.step[steps_N].tolist(), strict=True):
        # What follows a rollout's last kept step is never looked at.
        length = len(samples.rollouts[rollout].prompt_ids) + step
        needed[rollout] = max(needed.get(rollout, 0), length)
    rollouts = list(needed)
    limit = tokens_per_forward or TOKENS_PER_FORWARD[model.device.type]
    for indices in length_batches([needed[rollout] for rollout in rollouts], len(rollouts), limit):
        part = [rollouts[index] for index in indices]
        ids_BT = pad_right(
            [samples.rollouts[rollout].token_ids[: needed[rollout]] for rollout in part], model.device
        )
        steps_P = steps_N[np.isin(rollout_N, part)]
        loss = _part_divergence(model, vocabulary, samples, part, ids_BT, steps_P, positions_per_chunk)
        yield loss / len(steps_N)


def _part_divergence(
    model: Model,
    vocabulary: SharedVocabulary,
    samples: Samples,
    rollouts: Sequence[int],
    ids_BT: Tensor,
    steps_P: NDArray[np.int64],
    positions_per_chunk: int,
) -> Tensor:
    """Sum of KL(target || model) over the kept steps P of `rollouts`, whose tokens are `ids_BT`."""
    row_of = {rollout: row for row, rollout in enumerate(rollouts)}
    rollout_P = samples.rollout[steps_P].tolist()
    rows_P = [row_of[rollout] for rollout in rollout_P]
    prompts = [len(samples.rollouts[rollout].prompt_ids) for rollout in rollout_P]
    columns_P = np.array(prompts) - 1 + samples.step[steps_P]
    hidden_BTD = hidden_states(model, ids_BT)
    hidden_PD = hidden_BTD[
        torch.as_tensor(rows_P, device=model.device), torch.as_tensor(columns_P, device=model.device)
    ]
    total = torch.zeros((), device=model.device)
    for start in range(0, len(steps_P), positions_per_chunk):
        chunk = slice(start, start + positions_per_chunk)
        total = total + checkpoint(
            _chunk_divergence,
            model,
            vocabulary,
            hidden_PD[chunk],
            *_targets(samples, steps_P[chunk], model.device),
            use_reentrant=False,
        )
    return total


def _chunk_divergence(
    model: Model,
    vocabulary: SharedVocabulary,
    hidden_CD: Tensor,
    rows_M: Tensor,
    ids_M: Tensor,
    weights_M: Tensor,
) -> Tensor:
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
