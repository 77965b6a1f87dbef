"""Which attempt each token of an answer is of, and which attempts have failed, as files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lrbench.sampling.continuing import SCHEMA

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class Attempt:
    """A part of an answer: the character at which it `begins`, and its `text` without what parts it."""

    begins: int
    text: str


def attempts_in(text: str, after: str) -> list[Attempt]:
    """The attempts of a text, at least one: another begins with every `after` and the space before it."""
    marks = list(re.finditer(rf"\s*{re.escape(after)}", text))
    starts = [(0, 0), *((mark.start(), mark.end()) for mark in marks)]
    ends = [*(mark.start() for mark in marks), len(text)]
    return [Attempt(begins, text[told:end]) for (begins, told), end in zip(starts, ends, strict=True)]


def first_tokens(attempts: Sequence[Attempt], ids: Sequence[int], decode: Decode) -> list[int]:
    """The place of each attempt's first token: with it the decoded text goes beyond where that begins."""

    def first(character: int) -> int:
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if len(decode(ids[: middle + 1])) > character:
                high = middle
            else:
                low = middle + 1
        return low

    return [0, *(first(attempt.begins) for attempt in attempts[1:])]


@dataclass(frozen=True)
class Parted:
    """Of rollout number `rollout`, with so many `steps`: where attempts begin, and which have failed."""

    rollout: int
    steps: int
    begins: Sequence[int]
    failed: Sequence[bool]


def write_attempts(path: Path, parted: Iterable[Parted]) -> None:
    """Write for every step the number of its attempt, from 1, and whether that has failed."""
    rows: dict[str, list[int]] = {name: [] for name in SCHEMA.names}
    for one in parted:
        ends = [*one.begins[1:], one.steps]
        for number, (begin, end) in enumerate(zip(one.begins, ends, strict=True), start=1):
            count = end - begin
            rows["rollout"] += [one.rollout] * count
            rows["step"] += range(begin, end)
            rows["tried"] += [number] * count
            rows["failed"] += [int(one.failed[number - 1])] * count
    pq.write_table(pa.table(rows, schema=SCHEMA), path, compression="zstd")
