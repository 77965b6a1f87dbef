"""Answers of many lengths from one queue of all prompts, against shards of them: seconds, forward passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.bench.comparisons import wait
from experiments.bench.measuring import Comparison, Line, seconds
from experiments.bench.subjects import Subject
from lrbench.sampling.engines.base import GREEDY, Request
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.transformers import TransformersEngine

SHARD = 100
# Of every twenty answers one goes on to the limit, as answers that never come to an end do.
AT_THE_LIMIT = 20


@dataclass
class Forwards(Padding):
    """Counts forward passes, too."""

    count: int = 0

    def forward(self, rows: int, tokens: int, columns: int) -> None:
        """One more."""
        super().forward(rows, tokens, columns)
        self.count += 1


def queueing(name: str, subject: Subject, batch_size: int, runs: int) -> Iterator[Line]:
    """P10: seconds of both ways in turn, and how many forward passes each takes for a token."""
    requests = of_many_lengths(subject)
    tokens = sum(request.max_new_tokens for request in requests)
    # Nothing but its length ends an answer, so that all ways write the same number of tokens.
    free = replace(subject, rules=replace(subject.rules, stop_ids=()))
    took: dict[int, list[float]] = {len(requests): [], SHARD: []}
    per_token: dict[int, list[float]] = {}

    def written(size: int) -> None:
        per_token[size] = [forwards(free, requests, batch_size, size) / tokens]
        wait()

    forwards(free, requests[:batch_size], batch_size, batch_size)
    for _ in range(runs):
        for size, times in took.items():
            times.append(seconds(lambda size=size: written(size)))
    of = f"{name}, batch {batch_size}, {len(requests)} answers of {tokens:,} tokens"
    yield Comparison(f"{of}: one queue, against shards of {SHARD}", *took.values(), "")
    yield Comparison(f"{of}: forwards a token", *per_token.values(), "at least 1")


def of_many_lengths(subject: Subject) -> list[Request]:
    """A request for every prompt: log-normal lengths around a fifth of the limit, some at the limit."""
    limit = subject.new_tokens
    drawn = np.random.default_rng(2).lognormal(np.log(limit / 5), 0.7, len(subject.prompts))
    lengths = np.clip(drawn.astype(int), 1, limit)
    lengths[::AT_THE_LIMIT] = limit
    return [
        Request(tuple(prompt), int(length), seed=0)
        for prompt, length in zip(subject.prompts, lengths, strict=True)
    ]


def forwards(subject: Subject, requests: Sequence[Request], batch_size: int, size: int) -> int:
    """How many forward passes it takes to write all requests, given to the engine `size` at a time."""
    counted = Forwards()
    engine = TransformersEngine(subject.pair.expert, subject.rules, batch_size, counted)
    for start in range(0, len(requests), size):
        part = requests[start : start + size]
        completions = engine.complete_requests(part, GREEDY)
        assert [len(ids) for ids in completions] == [request.max_new_tokens for request in part]
    return counted.count
