"""The engine `hf`: batched generation with transformers, in this process.

A row's randomness depends on its seed alone, so the rows it happens to be written with do not change what
is sampled.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, islice

import torch

from lrbench.errors import RunError
from lrbench.methods.answers import OWN
from lrbench.models.loading import Model
from lrbench.models.memory import out_of_memory, size_of
from lrbench.recipe.schema import BatchSize
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import Decoding, Request, StreamingEngine, TokenRules
from lrbench.sampling.engines.batch_size import rows_that_fit
from lrbench.sampling.engines.choosing import Choice
from lrbench.sampling.engines.decoding import Decoder
from lrbench.sampling.engines.own_tokens import DEFAULT_ROWS, token_log_probabilities
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.refilling import can_refill
from lrbench.sampling.engines.whole_batches import complete_batch

logger = logging.getLogger(__name__)

# Of so many requests the longest says how many rows fit.
LOOKED_AT = 1024


class TransformersEngine(StreamingEngine):
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

    def ordered(self, requests: Sequence[Request]) -> list[tuple[int, Request]]:
        """The longest prompts first, and similar lengths together."""
        return sorted(enumerate(requests), key=lambda numbered: -len(numbered[1].prompt))

    def stream_requests(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding
    ) -> Iterator[tuple[int, Answered]]:
        """An answer per request, by its number, each as soon as it is done; free rows take the next requests.

        Rows that do not fit into memory are halved, and so is the batch size from there on; what was done is
        kept. Raises `RunError` when one row alone does not fit.
        """
        coming = iter(requests)
        while True:
            at_once, coming = self._at_once(coming)
            taking = Taking(coming)
            try:
                for index, answered in self.write(taking, decoding, at_once):
                    taking.done(index)
                    yield index, answered
                return
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                # Its frames hold all that filled the memory.
                failure = error.with_traceback(None)
            # Memory may run out in the model's trial, before anything was taken.
            left = taking.under_way or dict(islice(coming, 1))
            if not left:
                return
            self._take_less(min(at_once, taking.most or at_once), left, failure)
            coming = chain(left.items(), coming)

    def write(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding, at_once: int
    ) -> Iterator[tuple[int, Answered]]:
        """As `stream_requests`, with `at_once` rows, for which there has to be memory."""
        choice = Choice(self.rules.no_tokens, decoding, self.model.device)
        stops = self.rules.stop_ids
        if can_refill(self.model):
            decoder = Decoder([self.model], stops, choice, at_once, self.padding)
            for index, completion in decoder.complete(requests):
                yield index, Answered.alone(OWN, completion)
            return
        coming = iter(requests)
        while batch := dict(islice(coming, at_once)):
            rows = complete_batch(self.model, list(batch.values()), stops, choice, self.padding)
            yield from zip(batch, (Answered.alone(OWN, row) for row in rows), strict=True)

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """As declared, or as many as fit."""
        rows = self.rows_that_fit(requests) if self.batch_size == "auto" else self.batch_size
        return min(rows, len(requests))

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

    def _at_once(self, coming: Iterator[tuple[int, Request]]) -> tuple[int, Iterator[tuple[int, Request]]]:
        """How many rows to write at once, and the requests, of which the first may have been looked at."""
        if self.batch_size != "auto":
            return self.batch_size, coming
        looked_at = list(islice(coming, LOOKED_AT))
        return self.rows_that_fit([request for _, request in looked_at]), chain(looked_at, coming)

    def rows_that_fit(self, requests: Sequence[Request]) -> int:
        """How many of `requests` memory has room for at once, at least 1."""
        return rows_that_fit(self.model, requests)

    def _take_less(self, at_once: int, left: Mapping[int, Request], failure: RuntimeError) -> None:
        """Halve the rows from here on, after `at_once` of what is `left` did not fit."""
        if at_once == 1:
            request = next(iter(left.values()))
            raise RunError(
                f"out of memory: {size_of(self.model)} cannot complete one prompt of "
                f"{len(request.prompt)} tokens with up to {request.max_new_tokens} new ones. Lower "
                "max_new_tokens, use a smaller expert or a smaller dtype, or free memory."
            ) from failure
        self.batch_size = at_once // 2
        logger.warning("out of memory while writing: going on with %d rows at once", self.batch_size)
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()


class Taking:
    """Requests as they are taken, with those that are not done: iterating takes them.

    `most` is how many were under way together at most.
    """

    def __init__(self, coming: Iterator[tuple[int, Request]]) -> None:
        self.under_way: dict[int, Request] = {}
        self.most = 0
        self._coming = coming

    def __iter__(self) -> Iterator[tuple[int, Request]]:
        for index, request in self._coming:
            self.under_way[index] = request
            self.most = max(self.most, len(self.under_way))
            yield index, request

    def done(self, index: int) -> None:
        """The request with this number has its answer."""
        del self.under_way[index]
