"""Scores of a pair whose tokenizers differ: over the tokens it shares, renormalised, under the expert's ids.

Shapes: C steps, V the expert's vocabulary, W the amateur's, S shared tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.models.alignment import Alignment
from lrbench.sampling.step_scores import step_columns

TOKEN_COLUMNS = ("top1_expert", "top1_amateur", "support_ids")


def aligned_columns(
    expert_CV: Tensor, amateur_CW: Tensor, alignment: Alignment, alpha_min: float
) -> dict[str, NDArray[Any]]:
    """Columns of `Scores` for C steps from both models' logits over their own vocabularies.

    `covered` (C,) is the probability that the shared tokens hold before they are renormalised, for the model
    that gives them less.
    """
    expert_CS, covered_expert_C = restricted(expert_CV, alignment.expert_ids)
    amateur_CS, covered_amateur_C = restricted(amateur_CW, alignment.amateur_ids)
    columns = step_columns(expert_CS, amateur_CS, alpha_min)
    ids = alignment.expert_ids.astype("int32")
    covered = torch.minimum(covered_expert_C, covered_amateur_C).cpu().numpy()
    return columns | {name: ids[columns[name]] for name in TOKEN_COLUMNS} | {"covered": covered}


def restricted(logits_CV: Tensor, ids: NDArray[Any]) -> tuple[Tensor, Tensor]:
    """Logits (C, S) of the tokens `ids` (S,), and the probability (C,) they hold together, in float32."""
    logits_CV = logits_CV.float()
    logits_CS = logits_CV.index_select(1, torch.from_numpy(ids).to(logits_CV.device))
    log_covered_C = logits_CS.logsumexp(-1) - logits_CV.logsumexp(-1)
    return logits_CS, log_covered_C.exp().clamp(max=1)
