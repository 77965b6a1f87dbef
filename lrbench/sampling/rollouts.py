"""Rollouts: a prompt and what a model wrote after it, as token ids end to end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

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


def write_rollouts(path: Path, rollouts: Sequence[Rollout]) -> None:
    """Write rollouts as Parquet, one row each."""
    columns = {
        "problem_id": [rollout.problem_id for rollout in rollouts],
        "sample": [rollout.sample for rollout in rollouts],
        "prompt_ids": [list(rollout.prompt_ids) for rollout in rollouts],
        "completion_ids": [list(rollout.completion_ids) for rollout in rollouts],
    }
    pq.write_table(pa.table(columns, schema=SCHEMA), path, compression="zstd")


def read_rollouts(paths: Iterable[Path]) -> list[Rollout]:
    """Read rollouts from Parquet files, in the order given."""
    return [
        Rollout(row["problem_id"], row["sample"], tuple(row["prompt_ids"]), tuple(row["completion_ids"]))
        for path in paths
        for row in pq.read_table(path, schema=SCHEMA).to_pylist()
    ]
