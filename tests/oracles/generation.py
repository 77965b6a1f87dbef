"""Completions by transformers' own `generate`, in one batch: what the engine `hf` has to equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

Ids = tuple[int, ...]


class Noise(LogitsProcessor):  # type: ignore[misc]
    """Gumbel noise on logits / temperature, each row from a stream of its own."""

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self.temperature = temperature
        self.streams = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, _: Any, scores: torch.Tensor) -> torch.Tensor:
        rows = [torch.empty(scores.shape[1]).exponential_(generator=stream) for stream in self.streams]
        return scores / self.temperature - torch.stack(rows).log()


@torch.no_grad()
def generated(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    stop_ids: Sequence[int],
    no_tokens: Sequence[int] = (),
    temperature: float = 0.0,
    seeds: Sequence[int] = (),
) -> list[Ids]:
    """One completion for each prompt, cut after its first stop token."""
    longest = max(map(len, prompts))
    output = model.generate(
        input_ids=torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]),
        attention_mask=torch.tensor(
            [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        ),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=list(stop_ids) or None,
        pad_token_id=0,
        suppress_tokens=list(no_tokens) or None,
        logits_processor=LogitsProcessorList([Noise(seeds, temperature)] if temperature else []),
    )
    return [_cut(row, stop_ids) for row in output[:, longest:].tolist()]


def _cut(row: list[int], stop_ids: Sequence[int]) -> Ids:
    ends = [place + 1 for place, token in enumerate(row) if token in stop_ids]
    return tuple(row[: min(ends, default=len(row))])
