"""Perplexity of held-out solutions: how well the model in training expects what it never learns from.

Shapes: B rollouts, T tokens, D hidden, N completion tokens, C those of a chunk, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lrbench.models.forward import (
    TOKENS_PER_FORWARD,
    chunk_size,
    hidden_states,
    length_batches,
    log_probabilities,
    pad_right,
)
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout


@torch.no_grad()
def perplexity(model: Model, vocabulary: SharedVocabulary, rollouts: Sequence[Rollout]) -> float:
    """exp of the mean, over all completion tokens, of -log p(token | prompt and tokens before), in float32.

    Tokens count alike, so a longer solution counts for more; the token that ends the turn is one of them.
    Infinite where the mean is too large to be raised.
    """
    log_p, positions = 0.0, chunk_size(vocabulary)
    limit = TOKENS_PER_FORWARD[model.device.type]
    for indices in length_batches([len(rollout.token_ids) for rollout in rollouts], len(rollouts), limit):
        part = [rollouts[index] for index in indices]
        ids_BT = pad_right([rollout.token_ids[:-1] for rollout in part], model.device)
        rows = [row for row, rollout in enumerate(part) for _ in range(rollout.steps)]
        columns = [len(rollout.prompt_ids) - 1 + step for rollout in part for step in range(rollout.steps)]
        tokens = [token for rollout in part for token in rollout.completion_ids]
        rows_N, columns_N, tokens_N = (
            torch.tensor(values, device=model.device) for values in (rows, columns, tokens)
        )
        hidden_ND = hidden_states(model, ids_BT)[rows_N, columns_N]
        for start in range(0, len(tokens), positions):
            chunk = slice(start, start + positions)
            log_p_CV = log_probabilities(model, hidden_ND[chunk], vocabulary)
            log_p += log_p_CV.gather(1, tokens_N[chunk, None]).double().sum().item()
    with np.errstate(over="ignore"):
        return float(np.exp(-log_p / sum(rollout.steps for rollout in rollouts)))
