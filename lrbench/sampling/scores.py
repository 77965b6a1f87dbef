"""Scores: what both models thought at every step, sparse enough to keep for all of them.

One entry per step, in rollout order. The support of a step is every token with
p_E >= alpha_min * max p_E, stored with both models' log-probabilities; any alpha >= alpha_min and any
beta is then an exact filter (DESIGN, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lrbench.sampling.crowding import MOST_TOKENS, uncrowded

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
# Columns of some scores only. The first two are in the files of which a step has something to say there, the
# others in all that were written since they are computed.
OPTIONAL = (
    "covered",
    "dropped",
    "kl_reverse",
    "top1_log_p_amateur",
    "own_log_p_expert",
    "own_log_p_amateur",
)
# What is covered is the difference of two logarithms in float32.
COVERED_ROUNDING = 1e-5


@dataclass(frozen=True)
class Scores:
    """Parallel arrays over N steps, with a ragged support of M tokens in all.

    `rollout` (N,) indexes the scored rollouts; `step` (N,) counts from 0 within its rollout; `kl` and
    both entropies (N,) are in nats; `top1_*` (N,) are token ids; the support of step i is the slice
    `offsets[i]:offsets[i + 1]` of the `support_*` arrays (M,), in ascending token id.

    Of a pair that is aligned by tokens, all of this is over the tokens it shares, under the expert's ids, and
    `covered` (N,) is the probability that these hold for the model that gives them less; None for any other.
    `dropped` (N,) is the expert's probability of the plausible tokens beyond the `MOST_TOKENS` that are kept;
    None where no step has more.

    `kl_reverse` (N,) is KL(p_A || p_E) in nats; `top1_log_p_amateur` (N,) is what the amateur gives to its
    own first choice, and `own_log_p_*` (N,) what both give to the token that the rollout went on with, not
    a number where the pair does not share it. All four are None in scores of versions that did not store
    them.
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
    covered: NDArray[np.float32] | None = None
    dropped: NDArray[np.float32] | None = None
    kl_reverse: NDArray[np.float32] | None = None
    top1_log_p_amateur: NDArray[np.float32] | None = None
    own_log_p_expert: NDArray[np.float32] | None = None
    own_log_p_amateur: NDArray[np.float32] | None = None

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
    parts = [part for part in parts if len(part)] or [NO_SCORES]
    lengths = [np.diff(part.offsets) for part in parts]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    if any(part.dropped is not None for part in parts):
        parts = [_saying_what_is_dropped(part) for part in parts]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _columns(parts[0])}
    return Scores(offsets=offsets, **columns)


def _saying_what_is_dropped(scores: Scores) -> Scores:
    return scores if scores.dropped is not None else replace(scores, dropped=np.zeros_like(scores.kl))


def in_rollout_order(scores: Scores) -> Scores:
    """The same scores, ordered by rollout and step."""
    order = np.lexsort((scores.step, scores.rollout))
    lengths = np.diff(scores.offsets)[order]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    support = np.repeat(scores.offsets[:-1][order] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return taken(scores, order, support, offsets)


def taken(scores: Scores, steps: Any, support: Any, offsets: NDArray[np.int64]) -> Scores:
    """Some of the scores: `steps` and `support` say which steps and which of their tokens, as NumPy indexes.

    `offsets` are those of the result.
    """
    columns = {
        name: column[support if name.startswith("support_") else steps]
        for name, column in _columns(scores).items()
    }
    return Scores(offsets=offsets, **columns)


def _columns(scores: Scores) -> dict[str, NDArray[Any]]:
    """Every array that these scores have, besides the offsets."""
    return {name: column for name, column in vars(scores).items() if name != "offsets" and column is not None}


def of_rollouts_from(scores: Scores, first_rollout: int) -> Scores:
    """The same scores, their rollouts counted from `first_rollout` on."""
    return replace(scores, rollout=scores.rollout - np.int32(first_rollout))


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores as Parquet, one row per step."""
    schema = _schema(name for name in OPTIONAL if getattr(scores, name) is not None)
    offsets = pa.array(scores.offsets, pa.int32())
    columns = [
        pa.ListArray.from_arrays(offsets, pa.array(getattr(scores, name)))
        if name.startswith("support_")
        else pa.array(getattr(scores, name))
        for name in schema.names
    ]
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")


def _schema(optional: Iterable[str]) -> pa.Schema:
    schema = SCHEMA
    for name in optional:
        schema = schema.append(pa.field(name, pa.float32()))
    return schema


def read_scores(paths: Sequence[Path]) -> Scores:
    """Read scores from Parquet files, in the order given.

    Files from before supports had a limit may hold more of the same tokens. They are read as if written
    today, so that what is made of either is the same, and their key stays what it was.
    """
    return concatenate([_read_part(path) for path in paths])


def _read_part(path: Path) -> Scores:
    there = pq.read_schema(path).names
    schema = _schema(name for name in OPTIONAL if name in there)
    table = pq.read_table(path, schema=schema).combine_chunks()
    lists = {name: table[name].combine_chunks() for name in schema.names if name.startswith("support_")}
    offsets = lists["support_ids"].offsets.to_numpy().astype(np.int64)
    return _uncrowded(
        Scores(
            offsets=offsets - offsets[0],
            **{name: column.flatten().to_numpy() for name, column in lists.items()},
            **{name: table[name].to_numpy() for name in schema.names if name not in lists},
        )
    )


def _uncrowded(scores: Scores) -> Scores:
    lengths = np.diff(scores.offsets)
    found = uncrowded(lengths, scores.support_ids, scores.support_log_p_expert)
    if found is None:
        return scores
    stays, dropped = found
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, MOST_TOKENS))]).astype(np.int64)
    return replace(taken(scores, slice(None), stays, offsets), dropped=dropped)


def keep_covered(scores: Scores, least_mass: float) -> NDArray[np.bool_]:
    """(N,) True where the shared tokens of an aligned pair hold at least `least_mass` for both models.

    Up to rounding, so that a pair that shares every token has all of its steps kept even at 1.
    Below it the distributions that are compared are a renormalised sliver of what the models think.
    """
    assert scores.covered is not None
    kept: NDArray[np.bool_] = scores.covered >= np.float32(least_mass - COVERED_ROUNDING)
    return kept
