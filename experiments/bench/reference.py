"""The reference algorithm, written plainly from the method's description: one row per prefix.

Scoring runs both models once per prefix, in batches of 64 rows; training has one row per
(prefix, token) of a target, 16 rows at a time, and reads the logits of its last position. It is spared the
logits of all other positions: with a vocabulary of 150,000 they would not fit into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lrbench.models.forward import hidden_states, log_probabilities, pad_right
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples
from lrbench.sampling.scoring import LoadedPair

ROWS_PER_BATCH = 64
ROWS_PER_UPDATE = 16


def last_log_probabilities(
    model: Any, prefixes: Sequence[Sequence[int]], vocabulary: SharedVocabulary
) -> Tensor:
    """(rows, V) log-probabilities of the token after each prefix, with logits there alone."""
    hidden_BTD = hidden_states(model, pad_right(prefixes, model.device))
    last_B = torch.tensor([len(prefix) - 1 for prefix in prefixes], device=model.device)
    rows_B = torch.arange(len(prefixes), device=model.device)
    return log_probabilities(model, hidden_BTD[rows_B, last_B], vocabulary)


@torch.no_grad()
def score_per_prefix(pair: LoadedPair, rollouts: Sequence[Rollout]) -> Tensor:
    """KL(expert || amateur), (N,), of every step of every rollout."""
    prefixes = [
        rollout.token_ids[: len(rollout.prompt_ids) + step]
        for rollout in rollouts
        for step in range(rollout.steps)
    ]
    divergences = []
    for start in range(0, len(prefixes), ROWS_PER_BATCH):
        batch = prefixes[start : start + ROWS_PER_BATCH]
        expert_BV = last_log_probabilities(pair.expert, batch, pair.vocabulary)
        amateur_BV = last_log_probabilities(pair.amateur, batch, pair.vocabulary)
        divergences.append((expert_BV.exp() * (expert_BV - amateur_BV)).sum(-1))
    return torch.cat(divergences)


def loss_per_token(
    model: Any, vocabulary: SharedVocabulary, samples: Samples, batch: Sequence[int]
) -> Tensor:
    """Backpropagate the mean loss of the kept steps `batch`, a row per target token; returns the loss."""
    rows = [
        (samples.rollouts[samples.rollout[index]].token_ids, samples.rollout[index], index, token)
        for index in batch
        for token in range(samples.targets.offsets[index], samples.targets.offsets[index + 1])
    ]
    total = torch.zeros((), device=model.device)
    for start in range(0, len(rows), ROWS_PER_UPDATE):
        part = rows[start : start + ROWS_PER_UPDATE]
        prefixes = []
        for token_ids, rollout, index, _ in part:
            prefixes.append(token_ids[: len(samples.rollouts[rollout].prompt_ids) + samples.step[index]])
        log_p_BV = last_log_probabilities(model, prefixes, vocabulary)
        tokens = [token for *_, token in part]
        ids_B = torch.tensor(samples.targets.ids[tokens], device=model.device).long()
        weights_B = torch.tensor(samples.targets.weights[tokens], device=model.device)
        log_p_B = log_p_BV.gather(1, ids_B.unsqueeze(1)).squeeze(1)
        loss = (weights_B * (weights_B.log() - log_p_B)).sum() / len(batch)
        loss.backward()
        total = total + loss.detach()
    return total
