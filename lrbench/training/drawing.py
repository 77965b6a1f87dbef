"""Which problem is drawn at which place: all, shuffled once per epoch, one after the other without end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Draws:
    """Draws of `items` by `seed` and place alone, in the order in which `update_batches` has rollouts."""

    def __init__(self, items: Sequence[int], seed: int) -> None:
        self._items = items
        self._seed = seed
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def at(self, place: int) -> int:
        """The item that is drawn at a place, counted from 0."""
        epoch, within = divmod(place, len(self._items))
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._items))
            self._order = epoch, order
        return self._items[int(self._order[1][within])]
