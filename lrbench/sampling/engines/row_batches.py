"""Rows that begin and end together, read by several models whose caches cannot lose and gain rows.

Each model reads as its own generation does, with whatever cache it has, or with none. Shapes: B rows,
T tokens so far, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lrbench.models.forward import unwrapped
from lrbench.models.loading import Model
from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.choosing import Chooser
from lrbench.sampling.engines.decoding import PADDING_ID
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.room import CACHES
from lrbench.sampling.engines.rows import Row


class Reader:
    """One model that reads rows as they grow; one without a cache reads all of them again."""

    def __init__(self, model: Model) -> None:
        self._model = unwrapped(model)
        self._taken = inspect.signature(type(self._model).forward).parameters
        self._cache: dict[str, Any] = {}

    def last_logits(self, ids_BT: Tensor, real_BT: Tensor) -> Tensor:
        """Logits (B, V) of what comes next; `real_BT` is 0 where a row is padded on the left."""
        settings = {
            "attention_mask": real_BT,
            "position_ids": (real_BT.cumsum(-1) - 1).clamp_(min=0),
            "logits_to_keep": 1,
        }
        inputs = self._model.prepare_inputs_for_generation(
            ids_BT,
            next_sequence_length=1 if self._cache else None,
            is_first_iteration=not self._cache,
            use_cache=True,
            **{name: value for name, value in settings.items() if name in self._taken},
            **self._cache,
        )
        output = self._model(**inputs, return_dict=True)
        self._cache = {name: output[name] for name in CACHES if output.get(name) is not None}
        logits_BV: Tensor = output.logits[:, -1]
        return logits_BV


@torch.no_grad()
def batch_rows(
    models: Sequence[Model],
    batch: Mapping[int, Request],
    stop_ids: frozenset[int],
    chooser: Chooser,
    padding: Padding,
) -> list[Row]:
    """The rows of a batch of requests by index, all complete; it ends with its longest row."""
    rows = [Row(index, request, chooser.stream(request.seed)) for index, request in batch.items()]
    readers = [Reader(model) for model in models]
    device = models[0].device
    longest = max(len(row.request.prompt) for row in rows)
    empty = [longest - len(row.request.prompt) for row in rows]
    ids_BT = torch.tensor(
        [[PADDING_ID] * pad + list(row.request.prompt) for pad, row in zip(empty, rows, strict=True)],
        device=device,
    )
    real_BT = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in empty], device=device)
    going = list(range(len(rows)))
    while going:
        logits = [reader.last_logits(ids_BT, real_BT)[going] for reader in readers]
        read = ids_BT.shape[1] if ids_BT.shape[1] == longest else 1
        padding.forward(len(rows), read, columns=ids_BT.shape[1])
        column = [PADDING_ID] * len(rows)
        for place, token in zip(going, chooser.next_tokens(logits, [rows[p] for p in going]), strict=True):
            rows[place].written.append(token)
            column[place] = token
        ids_BT = torch.cat([ids_BT, ids_BT.new_tensor(column)[:, None]], dim=1)
        real_BT = torch.nn.functional.pad(real_BT, (0, 1), value=1)
        going = [place for place in going if not rows[place].is_done(stop_ids)]
    for row in rows:
        padding.completion(len(row.request.prompt), len(row.written))
    return rows
