"""Rollouts: a prompt and what a model wrote after it, as token ids end to end.

On disk they are Parquet files of any number of rollouts, written and read a group at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import pyarrow.parquet as pq

# Rollouts that are read together, and how many stay in memory: about 60 MB of the paper's.
ROLLOUTS_PER_GROUP = 256
ROLLOUTS_KEPT = 8192

SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("sample", pa.int32()),
        ("prompt_ids", pa.list_(pa.int32())),
        ("completion_ids", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True)
class Rollout:
    """One prompt with one completion; `completion_ids` ends with the stop token where one was written.

    Step t predicts `completion_ids[t]` from the prompt and the t tokens before it; step 0 is the first.
    """

    problem_id: str
    sample: int
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Prompt and completion, as a model reads them."""
        return self.prompt_ids + self.completion_ids

    @property
    def steps(self) -> int:
        """Number of steps: one per completion token."""
        return len(self.completion_ids)


def write_rollouts(path: Path, rollouts: Iterable[Rollout]) -> None:
    """Write rollouts as Parquet, one row each; only one group of them is in memory at a time."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for group in groups_of(rollouts, ROLLOUTS_PER_GROUP):
            columns = {
                "problem_id": [rollout.problem_id for rollout in group],
                "sample": [rollout.sample for rollout in group],
                "prompt_ids": [rollout.prompt_ids for rollout in group],
                "completion_ids": [rollout.completion_ids for rollout in group],
            }
            writer.write_table(pa.table(columns, schema=SCHEMA))


def iterate_rollouts(paths: Iterable[Path]) -> Iterator[Rollout]:
    """The rollouts of Parquet files, in the order given; one group is in memory at a time."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield from _read_group(file, group)


def read_rollouts(paths: Iterable[Path]) -> list[Rollout]:
    """All rollouts of Parquet files, in the order given."""
    return list(iterate_rollouts(paths))


def count_rollouts(paths: Iterable[Path]) -> int:
    """How many rollouts Parquet files hold, by their footers."""
    return sum(pq.read_metadata(path).num_rows for path in paths)


def groups_of(rollouts: Iterable[Rollout], size: int) -> Iterator[list[Rollout]]:
    """The rollouts in lists of `size`, the last one shorter."""
    remaining = iter(rollouts)
    while group := list(islice(remaining, size)):
        yield group


class StoredRollouts(Sequence[Rollout]):
    """The rollouts of files, read when they are asked for; the groups used last stay in memory."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._kept: dict[int, list[Rollout]] = {}

    @cached_property
    def _groups(self) -> list[tuple[Path, int]]:
        """The file of each group, and its number there."""
        return [(path, group) for path, sizes in self._sizes for group in range(len(sizes))]

    @cached_property
    def _starts(self) -> list[int]:
        """The index of each group's first rollout, and the number of all at the end."""
        return list(accumulate((size for _, sizes in self._sizes for size in sizes), initial=0))

    @cached_property
    def _sizes(self) -> list[tuple[Path, list[int]]]:
        """How many rollouts each group of each file has."""
        found = []
        for path in self.paths:
            metadata = pq.read_metadata(path)
            sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            found.append((path, sizes))
        return found

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Rollout: ...
    @overload
    def __getitem__(self, index: slice) -> list[Rollout]: ...
    def __getitem__(self, index: int | slice) -> Rollout | list[Rollout]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = int(index) + (len(self) if index < 0 else 0)
        if not 0 <= place < len(self):
            raise IndexError(f"rollout {index} of {len(self)}")
        group = bisect_right(self._starts, place) - 1
        return self._group(group)[place - self._starts[group]]

    def __getstate__(self) -> dict[str, Any]:
        # Another process reads for itself.
        return {"paths": self.paths, "_kept": {}}

    def _group(self, group: int) -> list[Rollout]:
        rows = self._kept.pop(group, None)
        if rows is None:
            path, number = self._groups[group]
            with pq.ParquetFile(path) as file:
                rows = _read_group(file, number)
        self._kept[group] = rows
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > ROLLOUTS_KEPT:
            del self._kept[next(iter(self._kept))]
        return rows


def _read_group(file: pq.ParquetFile, group: int) -> list[Rollout]:
    columns = file.read_row_group(group).select(SCHEMA.names).to_pydict()
    return [
        Rollout(problem_id, sample, tuple(prompt), tuple(completion))
        for problem_id, sample, prompt, completion in zip(*columns.values(), strict=True)
    ]
