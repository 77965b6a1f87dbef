"""The objective: mean over kept steps of KL(target || model), with logits at kept positions only.

Shapes: B rollouts, T tokens, D hidden, N kept steps of an update, C steps of a chunk, V shared
vocabulary, M target tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lrbench.models.forward import hidden_states, log_probabilities, pad_right
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.samples import Samples


def batch_loss(
    model: Model,
    vocabulary: SharedVocabulary,
    samples: Samples,
    batch: Sequence[int],
    positions_per_chunk: int,
) -> Tensor:
    """Scalar loss of the kept steps `batch`, in nats per step (paper, equation 6).

    One forward per rollout serves all of its kept steps; log-probabilities exist for one chunk at a
    time, in the backward pass too. Equal to one row per (prefix, token) with dropout off.
    """
    steps_N = np.asarray(batch)
    rollout_indices, rows_N = np.unique(samples.rollout[steps_N], return_inverse=True)
    rollouts = [samples.rollouts[index] for index in rollout_indices]
    prompt_lengths = np.array([len(rollout.prompt_ids) for rollout in rollouts])
    columns_N = prompt_lengths[rows_N] - 1 + samples.step[steps_N]
    # What follows a rollout's last kept step is never looked at.
    needed = np.zeros(len(rollouts), dtype=np.int64)
    np.maximum.at(needed, rows_N, columns_N + 1)
    ids_BT = pad_right(
        [rollout.token_ids[:length] for rollout, length in zip(rollouts, needed, strict=True)], model.device
    )
    hidden_BTD = hidden_states(model, ids_BT)
    hidden_ND = hidden_BTD[
        torch.as_tensor(rows_N, device=model.device), torch.as_tensor(columns_N, device=model.device)
    ]
    total = torch.zeros((), device=model.device)
    for start in range(0, len(steps_N), positions_per_chunk):
        chunk = steps_N[start : start + positions_per_chunk]
        rows_M, ids_M, weights_M = _targets(samples, chunk, model.device)
        total = total + checkpoint(
            _chunk_divergence,
            model,
            vocabulary,
            hidden_ND[start : start + positions_per_chunk],
            rows_M,
            ids_M,
            weights_M,
            use_reentrant=False,
            preserve_rng_state=False,
        )
    return total / len(steps_N)


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
    samples: Samples, steps: np.ndarray[tuple[int], np.dtype[np.int64]], device: torch.device
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
