"""The reference algorithm, written plainly from the method's description: one row per prefix.

Scoring runs both models once per prefix, in batches of 64 rows; training has one row per
(prefix, target) with logits at its last position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lrbench.models.forward import pad_right
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples
from lrbench.sampling.scoring import LoadedPair

ROWS_PER_BATCH = 64


def last_log_probabilities(
    model: Any, prefixes: Sequence[Sequence[int]], vocabulary: SharedVocabulary
) -> Tensor:
    """(rows, V) log-probabilities of the token after each prefix."""
    ids_BT, mask_BT = pad_right(prefixes, model.device)
    logits_BTV = model(input_ids=ids_BT, attention_mask=mask_BT).logits
    last_B = mask_BT.sum(-1) - 1
    rows_B = torch.arange(len(prefixes))
    return torch.log_softmax(logits_BTV[rows_B, last_B, : vocabulary.size].float(), dim=-1)


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


def loss_per_prefix(
    model: Any, vocabulary: SharedVocabulary, samples: Samples, batch: Sequence[int]
) -> Tensor:
    """Backpropagate the mean loss of the kept steps `batch`, 16 rows at a time; returns the loss."""
    total = torch.zeros(())
    for start in range(0, len(batch), 16):
        rows = batch[start : start + 16]
        prefixes = []
        for index in rows:
            rollout = samples.rollouts[samples.rollout[index]]
            prefixes.append(rollout.token_ids[: len(rollout.prompt_ids) + samples.step[index]])
        log_p_BV = last_log_probabilities(model, prefixes, vocabulary)
        target_BV = torch.zeros_like(log_p_BV)
        for row, index in enumerate(rows):
            span = slice(samples.targets.offsets[index], samples.targets.offsets[index + 1])
            ids = torch.as_tensor(samples.targets.ids[span].astype("int64"))
            target_BV[row, ids] = torch.as_tensor(samples.targets.weights[span])
        entropy = torch.special.entr(target_BV).sum()
        loss = (-(target_BV * log_p_BV).sum() - entropy) / len(batch)
        loss.backward()
        total = total + loss.detach()
    return total
