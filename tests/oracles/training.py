"""The slow, obvious loss: one row per kept step, a whole forward each, the definition of KL."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.samples import Samples


def loss(model: Any, vocabulary: SharedVocabulary, samples: Samples, batch: list[int]) -> Tensor:
    """Mean over `batch` of KL(target || model) given the exact prefix."""
    rows = []
    for index in batch:
        rollout = samples.rollouts[samples.rollout[index]]
        prefix = rollout.prompt_ids + rollout.completion_ids[: samples.step[index]]
        logits = model(input_ids=torch.tensor([prefix])).logits[0, -1, : vocabulary.size]
        keep = [token for token in range(vocabulary.size) if token not in vocabulary.unused]
        log_p = dict(zip(keep, torch.log_softmax(logits[keep], dim=-1), strict=True))
        span = slice(samples.targets.offsets[index], samples.targets.offsets[index + 1])
        target = zip(samples.targets.ids[span].tolist(), samples.targets.weights[span].tolist(), strict=True)
        rows.append(sum(w * (torch.tensor(w).log() - log_p[token]) for token, w in target if w > 0))
    return torch.stack(rows).mean()


def whole_divergence(student_NV: Tensor, teacher_NV: Tensor, kind: str, temperature: float) -> Tensor:
    """(N,) by definition, over the whole vocabulary, both at the temperature."""
    log_p, log_q = ((logits / temperature).log_softmax(-1) for logits in (student_NV, teacher_NV))

    def kl(log_left: Tensor, log_right: Tensor) -> Tensor:
        return (log_left.exp() * (log_left - log_right)).sum(-1)

    if kind == "forward":
        return kl(log_q, log_p)
    if kind == "reverse":
        return kl(log_p, log_q)
    log_even = ((log_p.exp() + log_q.exp()) / 2).log()
    return (kl(log_p, log_even) + kl(log_q, log_even)) / 2
