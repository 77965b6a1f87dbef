"""Scores as the public scripts of the paper come to them, hazard by hazard (`lrbench.methods.fidelity`).

Written for what it says and not for speed: distributions are whole, and steps whose prefix is tokenised anew
are read one by one. With no hazard on, the numbers are those of `lrbench.sampling.scoring` up to rounding.

Shapes: N steps, C steps of a chunk, D hidden, V tokens compared, M support tokens of all steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lrbench.errors import RunError
from lrbench.methods.fidelity import Fidelity
from lrbench.models.forward import TOKENS_PER_FORWARD, chunk_size, length_batches, output_logits
from lrbench.models.loading import Model, Tokenizer
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.crowding import uncrowded_columns
from lrbench.sampling.reading import Reading, own_reading
from lrbench.sampling.retokenising import respelt
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores, concatenate, in_rollout_order
from lrbench.sampling.scoring import LoadedPair, assemble, check_context, predicting_states

# What the scripts add to every probability before its logarithm is taken.
EPSILON = 1e-12
# In the order in which transformers applies them.
WARPERS = {
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
}


@torch.no_grad()
def score_as_scripted(
    pair: LoadedPair,
    rollouts: Sequence[Rollout],
    fidelity: Fidelity,
    *,
    alpha_min: float,
    first_index: int = 0,
    processors: Mapping[str, float] | None = None,
    tokenizer: Tokenizer | None = None,
) -> Scores:
    """As `score_rollouts`, with the hazards of `fidelity` that concern scores.

    `processors` are the expert's settings of generation that change distributions, as
    `lrbench.models.checkpoint` gives them. `tokenizer` is needed where prefixes are tokenised anew. A cut
    vocabulary is not checked: ids beyond the expert's own tokens are compared, and never part of a target.
    Raises `RunError` as `score_rollouts` does, and where the amateur has no row for a token.
    """
    own = [own_reading(rollout) for rollout in rollouts]
    theirs = [_read_by_amateur(rollout, fidelity, tokenizer) for rollout in rollouts]
    check_context("expert", pair.expert, rollouts, own)
    for rollout, readings in zip(rollouts, theirs, strict=True):
        check_context("amateur", pair.amateur, [rollout] * len(readings), readings)
    _check_readable(pair.amateur, rollouts, theirs)
    device = pair.expert.device
    lengths = [sum(len(reading.token_ids) for reading in readings) for readings in theirs]
    parts = []
    for indices in length_batches(lengths, len(rollouts), TOKENS_PER_FORWARD[device.type]):
        batch = [rollouts[index] for index in indices]
        expert_ND = predicting_states(pair.expert, [own[index] for index in indices])
        amateur_ND = predicting_states(
            pair.amateur, [reading for index in indices for reading in theirs[index]]
        )
        prefixes = [
            rollout.token_ids[: len(rollout.prompt_ids) + step]
            for rollout in batch
            for step in range(rollout.steps)
        ]
        own_N = torch.tensor([token for rollout in batch for token in rollout.completion_ids])
        size = chunk_size(pair.vocabulary)
        chunks = []
        for start in range(0, len(prefixes), size):
            chunk = slice(start, start + size)
            expert_CV = _log_expert(pair, expert_ND[chunk], prefixes[chunk], fidelity, processors or {})
            amateur_CV = _log_amateur(pair, amateur_ND[chunk], fidelity).to(device)
            # Without the hazard both are as wide as the shared vocabulary.
            width = min(expert_CV.shape[-1], amateur_CV.shape[-1])
            chunks.append(
                _columns(
                    expert_CV[:, :width], amateur_CV[:, :width], own_N[chunk], pair.vocabulary, alpha_min
                )
            )
        parts.append(assemble(batch, [first_index + index for index in indices], chunks))
    return in_rollout_order(concatenate(parts))


def _check_readable(amateur: Model, rollouts: Sequence[Rollout], theirs: Sequence[Sequence[Reading]]) -> None:
    """Raise `RunError` where the amateur, whose vocabulary nobody has checked, has no row for a token."""
    rows = amateur.get_input_embeddings().weight.shape[0]
    for rollout, readings in zip(rollouts, theirs, strict=True):
        largest = max(max(reading.token_ids) for reading in readings)
        if largest >= rows:
            raise RunError(
                f"the rollout of {rollout.problem_id} holds the token {largest}, and the amateur has rows "
                f"for {rows} alone; leave `vocabulary_cut` out, or choose another amateur"
            )


def _read_by_amateur(rollout: Rollout, fidelity: Fidelity, tokenizer: Tokenizer | None) -> list[Reading]:
    """What the amateur reads to predict every step: the rollout itself, or every prefix by itself."""
    if not fidelity.amateur_retokenised:
        return [own_reading(rollout)]
    assert tokenizer is not None
    changed = dict(respelt(tokenizer, ((rollout, step) for step in range(rollout.steps))))
    if not changed:
        return [own_reading(rollout)]
    prefixes = [
        changed.get(step, rollout.token_ids[: len(rollout.prompt_ids) + step])
        for step in range(rollout.steps)
    ]
    return [Reading(prefix, (len(prefix) - 1,)) for prefix in prefixes]


def _logits(model: Model, hidden_CD: Tensor, vocabulary: SharedVocabulary, fidelity: Fidelity) -> Tensor:
    """(C, V) in the model's dtype: of the shared vocabulary, or of all rows of its own output layer."""
    if not fidelity.vocabulary_cut:
        return output_logits(model, hidden_CD, vocabulary)
    logits_CR: Tensor = model.get_output_embeddings()(hidden_CD)
    return logits_CR


