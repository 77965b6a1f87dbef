"""Scoring: one teacher-forced forward of each model per rollout, in chunks of positions.

Shapes: B rollouts, T tokens, D hidden, N steps of the batch, C steps of a chunk, V shared vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.errors import RunError
from lrbench.models.forward import (
    TOKENS_PER_FORWARD,
    chunk_size,
    hidden_states,
    length_batches,
    output_logits,
    pad_right,
)
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores, concatenate, in_rollout_order
from lrbench.sampling.step_scores import step_columns


@dataclass(frozen=True)
class LoadedPair:
    """Expert and amateur in memory, with the vocabulary proven to be shared."""

    expert: Model
    amateur: Model
    vocabulary: SharedVocabulary


@torch.no_grad()
def score_rollouts(
    pair: LoadedPair,
    rollouts: Sequence[Rollout],
    *,
    alpha_min: float,
    first_index: int = 0,
    tokens_per_forward: int | None = None,
    positions_per_chunk: int | None = None,
) -> Scores:
    """Scores of every step of `rollouts`, which are numbered from `first_index` on.

    D_t = KL(p_E || p_A) over the shared vocabulary in float32 (paper, equation 1). Only one chunk of
    `positions_per_chunk` x V logits per model, by default at most 64 MiB, is in memory at a time.
    Raises `RunError` where a divergence is not a number.
    """
    parts = []
    lengths = [len(rollout.token_ids) for rollout in rollouts]
    tokens = tokens_per_forward or TOKENS_PER_FORWARD[pair.expert.device.type]
    positions = positions_per_chunk or chunk_size(pair.vocabulary)
    most = min(positions, sum(rollout.steps for rollout in rollouts))
    expert_CR, amateur_CR = (_room(model, most) for model in (pair.expert, pair.amateur))
    for indices in length_batches(lengths, len(rollouts), tokens):
        batch = [rollouts[index] for index in indices]
        expert_ND = step_hidden_states(pair.expert, batch)
        amateur_ND = step_hidden_states(pair.amateur, batch)
        chunks = [
            step_columns(
                output_logits(pair.expert, expert_CD, pair.vocabulary, expert_CR),
                output_logits(pair.amateur, amateur_CD, pair.vocabulary, amateur_CR),
                alpha_min,
            )
            for expert_CD, amateur_CD in zip(
                torch.split(expert_ND, positions),
                torch.split(amateur_ND, positions),
                strict=True,
            )
        ]
        parts.append(_assemble(batch, [first_index + index for index in indices], chunks))
    return in_rollout_order(concatenate(parts))


def step_positions(rollouts: Sequence[Rollout]) -> tuple[Tensor, Tensor]:
    """Row and column, each (N,), of the hidden state that predicts each step, in rollout order.

    Step t is predicted at the last token before it: position len(prompt) - 1 + t.
    """
    rows = [row for row, rollout in enumerate(rollouts) for _ in range(rollout.steps)]
    columns = [len(rollout.prompt_ids) - 1 + step for rollout in rollouts for step in range(rollout.steps)]
    return torch.tensor(rows), torch.tensor(columns)


def step_hidden_states(model: Model, rollouts: Sequence[Rollout]) -> Tensor:
    """(N, D) the hidden states that predict the steps of `rollouts`, in rollout order, from one forward."""
    # The last token predicts nothing that is scored.
    ids_BT = pad_right([rollout.token_ids[:-1] for rollout in rollouts], model.device)
    rows_N, columns_N = step_positions(rollouts)
    return hidden_states(model, ids_BT)[rows_N.to(model.device), columns_N.to(model.device)]


def _room(model: Model, positions: int) -> Tensor:
    """(C, R) room for the logits of C positions, R rows of the output layer; written anew by every chunk."""
    rows = model.get_output_embeddings().weight.shape[0]
    return torch.empty(positions, rows, dtype=model.dtype, device=model.device)


def _assemble(
    rollouts: Sequence[Rollout],
    indices: Sequence[int],
    chunks: list[dict[str, NDArray[Any]]],
) -> Scores:
    steps = [rollout.steps for rollout in rollouts]
    columns = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    broken = np.flatnonzero(~np.isfinite(columns["kl"]))
    if len(broken):
        problem = np.repeat([rollout.problem_id for rollout in rollouts], steps)[broken[0]]
        raise RunError(
            f"the divergence of {len(broken)} steps is not a number, the first in the rollout of {problem}: "
            "a model computes NaN or infinity there. Use dtype float32 or bfloat16 for both models."
        )
    lengths = columns.pop("support_lengths")
    return Scores(
        rollout=np.repeat(np.array(indices, dtype=np.int32), steps),
        step=np.concatenate([np.arange(count, dtype=np.int32) for count in steps]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        **columns,
    )
