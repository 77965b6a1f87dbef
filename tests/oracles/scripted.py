"""The loss of the public scripts, slow and obvious: padded batches of eight rows, dense labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.samples import Samples


def loss(
    model: Any,
    vocabulary: SharedVocabulary,
    samples: Samples,
    batch: list[int],
    *,
    padding: int,
    labels: int | None,
    longest: int | None,
    last_column: bool,
    summed: bool,
) -> Tensor:
    """The loss of one update; `labels` and `longest` are where labels and rows are cut, None for nowhere."""
    means, rows_of = [], []
    for start in range(0, len(batch), 8):
        steps = batch[start : start + 8]
        rows = []
        for index in steps:
            rollout = samples.rollouts[samples.rollout[index]]
            row = list(rollout.prompt_ids) + list(rollout.completion_ids[: samples.step[index]])
            rows.append(row if longest is None else row[:longest])
        width = max(map(len, rows))
        losses = []
        ids = torch.tensor([row + [padding] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        logits = model(input_ids=ids, attention_mask=mask).logits
        for place, (index, row) in enumerate(zip(steps, rows, strict=True)):
            read = logits[place, -1 if last_column else len(row) - 1]
            if labels is None:
                counted = [token for token in range(vocabulary.size) if token not in vocabulary.unused]
            else:
                counted = list(range(min(labels, len(read))))
            log_p = dict(zip(counted, torch.log_softmax(read[counted], dim=-1), strict=True))
            span = slice(samples.targets.offsets[index], samples.targets.offsets[index + 1])
            pairs = zip(
                samples.targets.ids[span].tolist(), samples.targets.weights[span].tolist(), strict=True
            )
            parts = [
                w * (torch.tensor(w).log() - log_p[token]) for token, w in pairs if w > 0 and token in log_p
            ]
            losses.append(sum(parts, torch.zeros(())))
        means.append(torch.stack(losses).mean())
        rows_of.append(len(rows))
    if summed:
        return torch.stack(means).sum()
    return torch.stack([mean * count for mean, count in zip(means, rows_of, strict=True)]).sum() / len(batch)
