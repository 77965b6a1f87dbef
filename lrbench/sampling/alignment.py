"""Scores of a pair whose tokenizers differ: over the tokens it shares, renormalised, under the expert's ids.

Shapes: C steps, B those of a block, V the expert's vocabulary, W the amateur's, S shared tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.models.alignment import Alignment
from lrbench.sampling.step_scores import rows_per_block, step_columns

TOKEN_COLUMNS = ("top1_expert", "top1_amateur", "support_ids")


def aligned_columns(
    expert_CV: Tensor, amateur_CW: Tensor, own_C: Tensor, alignment: Alignment, alpha_min: float
) -> dict[str, NDArray[Any]]:
    """Columns of `Scores` for C steps from both models' logits over their own vocabularies.

    `own_C` is which of the shared tokens each step's rollout went on with, -1 where it is none of them.
    `covered` (C,) is the probability that the shared tokens hold before they are renormalised, for the model
    that gives them less.
    """
    expert_S, amateur_S = (
        torch.from_numpy(ids).to(expert_CV.device) for ids in (alignment.expert_ids, alignment.amateur_ids)
    )
    rows = rows_per_block(expert_CV)
    blocks = []
    for expert_BV, amateur_BW, own_B in zip(
        *(torch.split(each, rows) for each in (expert_CV, amateur_CW, own_C)), strict=True
    ):
        expert_BS, covered_expert_B = restricted(expert_BV, expert_S)
        amateur_BS, covered_amateur_B = restricted(amateur_BW, amateur_S)
        covered_B = torch.minimum(covered_expert_B, covered_amateur_B).cpu().numpy()
        blocks.append(step_columns(expert_BS, amateur_BS, own_B, alpha_min) | {"covered": covered_B})
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    ids = alignment.expert_ids.astype(np.int32)
    return columns | {name: ids[columns[name]] for name in TOKEN_COLUMNS}


def restricted(logits_BV: Tensor, ids_S: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, S) of the tokens `ids_S` (S,), and the probability (B,) they hold together, in float32."""
    logits_BV = logits_BV.float()
    logits_BS = logits_BV.index_select(1, ids_S)
    log_covered_B = logits_BS.logsumexp(-1) - logits_BV.logsumexp(-1)
    return logits_BS, log_covered_B.exp().clamp(max=1)
