"""What two models' logits say about each step: divergences, entropies, first choices, plausible tokens.

Every row is worked on from its own largest logit, in blocks that stay in a core's cache, and no distribution
is ever divided by its sum: a vocabulary of 150,000 is otherwise a matter of memory bandwidth.

Shapes: C steps, V shared vocabulary, M support tokens of all steps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.sampling.crowding import uncrowded_columns

# Half a MiB of float32 for one tensor, of which a block needs five.
LOGITS_PER_BLOCK = 2**17


def step_columns(
    expert_CV: Tensor, amateur_CV: Tensor, own_C: Tensor, alpha_min: float
) -> dict[str, NDArray[Any]]:
    """Columns of `Scores` for C steps, computed in float32 from logits of any dtype on one device.

    `kl` (C,) is KL(p_E || p_A) in nats (paper, equation 1), `kl_reverse` (C,) is KL(p_A || p_E), and
    entropies are in nats; `top1_log_p_amateur` (C,) is what the amateur gives to its first choice.
    `support_lengths` (C,) counts each step's tokens with p_E >= alpha_min * max p_E, which the `support_*`
    columns (M,) hold in ascending token id. Where there are more than `MOST_TOKENS`, the likeliest stay,
    and `dropped` (C,) is the probability of the others. Where a logit is not a number, neither is `kl`.

    `own_C` is the token that each step's rollout went on with, -1 where it is none of the V. What both models
    give to it, `own_log_p_expert` and `own_log_p_amateur` (C,), is then not a number.
    """
    rows = rows_per_block(expert_CV)
    blocks = [
        _on_cpu(_block(expert_BV.float(), amateur_BV.float(), own_B, math.log(alpha_min)))
        for expert_BV, amateur_BV, own_B in zip(
            *(torch.split(each, rows) for each in (expert_CV, amateur_CV, own_C)), strict=True
        )
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _on_cpu(columns: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    return uncrowded_columns({name: column.cpu().numpy() for name, column in columns.items()})


def rows_per_block(logits_CV: Tensor) -> int:
    """Rows that are worked on at once: as many as stay in a core's cache, on a GPU all."""
    count, width = logits_CV.shape
    return max(1, LOGITS_PER_BLOCK // width if logits_CV.device.type == "cpu" else count)


def _block(expert_BV: Tensor, amateur_BV: Tensor, own_B: Tensor, log_alpha_min: float) -> dict[str, Tensor]:
    """The columns of the B steps of a block.

    With logits z shifted so that the largest is 0, e = exp(z) and S = sum(e): log p = z - log S. So the
    entropy is log S - sum(e z) / S, the divergence sum(e_E (z_E - z_A)) / S_E - log S_E + log S_A, and the
    reverse log S_E - log S_A - sum(e_A (z_E - z_A)) / S_A.
    """
    expert_BV = expert_BV - expert_BV.amax(-1, keepdim=True)
    amateur_BV = amateur_BV - amateur_BV.amax(-1, keepdim=True)
    rows_M, ids_M = _reaching(expert_BV, log_alpha_min)
    support_expert_M = expert_BV[rows_M, ids_M]
    support_amateur_M = amateur_BV[rows_M, ids_M]
    top_M = support_expert_M == 0
    top1_expert_B = _first_of_each(rows_M[top_M], ids_M[top_M], len(expert_BV))
    tops_M, top_ids_M = _reaching(amateur_BV, 0.0)
    top1_amateur_B = _first_of_each(tops_M, top_ids_M, len(amateur_BV))
    own_expert_B, own_amateur_B = _of_own(expert_BV, own_B), _of_own(amateur_BV, own_B)

    weight_BV = amateur_BV.exp()
    sum_amateur_B = weight_BV.sum(-1)
    advantage_BV = expert_BV - amateur_BV
    # From here on `amateur_BV` is no more than room for products.
    mean_amateur_B = amateur_BV.mul_(weight_BV).sum(-1) / sum_amateur_B
    reverse_B = torch.mul(weight_BV, advantage_BV, out=amateur_BV).sum(-1) / sum_amateur_B
    weight_BV = torch.exp(expert_BV, out=weight_BV)
    sum_expert_B = weight_BV.sum(-1)
    divergence_B = advantage_BV.mul_(weight_BV).sum(-1) / sum_expert_B
    mean_expert_B = weight_BV.mul_(expert_BV).sum(-1) / sum_expert_B
    log_expert_B, log_amateur_B = sum_expert_B.log(), sum_amateur_B.log()
    return {
        "kl": divergence_B - log_expert_B + log_amateur_B,
        "kl_reverse": log_expert_B - log_amateur_B - reverse_B,
        "entropy_expert": log_expert_B - mean_expert_B,
        "entropy_amateur": log_amateur_B - mean_amateur_B,
        "top1_expert": top1_expert_B.int(),
        "top1_amateur": top1_amateur_B.int(),
        "top1_log_p_amateur": -log_amateur_B,
        "own_log_p_expert": own_expert_B - log_expert_B,
        "own_log_p_amateur": own_amateur_B - log_amateur_B,
        "support_lengths": torch.bincount(rows_M, minlength=len(expert_BV)),
        "support_ids": ids_M.int(),
        "support_log_p_expert": support_expert_M - log_expert_B[rows_M],
        "support_log_p_amateur": support_amateur_M - log_amateur_B[rows_M],
    }


def _reaching(logits_BV: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Rows and ids, each (M,), of the logits that are at least `least`, row by row in ascending id."""
    flat_L = logits_BV.reshape(-1)
    # NumPy takes a quarter of the time that torch does on a CPU.
    places_M = (
        torch.from_numpy(np.flatnonzero(flat_L.numpy() >= least))
        if flat_L.device.type == "cpu"
        else (flat_L >= least).nonzero().squeeze(-1)
    )
    width = logits_BV.shape[1]
    return places_M // width, places_M % width


def _of_own(logits_BV: Tensor, own_B: Tensor) -> Tensor:
    """(B,) the logits of the tokens `own_B`, not a number where that is -1."""
    found_B = logits_BV.gather(1, own_B.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return found_B.masked_fill(own_B < 0, math.nan)


def _first_of_each(rows: Tensor, ids: Tensor, count: int) -> Tensor:
    """(count,) the smallest id of each row, 0 for a row that has none."""
    return ids.new_zeros(count).scatter_reduce_(0, rows, ids, "amin", include_self=False)
