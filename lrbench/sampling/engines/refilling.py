"""Which models' rows may leave a batch and be replaced: those whose cache is plain, proven by a trial."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from lrbench.models.forward import unwrapped
from lrbench.models.loading import Model
from lrbench.models.memory import out_of_memory
from lrbench.sampling.engines.base import GREEDY, Request
from lrbench.sampling.engines.choosing import Choice
from lrbench.sampling.engines.decoding import Decoder, kept, merged
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.rows import Row

# Rotations that depend on the longest row of the batch: what is in the cache would be rotated otherwise.
BY_LENGTH = ("dynamic", "longrope")
# Lengths of the three prompts of a trial; their differences are the padding that must not count.
TRIAL_LENGTHS = (24, 4, 9)
# Mean difference of logits that arithmetic alone may cause, in standard deviations of them.
TOLERANCE = {torch.float32: 1e-3}
TOLERANCE_OF_HALVES = 0.1

_tried: WeakKeyDictionary[Model, bool] = WeakKeyDictionary()


def can_refill(model: Model) -> bool:
    """Whether rows of `model` can leave and join; tried once for a model, with or without an adapter.

    Raises what a forward raises when memory runs out.
    """
    base = unwrapped(model)
    if base not in _tried:
        _tried[base] = _is_plain(base) and _trial(base)
    return _tried[base]


def _is_plain(model: Model) -> bool:
    """Whether every layer's cache holds all tokens, rotated by nothing but their own place."""
    config = model.config.get_text_config(decoder=True)
    if model.config.is_encoder_decoder or not _rotations(config).isdisjoint(BY_LENGTH):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _rotations(config: Any) -> set[str]:
    parameters = getattr(config, "rope_parameters", None) or {}
    kinds = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    return {str(kind.get("rope_type")) for kind in kinds}


class _Remembering(Choice):
    """A greedy choice that keeps the last logits (B, V) it saw."""

    last: Tensor

    def scores(self, logits_BV: Tensor, streams: Any) -> Tensor:
        self.last = logits_BV.float()
        return super().scores(logits_BV.clone(), streams)


@torch.no_grad()
def _trial(model: Model) -> bool:
    """Whether rows that left, stayed and joined get the logits of forwards without any cache."""
    choice = _Remembering((), GREEDY, model.device)
    decoder = Decoder([model], (), choice, len(TRIAL_LENGTHS), Padding())
    long, short, middle = (_trial_prompt(model, length) for length in TRIAL_LENGTHS)
    try:
        group = merged([decoder.read([_row(long), _row(short)]), decoder.read([_row(middle)])])
        decoder.step(group)
        group = merged([kept(group, [1, 2]), decoder.read([_row(long)])])
        decoder.step(group)
        found_BV = choice.last
        expected_BV = torch.stack([_last_logits(model, row) for row in group.rows])
    except Exception as error:  # what an architecture with another forward or cache raises is its own
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        return False
    difference = (found_BV - expected_BV).abs().mean() / expected_BV.std()
    return bool(difference < TOLERANCE.get(model.dtype, TOLERANCE_OF_HALVES))


def _trial_prompt(model: Model, length: int) -> tuple[int, ...]:
    tokens = model.config.get_text_config(decoder=True).vocab_size
    return tuple((7 * place + 3 * length) % tokens for place in range(length))


def _row(prompt: tuple[int, ...]) -> Row:
    return Row(0, Request(prompt, max_new_tokens=8, seed=0), None)


def _last_logits(model: Model, row: Row) -> Tensor:
    """The logits (V) that chose the row's last token, from one forward of all before it."""
    ids_BT = torch.tensor([[*row.request.prompt, *row.written[:-1]]], device=model.device)
    logits_V: Tensor = model(input_ids=ids_BT, use_cache=False).logits[0, -1].float()
    return logits_V
