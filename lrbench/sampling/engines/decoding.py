"""Writing token by token: rows that are done leave, and waiting prompts take their place.

Several models can have a say in every token; they go forward in lockstep, each with a cache of its own. Rows
end in the same column of the caches and are padded on the left. Shapes: B rows, T tokens of a prompt,
W columns of the cache, V vocabulary, H heads, D head dimension.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from transformers import DynamicCache

from lrbench.models.loading import Model
from lrbench.models.pieces import TOKENS_PER_FORWARD
from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.cache_shift import Shift
from lrbench.sampling.engines.choosing import Chooser
from lrbench.sampling.engines.grouped_queries import without_copies
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.room import LayerWithRoom, cache_with_room, remembered
from lrbench.sampling.engines.rows import Row

PADDING_ID = 0
# The share of free rows from which on waiting prompts are read: reading a few costs a whole forward.
REFILL = 1 / 4


@dataclass
class Group:
    """Rows that go forward together, with the cache of each model.

    `mask` (B, W) is added to attention: zero where caches are real, minus infinity where they are padding.
    """

    rows: list[Row]
    caches: list[DynamicCache]
    mask: Tensor


class Decoder:
    """Completes requests, at most `at_once` rows at a time; `chooser` sees the logits of all `models`."""

    def __init__(
        self,
        models: Sequence[Model],
        stop_ids: Sequence[int],
        chooser: Chooser,
        at_once: int,
        padding: Padding,
        shift: Shift | None = None,
    ) -> None:
        """With a `shift`, one entry of every prompt's cache in the first model is moved before it is done."""
        self.models = models
        self.shift = shift
        self.device = models[0].device
        self.stop_ids = frozenset(stop_ids)
        self.chooser = chooser
        self.at_once = at_once
        self.padding = padding

    def complete(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The completions by index, as `rows` gives them."""
        for row in self.rows(requests):
            yield row.index, tuple(row.written)

    @torch.no_grad()
    def rows(self, requests: Iterable[tuple[int, Request]]) -> Iterator[Row]:
        """The row of every request, by index, as soon as it is done; prompts are read in the given order.

        Never are more than twice `at_once` of them taken that are not done.
        """
        coming = iter(requests)
        waiting = deque(islice(coming, self.at_once))
        running: Group | None = None
        while waiting or running:
            free = min(self.at_once - (len(running.rows) if running else 0), len(waiting))
            # As many are waiting as may run, as long as there are any.
            if free and (free >= self.at_once * REFILL or free == len(waiting) or not running):
                joining = [self._row(*waiting.popleft()) for _ in range(free)]
                joining.sort(key=lambda row: -len(row.request.prompt))
                waiting.extend(islice(coming, free))
                new = [self.read(piece) for piece in self._pieces(joining)]
                running = merged([running, *new] if running else new)
            elif running:
                self.step(running)
            assert running is not None
            left = []
            for place, row in enumerate(running.rows):
                if row.is_done(self.stop_ids):
                    self.padding.completion(len(row.request.prompt), len(row.written))
                    yield row
                else:
                    left.append(place)
            if len(left) < len(running.rows):
                running = kept(running, left) if left else None

    def _row(self, index: int, request: Request) -> Row:
        return Row(index, request, self.chooser.stream(request.seed))

    def _pieces(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Rows that are read in one forward each, so that its size has a bound; the longest come first."""
        most = TOKENS_PER_FORWARD["cuda" if self.device.type == "cuda" else "cpu"]
        pieces: list[list[Row]] = []
        for row in rows:
            if not pieces or (len(pieces[-1]) + 1) * len(pieces[-1][0].request.prompt) > most:
                pieces.append([])
            pieces[-1].append(row)
        return pieces

    def read(self, rows: list[Row]) -> Group:
        """Prompts go into new caches, and each row gets its first token."""
        prompts = [row.request.prompt for row in rows]
        if self.shift is not None:
            # The last token is read after what stands before it was moved.
            prompts = [prompt[:-1] for prompt in prompts]
        longest = max(map(len, prompts))
        ids_BT = torch.tensor(
            [[PADDING_ID] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=self.device
        )
        positions_BT = torch.tensor(
            [[-1] * (longest - len(prompt)) + list(range(len(prompt))) for prompt in prompts],
            device=self.device,
        )
        real_BT = (positions_BT >= 0).long()
        caches = [cache_with_room(model.config) for model in self.models]
        logits = self._forward(rows, caches, ids_BT, real_BT, positions_BT.clamp_(min=0))
        mask = torch.zeros(ids_BT.shape, dtype=self.models[0].dtype, device=self.device)
        group = Group(rows, caches, mask.masked_fill_(real_BT == 0, -torch.inf))
        if self.shift is None:
            self._write(rows, logits)
        else:
            self.shift.apply(caches[0])
            self._go_on(group, [row.request.prompt[-1] for row in rows], list(map(len, prompts)))
        return group

    def step(self, group: Group) -> None:
        """One more token for each row."""
        rows = group.rows
        self._go_on(group, [row.written[-1] for row in rows], [row.length for row in rows])

    def _go_on(self, group: Group, ids: Sequence[int], positions: Sequence[int]) -> None:
        """Read one token of each row, at its position, and write the next."""
        ids_BT = torch.tensor([[token] for token in ids], device=self.device)
        positions_BT = torch.tensor([[position] for position in positions], device=self.device)
        group.mask = torch.nn.functional.pad(group.mask, (0, 1))
        # A mask of four dimensions is taken as it is; one of two would be worked out anew for each token.
        mask = group.mask[:, None, None]
        self._write(group.rows, self._forward(group.rows, group.caches, ids_BT, mask, positions_BT))

    def _forward(
        self,
        rows: Sequence[Row],
        caches: Sequence[DynamicCache],
        ids_BT: Tensor,
        mask: Tensor,
        positions_BT: Tensor,
    ) -> list[Tensor]:
        """The logits (B, V) of each model for what comes next."""
        with without_copies():
            logits = [
                model(
                    input_ids=ids_BT,
                    attention_mask=mask.to(model.dtype) if mask.is_floating_point() else mask,
                    position_ids=positions_BT,
                    **remembered(model, cache),
                    use_cache=True,
                    logits_to_keep=1,
                ).logits[:, -1]
                for model, cache in zip(self.models, caches, strict=True)
            ]
        self.padding.forward(len(rows), ids_BT.shape[1], columns=mask.shape[-1])
        return logits

    def _write(self, rows: Sequence[Row], logits: Sequence[Tensor]) -> None:
        for row, token in zip(rows, self.chooser.next_tokens(logits, rows), strict=True):
            row.written.append(token)


def kept(group: Group, places: Sequence[int]) -> Group:
    """The rows of a group at `places`, without the columns that none of them has a token in."""
    rows = [group.rows[place] for place in places]
    width = max(row.length for row in rows)
    chosen_B = torch.tensor(places, device=group.mask.device)
    for layer in _layers(group):
        layer.hold(*(part[:, :, -width:].index_select(0, chosen_B) for part in (layer.keys, layer.values)))
    return Group(rows, group.caches, group.mask[:, -width:].index_select(0, chosen_B))


def merged(groups: Sequence[Group]) -> Group:
    """One group of all rows, those with fewer columns padded on the left."""
    first = groups[0]
    if len(groups) == 1:
        return first
    width = max(group.mask.shape[1] for group in groups)
    for layer, *others in zip(*(_layers(group) for group in groups), strict=True):
        layer.hold(
            torch.cat([padded(part.keys, width) for part in (layer, *others)]),
            torch.cat([padded(part.values, width) for part in (layer, *others)]),
        )
        for part in others:
            # Kept until all layers are merged, the caches would be in memory twice.
            part.hold(None, None)
    masks = [
        torch.nn.functional.pad(group.mask, (width - group.mask.shape[1], 0), value=-torch.inf)
        for group in groups
    ]
    return Group([row for group in groups for row in group.rows], first.caches, torch.cat(masks))


def _layers(group: Group) -> list[LayerWithRoom]:
    """The layers of every model's cache, one after the other."""
    return [layer for cache in group.caches for layer in cache.layers]


def padded(states_BHWD: Tensor, width: int) -> Tensor:
    """Keys or values with empty columns on the left, `width` in all."""
    return torch.nn.functional.pad(states_BHWD, (0, 0, width - states_BHWD.shape[2], 0))
