"""The engine `hf`: batched generation with transformers, in this process.

A row's randomness depends on its seed alone, so the batch it happens to be in does not change what
is sampled. Shapes: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from lrbench.models.loading import Model
from lrbench.sampling.engines.base import Engine, Request, TokenRules

PADDING_ID = 0


class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise to logits / temperature, so that the largest is an exact sample.

    The maximum of log p + Gumbel(0, 1) noise is distributed as p (Gumbel-max; Maddison et al. 2014).
    """

    def __init__(self, seeds: Sequence[int], temperature: float, device: torch.device) -> None:
        self.temperature = temperature
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, _input_ids: Tensor, scores: Tensor) -> Tensor:
        # The negative logarithm of an Exponential(1) variable is Gumbel(0, 1).
        exponential_BV = torch.stack(
            [
                torch.empty(scores.shape[1], device=scores.device).exponential_(generator=generator)
                for generator in self.generators
            ]
        )
        return scores.float() / self.temperature - exponential_BV.log()


class TransformersEngine(Engine):
    """A loaded model that completes at most `batch_size` rows at a time."""

    name = "hf"

    def __init__(self, model: Model, rules: TokenRules, batch_size: int) -> None:
        self.model = model
        self.rules = rules
        self.batch_size = batch_size

    def complete_requests(self, requests: Sequence[Request], temperature: float) -> list[tuple[int, ...]]:
        """Batches of similar length, the longest first.

        A batch that does not fit into memory is halved, and so is the batch size from there on: what
        follows is shorter, so the first batches find the size that fits. Raises
        `torch.OutOfMemoryError` when one row alone does not fit.
        """
        waiting = sorted(range(len(requests)), key=lambda index: -len(requests[index].prompt))
        completions: dict[int, tuple[int, ...]] = {}
        while waiting:
            batch = waiting[: self.batch_size]
            try:
                rows = self._complete_batch([requests[index] for index in batch], temperature)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                torch.cuda.empty_cache()
                self.batch_size = len(batch) // 2
                continue
            completions.update(zip(batch, rows, strict=True))
            waiting = waiting[len(batch) :]
        return [completions[index] for index in range(len(requests))]

    @torch.no_grad()
    def _complete_batch(self, batch: Sequence[Request], temperature: float) -> list[tuple[int, ...]]:
        longest = max(len(request.prompt) for request in batch)
        padding = [longest - len(request.prompt) for request in batch]
        device = self.model.device
        ids_BT = torch.tensor(
            [[PADDING_ID] * pad + list(request.prompt) for pad, request in zip(padding, batch, strict=True)],
            device=device,
        )
        mask_BT = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding], device=device)
        seeds = [request.seed for request in batch]
        noise = [GumbelNoise(seeds, temperature, device)] if temperature > 0 else []
        output_BT = self.model.generate(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            max_new_tokens=max(request.max_new_tokens for request in batch),
            do_sample=False,
            num_beams=1,
            eos_token_id=list(self.rules.stop_ids),
            pad_token_id=PADDING_ID,
            suppress_tokens=list(self.rules.no_tokens) or None,
            logits_processor=LogitsProcessorList(noise),
        )
        rows = cast(Tensor, output_BT)[:, longest:].tolist()
        return [
            self._until_stop(row[: request.max_new_tokens]) for row, request in zip(rows, batch, strict=True)
        ]

    def _until_stop(self, ids: list[int]) -> tuple[int, ...]:
        """The row up to and including its first stop token; what follows is padding."""
        for position, token in enumerate(ids):
            if token in self.rules.stop_ids:
                return tuple(ids[: position + 1])
        return tuple(ids)
