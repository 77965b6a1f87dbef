"""Greedy generation as anyone would write it: transformers' own `generate`, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from experiments.bench.subjects import Subject

PADDING_ID = 0


@torch.no_grad()
def complete_bare(subject: Subject) -> list[tuple[int, ...]]:
    """Greedy completions of all prompts, padded on the left, in batches as large as the subject's engine's.

    They hold the tokens that the engine's hold: up to the first stop token, and none that stands for nothing.
    """
    model: Any = subject.pair.expert
    # Prompts of similar length share a batch, so that the bare way wastes no more on padding than ours.
    order = sorted(range(len(subject.prompts)), key=lambda index: -len(subject.prompts[index]))
    completions: dict[int, tuple[int, ...]] = {}
    for start in range(0, len(order), subject.batch_size):
        batch = order[start : start + subject.batch_size]
        prompts = [subject.prompts[index] for index in batch]
        width = max(map(len, prompts))
        padding = [width - len(prompt) for prompt in prompts]
        ids = [[PADDING_ID] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)]
        output_BT = model.generate(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(
                [[0] * pad + [1] * (width - pad) for pad in padding], device=model.device
            ),
            max_new_tokens=subject.new_tokens,
            do_sample=False,
            eos_token_id=list(subject.rules.stop_ids),
            pad_token_id=PADDING_ID,
            suppress_tokens=list(subject.rules.no_tokens) or None,
        )
        for index, row in zip(batch, output_BT[:, width:].tolist(), strict=True):
            completions[index] = tuple(_up_to_stop(row, subject.rules.stop_ids))
    return [completions[index] for index in range(len(order))]


def _up_to_stop(row: list[int], stop_ids: tuple[int, ...]) -> Iterator[int]:
    for token in row:
        yield token
        if token in stop_ids:
            return
