"""The engine `hf`: batched generation with transformers, in this process.

A row's randomness depends on its seed alone, so the rows it happens to be written with do not change what
is sampled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import islice
from typing import TypeVar

import torch

from lrbench.errors import RunError
from lrbench.models.loading import Model
from lrbench.models.memory import out_of_memory, size_of
from lrbench.recipe.schema import BatchSize
from lrbench.sampling.engines.base import Decoding, Engine, Request, TokenRules
from lrbench.sampling.engines.batch_size import rows_that_fit
from lrbench.sampling.engines.choosing import Choice
from lrbench.sampling.engines.decoding import Decoder
from lrbench.sampling.engines.own_tokens import DEFAULT_ROWS, token_log_probabilities
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.refilling import can_refill
from lrbench.sampling.engines.whole_batches import complete_batch

logger = logging.getLogger(__name__)

Written = TypeVar("Written")
# Writes waiting requests, so many at once, and gives what it wrote by their index as soon as it is done.
Write = Callable[[Mapping[int, Request], int], Iterator[tuple[int, Written]]]


class TransformersEngine(Engine):
    """A loaded model that completes at most `batch_size` rows at a time, or as many as fit for `auto`.

    `padding` counts what is computed, over all calls.
    """

    name = "hf"

    def __init__(
        self, model: Model, rules: TokenRules, batch_size: BatchSize, padding: Padding | None = None
    ) -> None:
        self.model = model
        self.rules = rules
        self.batch_size = batch_size
        self.padding = Padding() if padding is None else padding

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        """One completion per request, in the given order."""
        return self._all(requests, partial(self._completed, decoding))

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """As declared, or as many as fit."""
        return min(self._at_once(requests), len(requests))

    def complete_narrowly(
        self, requests: Sequence[Request], decoding: Decoding, rows: int
    ) -> list[tuple[int, ...]]:
        """Rows that are done make place for others here too."""
        narrow = copy(self)
        narrow.batch_size = rows
        return narrow.complete_requests(requests, decoding)

    def log_probabilities_of(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """The log-probability, nats, of every token of each completion after its prompt."""
        rows = self.batch_size if isinstance(self.batch_size, int) else DEFAULT_ROWS
        return token_log_probabilities(self.own, prompts, completions, rows)

    @property
    def own(self) -> Model:
        """The arm's own model."""
        return self.model

    def _all(self, requests: Sequence[Request], write: Write[Written]) -> list[Written]:
        """What `write` gives for each request: the longest prompts first, and similar lengths together.

        Rows that do not fit into memory are halved, and so is the batch size from there on: what follows is
        shorter, so the first rows find the size that fits. Completions that were done are kept. Raises
        `RunError` when one row alone does not fit.
        """
        order = sorted(range(len(requests)), key=lambda index: -len(requests[index].prompt))
        waiting = {index: requests[index] for index in order}
        completions: dict[int, Written] = {}
        while waiting:
            at_once = min(self._at_once(list(waiting.values())), len(waiting))
            failure = _add(write(waiting, at_once), completions)
            waiting = {index: request for index, request in waiting.items() if index not in completions}
            if failure is None:
                continue
            if at_once == 1:
                request = next(iter(waiting.values()))
                raise RunError(
                    f"out of memory: {size_of(self.model)} cannot complete one prompt of "
                    f"{len(request.prompt)} tokens with up to {request.max_new_tokens} new ones. Lower "
                    "max_new_tokens, use a smaller expert or a smaller dtype, or free memory."
                ) from failure
            self.batch_size = at_once // 2
            logger.warning("out of memory while writing: going on with %d rows at once", self.batch_size)
            if self.model.device.type == "cuda":
                torch.cuda.empty_cache()
        return [completions[index] for index in range(len(requests))]

    def _at_once(self, requests: Sequence[Request]) -> int:
        return rows_that_fit(self.model, requests) if self.batch_size == "auto" else self.batch_size

    def _completed(
        self, decoding: Decoding, waiting: Mapping[int, Request], at_once: int
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        choice = Choice(self.rules.no_tokens, decoding, self.model.device)
        stops = self.rules.stop_ids
        if can_refill(self.model):
            decoder = Decoder([self.model], stops, choice, at_once, self.padding)
            yield from decoder.complete(waiting)
            return
        requests = iter(waiting.items())
        while batch := dict(islice(requests, at_once)):
            rows = complete_batch(self.model, list(batch.values()), stops, choice, self.padding)
            yield from zip(batch, rows, strict=True)


def _add(written: Iterable[tuple[int, Written]], completions: dict[int, Written]) -> RuntimeError | None:
    """Add completions until all are done or memory has run out; the error that said so."""
    try:
        for index, completion in written:
            completions[index] = completion
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        # Its frames hold all that filled the memory.
        return error.with_traceback(None)
    return None
