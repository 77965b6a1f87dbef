"""One entry of a question's cache, moved once before an answer begins.

It is the last entry but one: the prompt's last token is read after it was moved, so that the first token of
the answer depends on it too. Shapes: B rows, K key heads, W columns, D head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from lrbench.methods.cache_shift import CacheShift
from lrbench.models.loading import Model
from lrbench.sampling.engines.relays import Speech
from lrbench.sampling.engines.room import cache_with_room, remembered


@dataclass(frozen=True)
class Shift:
    """What is added to the keys and values (K, D) of one entry, for each layer."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def apply(self, cache: DynamicCache) -> None:
        """Move the last entry of every row."""
        for layer, key_KD, value_KD in zip(cache.layers, self.keys, self.values, strict=True):
            keys_BKWD, values_BKWD = layer.keys.clone(), layer.values.clone()
            keys_BKWD[:, :, -1] += key_KD
            values_BKWD[:, :, -1] += value_KD
            layer.hold(keys_BKWD, values_BKWD)


@torch.no_grad()
def measured_shift(
    model: Model, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], keys: float, values: float
) -> Shift:
    """The mean difference of the last entry but one between the two prompts (token ids) of each pair.

    Keys are multiplied by `keys`, values by `values`. They are as they lie in the cache: rotated by the place
    that they have in their prompt.
    """
    sums: list[list[Tensor]] = []
    for towards, away in pairs:
        differences = [
            one - other for one, other in zip(_entries(model, towards), _entries(model, away), strict=True)
        ]
        sums.append(differences)
    means = [torch.stack(each).mean(0) for each in zip(*sums, strict=True)]
    return Shift(tuple(keys * mean for mean in means[::2]), tuple(values * mean for mean in means[1::2]))


def shift_of(answer: CacheShift, model: Model, speech: Speech) -> Shift:
    """By how much the cache of every question to `model` is moved."""
    shifting = answer.cache_shift
    pairs = [(speech.ask(towards), speech.ask(away)) for towards, away in shifting.pairs]
    return measured_shift(model, pairs, shifting.keys, shifting.values)


def _entries(model: Model, prompt: Sequence[int]) -> list[Tensor]:
    """Keys and values (K, D) of the last entry but one, layer by layer."""
    cache = cache_with_room(model.config)
    ids_BT = torch.tensor([list(prompt[:-1])], device=model.device)
    model(input_ids=ids_BT, **remembered(model, cache), use_cache=True, logits_to_keep=1)
    return [part[0, :, -1] for layer in cache.layers for part in (layer.keys, layer.values)]
