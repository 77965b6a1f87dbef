"""Targets: what is learnt at a step, as a sparse distribution. Pure functions.

N steps hold M target tokens in all; the target of step i is the slice `offsets[i]:offsets[i + 1]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrbench.sampling.scores import Scores


@dataclass(frozen=True)
class Targets:
    """Sparse distributions over token ids: `offsets` (N + 1,), `ids` (M,), `weights` (M,)."""

    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def plausible(scores: Scores, alpha: float) -> NDArray[np.bool_]:
    """(M,) True where a support token has p_E >= alpha * max p_E (paper, equation 3).

    Exact for any alpha not below the alpha_min the scores were stored with.
    """
    if len(scores) == 0:
        return np.zeros(0, dtype=bool)
    top = np.maximum.reduceat(scores.support_log_p_expert, scores.offsets[:-1])
    lengths = np.diff(scores.offsets)
    mask: NDArray[np.bool_] = scores.support_log_p_expert >= np.repeat(
        top + np.float32(math.log(alpha)), lengths
    )
    return mask


def left_out(scores: Scores, alpha: float) -> NDArray[np.float64]:
    """(N,) at most which share of the expert's probability of the alpha-plausible tokens is not stored.

    What is stored are the likeliest; where the least of them is not plausible, none that is was dropped.
    """
    if scores.dropped is None:
        return np.zeros(len(scores))
    mask = plausible(scores, alpha)
    probability = np.exp(scores.support_log_p_expert.astype(np.float64)) * mask
    stored = np.add.reduceat(probability, scores.offsets[:-1])
    full = np.logical_and.reduceat(mask, scores.offsets[:-1])
    share: NDArray[np.float64] = np.where(full, scores.dropped / (stored + scores.dropped), 0.0)
    return share


def contrast(scores: Scores, kept: NDArray[np.bool_], alpha: float) -> Targets:
    """The `contrast` target of every kept step (paper, equations 4 and 5).

    v = softmax over the alpha-plausible tokens that are stored of log p_E - log p_A; `kept` is (N,).
    """
    lengths = np.diff(scores.offsets)
    mask = plausible(scores, alpha) & np.repeat(kept, lengths)
    owner = np.repeat(np.arange(len(scores)), lengths)[mask]
    counts = np.bincount(owner, minlength=len(scores))[kept]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    advantage = (scores.support_log_p_expert[mask] - scores.support_log_p_amateur[mask]).astype(np.float64)
    if len(counts) == 0:
        return Targets(offsets, scores.support_ids[mask], advantage.astype(np.float32))
    exponential = np.exp(advantage - np.repeat(np.maximum.reduceat(advantage, offsets[:-1]), counts))
    weights = exponential / np.repeat(np.add.reduceat(exponential, offsets[:-1]), counts)
    return Targets(offsets, scores.support_ids[mask], weights.astype(np.float32))


def own_token(token_ids: NDArray[np.int32]) -> Targets:
    """The `own_token` target: all weight on the token the rollout itself has; `token_ids` is (N,)."""
    return Targets(
        offsets=np.arange(len(token_ids) + 1, dtype=np.int64),
        ids=token_ids,
        weights=np.ones(len(token_ids), dtype=np.float32),
    )
