"""Batched generation: greedy, or sampled with a random stream of its own for every row.

A row's randomness depends on its seed alone, so the batch it happens to be in does not change what
is sampled. Shapes: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary

PADDING_ID = 0


class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise to logits / temperature, so that the largest is an exact sample.

    The maximum of log p + Gumbel(0, 1) noise is distributed as p (Gumbel-max; Maddison et al. 2014).
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self.temperature = temperature
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, _input_ids: Tensor, scores: Tensor) -> Tensor:
        # The negative logarithm of an Exponential(1) variable is Gumbel(0, 1).
        exponential_BV = torch.stack(
            [torch.empty(scores.shape[1]).exponential_(generator=generator) for generator in self.generators]
        )
        return scores.float() / self.temperature - exponential_BV.log().to(scores.device)


@dataclass(frozen=True)
class Engine:
    """A model that completes prompts; `batch_size` rows at a time at most.

    Ids that stand for no token of `vocabulary` are never written; `stop_ids` end a completion.
    """

    model: Model
    vocabulary: SharedVocabulary
    stop_ids: Sequence[int]
    batch_size: int

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        temperature: float = 0.0,
        seeds: Sequence[int] = (),
    ) -> list[tuple[int, ...]]:
        """Complete every prompt (token ids); completions end with their stop token where one came.

        Greedy at temperature 0; otherwise row i is sampled with `seeds[i]`. Prompts are batched by
        length and a batch that does not fit into memory is halved; results come in the given order.
        """
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        completions: dict[int, tuple[int, ...]] = {}
        pending = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        while pending:
            batch = pending.pop(0)
            noise = GumbelNoise([seeds[index] for index in batch], temperature) if temperature > 0 else None
            try:
                rows = self._complete_batch([prompts[index] for index in batch], max_new_tokens, noise)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                torch.cuda.empty_cache()
                middle = len(batch) // 2
                pending[:0] = [batch[:middle], batch[middle:]]
                continue
            completions.update(zip(batch, rows, strict=True))
        return [completions[index] for index in range(len(prompts))]

    @cached_property
    def _no_tokens(self) -> list[int]:
        rows = self.model.get_output_embeddings().out_features
        return [*self.vocabulary.unused, *range(self.vocabulary.size, rows)]

    @torch.no_grad()
    def _complete_batch(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, noise: GumbelNoise | None
    ) -> list[tuple[int, ...]]:
        longest = max(len(prompt) for prompt in prompts)
        padding = [longest - len(prompt) for prompt in prompts]
        device = self.model.device
        ids_BT = torch.tensor(
            [[PADDING_ID] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)],
            device=device,
        )
        mask_BT = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding], device=device)
        output_BT = self.model.generate(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=list(self.stop_ids),
            pad_token_id=PADDING_ID,
            suppress_tokens=self._no_tokens or None,
            logits_processor=LogitsProcessorList([noise] if noise else []),
        )
        return [_until_stop(row, set(self.stop_ids)) for row in cast(Tensor, output_BT)[:, longest:].tolist()]


def _until_stop(ids: list[int], stop_ids: set[int]) -> tuple[int, ...]:
    """The row up to and including its first stop token; what follows is padding."""
    for position, token in enumerate(ids):
        if token in stop_ids:
            return tuple(ids[: position + 1])
    return tuple(ids)
