"""A cache whose layers keep room for the tokens to come, so that a step copies none of what is there.

transformers' own is laid down anew, one token longer, in every step. Shapes: B rows, K key heads, W columns,
D head dimension.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from lrbench.models.forward import unwrapped
from lrbench.models.loading import Model

ROOM = 32
# Under these names models take and give what they remember of the tokens they have read. The first is that of
# transformers 5.24 and later.
CACHES = ("cache", "past_key_values", "cache_params")


class LayerWithRoom(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, K, W, D) of one layer, which `hold` replaces by others."""

    # None until there are any, which callers of a layer that has been written to need not ask for.
    keys: Any
    values: Any

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[Tensor] = []

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **settings: Any
    ) -> tuple[Tensor, Tensor]:
        """Put new columns behind those that are there, and give all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        here = self.get_seq_length()
        whole = here + key_states.shape[-2]
        if here == 0:
            self.hold(key_states, value_states)
            return self.keys, self.values
        if not self._parts or self._parts[0].shape[-2] < whole:
            self._parts = [_with_room(part) for part in (self.keys, self.values)]
        for part, states in zip(self._parts, (key_states, value_states), strict=True):
            part[:, :, here:whole] = states
        self.keys, self.values = (part[:, :, :whole] for part in self._parts)
        return self.keys, self.values

    def hold(self, keys: Tensor | None, values: Tensor | None) -> None:
        """Take other keys and values, or none, and let go of the room behind those that were there."""
        self._parts = []
        self.keys, self.values = keys, values


def cache_with_room(config: Any) -> DynamicCache:
    """An empty cache for a model whose layers all keep every token."""
    cache = DynamicCache(config=config)
    cache.layers = [LayerWithRoom() for _ in cache.layers]
    return cache


def remembered(model: Model, cache: DynamicCache) -> dict[str, DynamicCache]:
    """The cache as the argument by which the model takes it."""
    return {_cache_name(type(unwrapped(model)).forward): cache}


@functools.cache
def _cache_name(forward: Callable[..., object]) -> str:
    taken = inspect.signature(forward).parameters
    # One that hands its arguments on, whatever they are called, hands on what most models take.
    return next((name for name in CACHES if name in taken), "past_key_values")


def _with_room(part: Tensor) -> Tensor:
    rows, heads, columns, dimension = part.shape
    roomy = part.new_empty(rows, heads, columns + ROOM, dimension)
    roomy[:, :, :columns] = part
    return roomy
