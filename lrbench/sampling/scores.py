"""Scores: what both models thought at every step, sparse enough to keep for all of them.

One entry per step, in rollout order. The support of a step is every token with
p_E >= alpha_min * max p_E, stored with both models' log-probabilities; any alpha >= alpha_min and any
beta is then an exact filter (DESIGN, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

SCHEMA = pa.schema(
    [
        ("rollout", pa.int32()),
        ("step", pa.int32()),
        ("kl", pa.float32()),
        ("entropy_expert", pa.float32()),
        ("entropy_amateur", pa.float32()),
        ("top1_expert", pa.int32()),
        ("top1_amateur", pa.int32()),
        ("support_ids", pa.list_(pa.int32())),
        ("support_log_p_expert", pa.list_(pa.float32())),
        ("support_log_p_amateur", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Scores:
    """Parallel arrays over N steps, with a ragged support of M tokens in all.

    `rollout` (N,) indexes the scored rollouts; `step` (N,) counts from 0 within its rollout; `kl` and
    both entropies (N,) are in nats; `top1_*` (N,) are token ids; the support of step i is the slice
    `offsets[i]:offsets[i + 1]` of the `support_*` arrays (M,), in ascending token id.
    """

    rollout: NDArray[np.int32]
    step: NDArray[np.int32]
    kl: NDArray[np.float32]
    entropy_expert: NDArray[np.float32]
    entropy_amateur: NDArray[np.float32]
    top1_expert: NDArray[np.int32]
    top1_amateur: NDArray[np.int32]
    offsets: NDArray[np.int64]
    support_ids: NDArray[np.int32]
    support_log_p_expert: NDArray[np.float32]
    support_log_p_amateur: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.kl)


def _nothing(kind: type[np.generic]) -> NDArray[Any]:
    return np.zeros(0, dtype=kind)


NO_SCORES = Scores(
    rollout=_nothing(np.int32),
    step=_nothing(np.int32),
    kl=_nothing(np.float32),
    entropy_expert=_nothing(np.float32),
    entropy_amateur=_nothing(np.float32),
    top1_expert=_nothing(np.int32),
    top1_amateur=_nothing(np.int32),
    offsets=np.zeros(1, dtype=np.int64),
    support_ids=_nothing(np.int32),
    support_log_p_expert=_nothing(np.float32),
    support_log_p_amateur=_nothing(np.float32),
)


def concatenate(parts: Sequence[Scores]) -> Scores:
    """One `Scores` of all parts in order; rollout indices are taken as they are."""
    parts = [NO_SCORES, *parts]
    lengths = [np.diff(part.offsets) for part in parts]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Scores)
        if field.name != "offsets"
    }
    return Scores(offsets=offsets, **columns)


def in_rollout_order(scores: Scores) -> Scores:
    """The same scores, ordered by rollout and step."""
    order = np.lexsort((scores.step, scores.rollout))
    lengths = np.diff(scores.offsets)[order]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    support = np.repeat(scores.offsets[:-1][order] - offsets[:-1], lengths) + np.arange(offsets[-1])
    columns = {
        field.name: getattr(scores, field.name)[support if field.name.startswith("support_") else order]
        for field in fields(Scores)
        if field.name != "offsets"
    }
    return Scores(offsets=offsets, **columns)


def of_rollouts_from(scores: Scores, first_rollout: int) -> Scores:
    """The same scores, their rollouts counted from `first_rollout` on."""
    return replace(scores, rollout=scores.rollout - np.int32(first_rollout))


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores as Parquet, one row per step."""
    offsets = pa.array(scores.offsets, pa.int32())
    columns = [
        pa.ListArray.from_arrays(offsets, pa.array(getattr(scores, name)))
        if name.startswith("support_")
        else pa.array(getattr(scores, name))
        for name in SCHEMA.names
    ]
    pq.write_table(pa.table(columns, schema=SCHEMA), path, compression="zstd")


def read_scores(paths: Sequence[Path]) -> Scores:
    """Read scores from Parquet files, in the order given."""
    return concatenate([_read_part(path) for path in paths])


def _read_part(path: Path) -> Scores:
    table = pq.read_table(path, schema=SCHEMA).combine_chunks()
    lists = {name: table[name].combine_chunks() for name in SCHEMA.names if name.startswith("support_")}
    offsets = lists["support_ids"].offsets.to_numpy().astype(np.int64)
    return Scores(
        offsets=offsets - offsets[0],
        **{name: column.flatten().to_numpy() for name, column in lists.items()},
        **{name: table[name].to_numpy() for name in SCHEMA.names if name not in lists},
    )