def _log_expert(
    pair: LoadedPair,
    hidden_CD: Tensor,
    prefixes: Sequence[Sequence[int]],
    fidelity: Fidelity,
    processors: Mapping[str, float],
) -> Tensor:
    """(C, V) log-probabilities in float32, in which generation gives its scores."""
    logits_CV = _logits(pair.expert, hidden_CD, pair.vocabulary, fidelity).float()
    if not fidelity.distributions_processed:
        return torch.log_softmax(logits_CV, dim=-1)
    return (torch.softmax(processed(logits_CV, prefixes, processors), dim=-1) + EPSILON).log()


def _log_amateur(pair: LoadedPair, hidden_CD: Tensor, fidelity: Fidelity) -> Tensor:
    """(C, V) log-probabilities; as processed, worked out in the amateur's own dtype."""
    logits_CV = _logits(pair.amateur, hidden_CD, pair.vocabulary, fidelity)
    if not fidelity.distributions_processed:
        return torch.log_softmax(logits_CV.float(), dim=-1)
    return (torch.softmax(logits_CV, dim=-1) + EPSILON).log().float()


def processed(
    logits_CV: Tensor, prefixes: Sequence[Sequence[int]], processors: Mapping[str, float]
) -> Tensor:
    """The logits of C steps after the processors that transformers would apply; `prefixes` are the C read."""
    penalty = processors.get("repetition_penalty")
    if penalty is not None:
        repeats = RepetitionPenaltyLogitsProcessor(penalty)
        rows = [
            repeats(torch.tensor([list(prefix)], device=logits_CV.device), row_V.unsqueeze(0))
            for prefix, row_V in zip(prefixes, logits_CV, strict=True)
        ]
        logits_CV = torch.cat(rows)
    # A count, and not the number that a file may write for it.
    given = {name: int(value) if name == "top_k" else float(value) for name, value in processors.items()}
    warpers = LogitsProcessorList([warper(given[name]) for name, warper in WARPERS.items() if name in given])
    none_C0 = torch.zeros(len(logits_CV), 0, dtype=torch.long, device=logits_CV.device)
    warped_CV: Tensor = warpers(none_C0, logits_CV)
    return warped_CV


def _columns(
    log_e_CV: Tensor, log_a_CV: Tensor, own_C: Tensor, vocabulary: SharedVocabulary, alpha_min: float
) -> dict[str, NDArray[Any]]:
    """Columns of `Scores` from log-probabilities that need not sum to one; nothing is renormalised."""
    p_e_CV, p_a_CV = log_e_CV.exp(), log_a_CV.exp()
    tokens_V = torch.ones(log_e_CV.shape[-1], dtype=torch.bool)
    tokens_V[vocabulary.size :] = False
    tokens_V[[unused for unused in vocabulary.unused if unused < len(tokens_V)]] = False
    plausible_CV = (p_e_CV >= alpha_min * p_e_CV.amax(-1, keepdim=True)) & tokens_V.to(log_e_CV.device)
    rows_M, ids_M = plausible_CV.nonzero(as_tuple=True)
    known_C = (own_C < len(tokens_V)) & tokens_V[own_C.clamp(max=len(tokens_V) - 1)]
    at_C1 = torch.where(known_C, own_C, 0).unsqueeze(-1).to(log_e_CV.device)
    unknown_C = ~known_C.to(log_e_CV.device)
    columns = {
        "kl": (p_e_CV * (log_e_CV - log_a_CV)).sum(-1),
        "kl_reverse": (p_a_CV * (log_a_CV - log_e_CV)).sum(-1),
        "entropy_expert": -(p_e_CV * log_e_CV).sum(-1),
        "entropy_amateur": -(p_a_CV * log_a_CV).sum(-1),
        "top1_log_p_amateur": log_a_CV.amax(-1),
        "own_log_p_expert": log_e_CV.gather(1, at_C1).squeeze(-1).masked_fill(unknown_C, torch.nan),
        "own_log_p_amateur": log_a_CV.gather(1, at_C1).squeeze(-1).masked_fill(unknown_C, torch.nan),
        "support_lengths": torch.bincount(rows_M, minlength=len(log_e_CV)),
        "support_ids": ids_M.int(),
        "support_log_p_expert": log_e_CV[rows_M, ids_M],
        "support_log_p_amateur": log_a_CV[rows_M, ids_M],
    }
    found = {name: column.cpu().numpy() for name, column in columns.items()}
    # NumPy gives the first of equal ones.
    found["top1_expert"] = log_e_CV.cpu().numpy().argmax(-1).astype(np.int32)
    found["top1_amateur"] = log_a_CV.cpu().numpy().argmax(-1).astype(np.int32)
    return uncrowded_columns(found)
