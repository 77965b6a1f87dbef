"""Other distances than KL(target || model): the reverse, Jensen-Shannon, and each at a temperature.

A target is known on some tokens. A divergence over these alone is none: it can be negative, and sees nothing
of what the model has elsewhere. So all other tokens are one outcome more, on both sides. That makes it a
divergence of two distributions, never negative, nought where they agree, and at temperature 1 at most that
over the whole vocabulary; where every token is stored it is that one.

Shapes: P positions of a forward, C those of a chunk, B those of a block of it, R rows of the output layer, V
shared vocabulary, M target tokens, K the most that a position of the block has, O = K + 1 outcomes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lrbench.methods.objectives import Distance
from lrbench.models.forward import UNUSED_LOGIT, shared_logits
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.training.output_gradient import Chunk, blocks_of

# Weights are stored in float32, which do not tell a smaller rest from none.
LEAST_REST = 2.0**-20


def summed_distance(
    logits_CR: Tensor,
    vocabulary: SharedVocabulary,
    chunk: Chunk,
    scale: float,
    *,
    distance: Distance,
    own_P: Tensor,
) -> Tensor:
    """Sum of the distances over the chunk; its gradient, times `scale`, takes the place of the logits.

    `own_P` are the rollouts' own tokens at all positions. A block of distributions is in memory at a time.
    """
    own_C = own_P[chunk.positions]
    total = torch.zeros((), device=logits_CR.device)
    for block, counts_B, tokens in blocks_of(logits_CR, chunk):
        counts = torch.as_tensor(counts_B, device=logits_CR.device)
        logits_BR = logits_CR[block].detach().requires_grad_()
        with torch.enable_grad():
            logits_BV = shared_logits(logits_BR.clone(), vocabulary)
            wide = torch.promote_types(logits_BV.dtype, torch.float32)
            distance_B = distances(
                logits_BV.to(wide),
                own_C[block],
                *_padded(counts, chunk.ids[tokens], chunk.weights[tokens].to(wide)),
                counts == vocabulary.size - len(vocabulary.unused),
                distance,
            )
        (logits_CR[block],) = torch.autograd.grad(distance_B, logits_BR, torch.full_like(distance_B, scale))
        total = total + distance_B.detach().sum()
    return total


def distances(
    logits_BV: Tensor, own_B: Tensor, ids_BK: Tensor, weights_BK: Tensor, whole_B: Tensor, distance: Distance
) -> Tensor:
    """(B,) the distance of each position, in nats.

    `ids_BK` are filled up with -1, of weight 0. What a position's weights lack of 1 is on the tokens that are
    not among its ids; `whole_B` says that there are none.
    """
    sum_B = logits_BV.logsumexp(-1)
    there_BK = ids_BK >= 0
    places_BK = ids_BK.clamp_min(0)
    log_p_BK = (logits_BV.gather(1, places_BK) - sum_B[:, None]).masked_fill(~there_BK, UNUSED_LOGIT)
    stored_BV = torch.zeros_like(logits_BV, dtype=torch.bool)
    rows_BK = torch.arange(len(ids_BK), device=ids_BK.device)[:, None].expand_as(ids_BK)
    stored_BV[rows_BK[there_BK], ids_BK[there_BK]] = True
    rest_B = logits_BV.masked_fill(stored_BV, UNUSED_LOGIT).logsumexp(-1) - sum_B
    log_p_BO = torch.cat([log_p_BK, rest_B.masked_fill(whole_B, UNUSED_LOGIT)[:, None]], dim=1)
    log_p_BO = (log_p_BO / distance.temperature).log_softmax(-1)

    share = distance.own_share
    if share:
        weights_BK = (weights_BK - share * (ids_BK == own_B[:, None])).clamp_min(0) / (1 - share)
    target_BO = _with_rest(weights_BK, whole_B, needed=distance.beta == 1)
    apart_B = _divergences(target_BO, log_p_BO, distance.beta)
    if not share:
        return apart_B
    own_log_p_B = logits_BV.gather(1, own_B[:, None])[:, 0] - sum_B
    return (1 - share) * apart_B - share * own_log_p_B


def _divergences(target_BO: Tensor, log_p_BO: Tensor, beta: float) -> Tensor:
    """(B,) the divergence of both distributions over the same outcomes, `beta` as in `Distance`."""
    log_target_BO = target_BO.clamp_min(torch.finfo(target_BO.dtype).tiny).log()
    if beta == 0:
        return (target_BO * (log_target_BO - log_p_BO)).sum(-1)
    p_BO = log_p_BO.exp()
    if beta == 1:
        return (p_BO * (log_p_BO - log_target_BO)).sum(-1)
    log_mixed_BO = torch.logaddexp(log_p_BO + math.log(1 - beta), log_target_BO + math.log(beta))
    of_target_BO, of_model_BO = target_BO * (log_target_BO - log_mixed_BO), p_BO * (log_p_BO - log_mixed_BO)
    return (beta * of_target_BO + (1 - beta) * of_model_BO).sum(-1)


def _with_rest(weights_BK: Tensor, whole_B: Tensor, *, needed: bool) -> Tensor:
    """(B, O) the target over all outcomes, summing to 1.

    Where the rest is `needed` it is never taken for nothing, as long as there are other tokens.
    """
    rest_B = 1 - weights_BK.double().sum(-1)
    least = LEAST_REST if needed else 0.0
    rest_B = torch.where(rest_B < LEAST_REST, least, rest_B).masked_fill(whole_B, 0.0)
    target_BO = torch.cat([weights_BK, rest_B.to(weights_BK.dtype)[:, None]], dim=1)
    return target_BO / target_BO.sum(-1, keepdim=True)


def _padded(counts: Tensor, ids_M: Tensor, weights_M: Tensor) -> tuple[Tensor, Tensor]:
    """Ids (B, K), filled up with -1, and weights (B, K), filled up with 0."""
    there_BK = torch.arange(int(counts.max()), device=counts.device) < counts[:, None]
    ids_BK = torch.full(there_BK.shape, -1, dtype=ids_M.dtype, device=counts.device)
    weights_BK = torch.zeros(there_BK.shape, dtype=weights_M.dtype, device=counts.device)
    ids_BK[there_BK] = ids_M
    weights_BK[there_BK] = weights_M
    return ids_BK, weights_BK
