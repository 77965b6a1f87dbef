"""The engine `hf`: batched generation with transformers, in this process.

A row's randomness depends on its seed alone, so the batch it happens to be in does not change what
is sampled. Shapes: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from lrbench.errors import RunError
from lrbench.models.loading import Model
from lrbench.models.memory import out_of_memory, size_of
from lrbench.sampling.engines.base import Engine, Request, TokenRules

PADDING_ID = 0

logger = logging.getLogger(__name__)


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
        follows is shorter, so the first batches find the size that fits. Raises `RunError` when one row alone
        does not fit.
        """
        waiting = sorted(range(len(requests)), key=lambda index: -len(requests[index].prompt))
        completions: dict[int, tuple[int, ...]] = {}
        while waiting:
            batch = waiting[: self.batch_size]
            rows = self._tried([requests[index] for index in batch], temperature)
            if rows is None:
                self.batch_size = len(batch) // 2
                logger.warning("out of memory while writing: going on with %d rows at once", self.batch_size)
                if self.model.device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            completions.update(zip(batch, rows, strict=True))
            waiting = waiting[len(batch) :]
        return [completions[index] for index in range(len(requests))]

    def _tried(self, batch: Sequence[Request], temperature: float) -> list[tuple[int, ...]] | None:
        """The completions of a batch, or None when memory ran out on the way."""
        try:
            return self._complete_batch(batch, temperature)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if len(batch) > 1:
                return None
            (request,) = batch
            raise RunError(
                f"out of memory: {size_of(self.model)} cannot complete one prompt of {len(request.prompt)} "
                f"tokens with up to {request.max_new_tokens} new ones. Lower max_new_tokens, use a smaller "
                "expert or a smaller dtype, or free memory."
            ) from error

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
