"""Writing token by token: rows that are done leave, and waiting prompts take their place.

Rows end in the same column of the cache and are padded on the left. Shapes: B rows, T tokens of a prompt,
W columns of the cache, V vocabulary, H heads, D head dimension.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache

from lrbench.models.loading import Model
from lrbench.models.pieces import TOKENS_PER_FORWARD
from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.choosing import Choice
from lrbench.sampling.engines.padding import Padding

PADDING_ID = 0
# The share of free rows from which on waiting prompts are read: reading a few costs a whole forward.
REFILL = 1 / 4


@dataclass
class Row:
    """One request under way."""

    index: int
    request: Request
    stream: torch.Generator | None
    written: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens of it that are in the cache."""
        return len(self.request.prompt) + len(self.written) - 1


@dataclass
class Group:
    """Rows that go forward together.

    `mask` (B, W) is added to attention: zero where the cache is real, minus infinity where it is padding.
    """

    rows: list[Row]
    cache: DynamicCache
    mask: Tensor


class Decoder:
    """Completes requests with one model, at most `at_once` rows at a time."""

    def __init__(
        self, model: Model, stop_ids: Sequence[int], choice: Choice, at_once: int, padding: Padding
    ) -> None:
        self.model = model
        self.device = model.device
        self.stop_ids = frozenset(stop_ids)
        self.choice = choice
        self.at_once = at_once
        self.padding = padding

    @torch.no_grad()
    def complete(self, requests: Mapping[int, Request]) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The completions by index, each as soon as it is done; prompts are read in the given order."""
        waiting = deque(requests.items())
        running: Group | None = None
        while waiting or running:
            free = min(self.at_once - (len(running.rows) if running else 0), len(waiting))
            if free and (free >= self.at_once * REFILL or free == len(waiting) or not running):
                joining = [self._row(*waiting.popleft()) for _ in range(free)]
                new = [self.read(piece) for piece in self._pieces(joining)]
                running = merged([running, *new] if running else new)
            elif running:
                self.step(running)
            assert running is not None
            left = []
            for place, row in enumerate(running.rows):
                if self._is_done(row):
                    self.padding.completion(len(row.request.prompt), len(row.written))
                    yield row.index, tuple(row.written)
                else:
                    left.append(place)
            if len(left) < len(running.rows):
                running = kept(running, left) if left else None

    def _row(self, index: int, request: Request) -> Row:
        return Row(index, request, self.choice.stream(request.seed))

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
        """Prompts go into a new cache, and each row gets its first token."""
        prompts = [row.request.prompt for row in rows]
        longest = max(map(len, prompts))
        ids_BT = torch.tensor(
            [[PADDING_ID] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=self.device
        )
        positions_BT = torch.tensor(
            [[-1] * (longest - len(prompt)) + list(range(len(prompt))) for prompt in prompts],
            device=self.device,
        )
        real_BT = (positions_BT >= 0).long()
        cache = DynamicCache(config=self.model.config)
        self._forward(rows, cache, ids_BT, real_BT, positions_BT.clamp_(min=0))
        mask = torch.zeros(ids_BT.shape, dtype=self.model.dtype, device=self.device)
        return Group(rows, cache, mask.masked_fill_(real_BT == 0, -torch.inf))

    def step(self, group: Group) -> None:
        """One more token for each row."""
        ids_BT = torch.tensor([[row.written[-1]] for row in group.rows], device=self.device)
        positions_BT = torch.tensor([[row.length] for row in group.rows], device=self.device)
        group.mask = torch.nn.functional.pad(group.mask, (0, 1))
        # A mask of four dimensions is taken as it is; one of two would be worked out anew for each token.
        self._forward(group.rows, group.cache, ids_BT, group.mask[:, None, None], positions_BT)

    def _forward(
        self, rows: Sequence[Row], cache: DynamicCache, ids_BT: Tensor, mask: Tensor, positions_BT: Tensor
    ) -> None:
        output = self.model(
            input_ids=ids_BT,
            attention_mask=mask,
            position_ids=positions_BT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.padding.forward(len(rows), ids_BT.shape[1], columns=mask.shape[-1])
        scores_BV = self.choice.scores(output.logits[:, -1], [row.stream for row in rows])
        chosen_B = scores_BV.argmax(dim=-1)
        for row, token in zip(rows, chosen_B.tolist(), strict=True):
            row.written.append(token)

    def _is_done(self, row: Row) -> bool:
        return row.written[-1] in self.stop_ids or len(row.written) == row.request.max_new_tokens


def kept(group: Group, places: Sequence[int]) -> Group:
    """The rows of a group at `places`, without the columns that none of them has a token in."""
    rows = [group.rows[place] for place in places]
    width = max(row.length for row in rows)
    chosen_B = torch.tensor(places, device=group.mask.device)
    for layer in group.cache.layers:
        layer.keys = layer.keys[:, :, -width:].index_select(0, chosen_B)
        layer.values = layer.values[:, :, -width:].index_select(0, chosen_B)
    return Group(rows, group.cache, group.mask[:, -width:].index_select(0, chosen_B))


def merged(groups: Sequence[Group]) -> Group:
    """One group of all rows, those with fewer columns padded on the left."""
    first = groups[0]
    if len(groups) == 1:
        return first
    width = max(group.mask.shape[1] for group in groups)
    for layer, *others in zip(*(group.cache.layers for group in groups), strict=True):
        layer.keys = torch.cat([padded(part.keys, width) for part in (layer, *others)])
        layer.values = torch.cat([padded(part.values, width) for part in (layer, *others)])
        for part in others:
            # Kept until all layers are merged, the caches would be in memory twice.
            part.keys = part.values = None
    masks = [
        torch.nn.functional.pad(group.mask, (width - group.mask.shape[1], 0), value=-torch.inf)
        for group in groups
    ]
    return Group([row for group in groups for row in group.rows], first.cache, torch.cat(masks))


def padded(states_BHWD: Tensor, width: int) -> Tensor:
    """Keys or values with empty columns on the left, `width` in all."""
    return torch.nn.functional.pad(states_BHWD, (0, 0, width - states_BHWD.shape[2], 0))
