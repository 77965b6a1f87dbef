"""Batches that begin and end together, for models whose cache cannot lose and gain rows.

Shapes: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from lrbench.models.loading import Model
from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.choosing import Choice
from lrbench.sampling.engines.decoding import PADDING_ID
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.repetition import Repetition, ended_length


class Repeated(StoppingCriteria):  # type: ignore[misc]
    """Tells `generate` which rows go round in a circle."""

    def __init__(self, requests: Sequence[Request], prompt: int) -> None:
        """`prompt` is how many columns the prompts have."""
        self.watches = [
            None if request.stop_repeats is None else Repetition(request.stop_repeats) for request in requests
        ]
        self.prompt = prompt

    def __call__(self, input_ids: Tensor, _scores: Tensor, **_further: object) -> Tensor:
        rows = input_ids[:, self.prompt :].tolist()
        ended = [watch is not None and watch.ends(row) for watch, row in zip(self.watches, rows, strict=True)]
        return torch.tensor(ended, device=input_ids.device)


class Chosen(LogitsProcessor):  # type: ignore[misc]
    """Gives `generate` the scores of a `Choice`; it takes the largest."""

    def __init__(self, choice: Choice, requests: Sequence[Request]) -> None:
        self.choice = choice
        self.streams = [choice.stream(request.seed) for request in requests]

    def __call__(self, _input_ids: Tensor, scores: Tensor) -> Tensor:
        return self.choice.scores(scores, self.streams)


@torch.no_grad()
def complete_batch(
    model: Model, batch: Sequence[Request], stop_ids: Sequence[int], choice: Choice, padding: Padding
) -> list[tuple[int, ...]]:
    """The completions of a batch by transformers' own `generate`: it ends with its longest row."""
    longest = max(len(request.prompt) for request in batch)
    empty = [longest - len(request.prompt) for request in batch]
    ids_BT = torch.tensor(
        [[PADDING_ID] * pad + list(request.prompt) for pad, request in zip(empty, batch, strict=True)],
        device=model.device,
    )
    mask_BT = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in empty], device=model.device)
    output_BT = model.generate(
        input_ids=ids_BT,
        attention_mask=mask_BT,
        max_new_tokens=max(request.max_new_tokens for request in batch),
        do_sample=False,
        num_beams=1,
        eos_token_id=list(stop_ids),
        pad_token_id=PADDING_ID,
        logits_processor=LogitsProcessorList([Chosen(choice, batch)]),
        stopping_criteria=StoppingCriteriaList([Repeated(batch, longest)]),
    )
    rows = cast(Tensor, output_BT)[:, longest:].tolist()
    padding.forward(len(batch), longest, columns=longest)
    for step in range(1, len(rows[0])):
        padding.forward(len(batch), 1, columns=longest + step)
    completions = [
        until_end(row[: request.max_new_tokens], stop_ids, request.stop_repeats)
        for row, request in zip(rows, batch, strict=True)
    ]
    for request, completion in zip(batch, completions, strict=True):
        padding.completion(len(request.prompt), len(completion))
    return completions


def until_end(ids: Sequence[int], stop_ids: Sequence[int], stop_repeats: int | None) -> tuple[int, ...]:
    """The row up to and including its first stop token or the end of a circle; what follows is padding."""
    ids = ids[: ended_length(ids, stop_repeats)]
    for position, token in enumerate(ids):
        if token in stop_ids:
            return tuple(ids[: position + 1])
    return tuple(ids)
