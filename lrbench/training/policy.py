"""Learning from rewards: completions of one problem against their own mean (GRPO, arXiv 2402.03300).

Every completion of a group has the advantage (reward - mean of the group) / (deviation + 1e-4), where the
deviation has the group's size less one in its denominator. Batches are learnt from once, so that nothing has
to be clipped: the ratio of the policies is 1, its gradient that of log p. Tokens count alike, over all
completions of an update (the token mean of DAPO, arXiv 2503.14476), also those with no advantage. The
divergence from the expert is the estimator of the GRPO paper at the token that was written.

Shapes: P problems, G completions of a group, N tokens, C those of a chunk, B those of a block of it, R rows
of the output layer, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.models.forward import (
    TOKENS_PER_FORWARD,
    chunk_size,
    length_batches,
    log_probabilities,
    shared_logits,
)
from lrbench.models.loading import Model
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples
from lrbench.sampling.scoring import step_hidden_states
from lrbench.sampling.step_scores import rows_per_block
from lrbench.training.dropout import TokenDropout
from lrbench.training.loss import parts_of
from lrbench.training.output_gradient import mean_of_chunks

# Added to a group's deviation, as TRL does, so that nothing is divided by nought.
LEAST_DEVIATION = 1e-4


def advantages(rewards_PG: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, G) how much better each completion is than its group, in the group's deviations.

    Where all rewards of a group are equal, they are exactly 0.
    """
    centred_PG = rewards_PG - rewards_PG.mean(axis=1, keepdims=True)
    deviation_P1 = rewards_PG.std(axis=1, ddof=1, keepdims=True)
    equal_P1 = rewards_PG.max(axis=1, keepdims=True) == rewards_PG.min(axis=1, keepdims=True)
    found_PG: NDArray[np.float64] = np.where(equal_P1, 0.0, centred_PG / (deviation_P1 + LEAST_DEVIATION))
    return found_PG


def most_uncertain(entropy_N: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """(N,) True for the tokens with the highest entropy, about this share (80/20, arXiv 2506.01939).

    They are those from the quantile 1 - `share` on, as TRL has it, so equal ones may be a few more.
    """
    if share >= 1 or not len(entropy_N):
        return np.ones(len(entropy_N), dtype=bool)
    threshold = torch.quantile(torch.from_numpy(entropy_N), 1 - share).item()
    return entropy_N >= np.float32(threshold)


@torch.no_grad()
def seen_tokens(
    model: Model, vocabulary: SharedVocabulary, rollouts: Sequence[Rollout], temperature: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N,) log p of every token that was written, and (N,) the entropy where it was, both in nats.

    Of the model's distribution at `temperature`, in rollout order; one chunk of distributions is held at a
    time.
    """
    written = [rollout for rollout in rollouts if rollout.steps]
    starts = np.cumsum([0, *(rollout.steps for rollout in written)])
    log_p_N = np.zeros(starts[-1], dtype=np.float32)
    entropy_N = np.zeros(starts[-1], dtype=np.float32)
    lengths = [len(rollout.token_ids) for rollout in written]
    for indices in length_batches(lengths, len(written), TOKENS_PER_FORWARD[model.device.type]):
        part = [written[index] for index in indices]
        own_N = torch.tensor([token for rollout in part for token in rollout.completion_ids])
        places_N = np.concatenate([np.arange(starts[index], starts[index + 1]) for index in indices])
        hidden_ND, size = step_hidden_states(model, part), chunk_size(vocabulary)
        for start in range(0, len(own_N), size):
            chunk = slice(start, start + size)
            log_p_CV = log_probabilities(model, hidden_ND[chunk], vocabulary)
            log_p_CV = torch.log_softmax(log_p_CV / temperature, dim=-1)
            own_C = own_N[chunk, None].to(log_p_CV.device)
            log_p_N[places_N[chunk]] = log_p_CV.gather(1, own_C)[:, 0].cpu().numpy()
            # What stands for no token has no chance, and adds nothing.
            entropy_N[places_N[chunk]] = torch.special.entr(log_p_CV.exp()).sum(-1).cpu().numpy()
    return log_p_N, entropy_N


@dataclass(frozen=True)
class PolicyLosses:
    """The loss of tokens written at `temperature`, summed and divided by all `tokens` of the update.

    Of each of the samples' N steps `advantage` says how much more, or less, its token shall be written.
    `expert` is log p of the expert, from which the divergence counts with the weight `kl`; None without one.
    """

    advantage: NDArray[np.float32]
    expert: NDArray[np.float32] | None
    kl: float
    temperature: float
    tokens: int

    def __call__(
        self,
        model: Model,
        vocabulary: SharedVocabulary,
        samples: Samples,
        batch: Sequence[int],
        *,
        pieces: Pieces,
        pack: bool = False,
        dropout: TokenDropout | None = None,
        share: slice = slice(None),
    ) -> Iterator[Tensor]:
        """Parts of the loss of the steps `batch`, each with the gradient of one forward."""
        loss = partial(_policy_loss, kl=self.kl, temperature=self.temperature)
        for part, steps_P in parts_of(samples, batch, pieces, pack, share):
            hidden_PD, begins = part.states(model, steps_P, pieces.positions, dropout)
            chunks = [
                self._chunk(samples, steps_P[chunk], chunk, begin, model.device) for chunk, begin in begins
            ]
            yield mean_of_chunks(model, vocabulary, hidden_PD, chunks, self.tokens, loss)

    def _chunk(
        self,
        samples: Samples,
        steps_C: NDArray[np.int64],
        chunk: slice,
        begin: Callable[[], None],
        device: torch.device,
    ) -> _Written:
        # Each step has one target, its own token.
        own = samples.targets.ids[steps_C].astype(np.int64)
        advantage = self.advantage[steps_C]
        expert = None if self.expert is None else torch.as_tensor(self.expert[steps_C], device=device)
        return _Written(
            chunk,
            torch.as_tensor(own, device=device),
            torch.as_tensor(advantage, device=device),
            expert,
            begin,
        )


@dataclass(frozen=True)
class _Written:
    """Some positions, with the tokens that were written there (C,), and what is wanted of each."""

    positions: slice
    ids: Tensor
    advantage: Tensor
    expert: Tensor | None
    begin: Callable[[], None]


def _policy_loss(
    logits_CR: Tensor,
    vocabulary: SharedVocabulary,
    chunk: _Written,
    scale: float,
    *,
    kl: float,
    temperature: float,
) -> Tensor:
    """Sum of the loss over the chunk; its gradient, times `scale`, takes the place of the logits."""
    total = torch.zeros((), device=logits_CR.device)
    size = rows_per_block(logits_CR)
    for start in range(0, len(logits_CR), size):
        block = slice(start, start + size)
        ids_B, advantage_B = chunk.ids[block], chunk.advantage[block]
        logits_BR = logits_CR[block].detach().requires_grad_()
        with torch.enable_grad():
            logits_BV = shared_logits(logits_BR.clone(), vocabulary)
            wide = torch.promote_types(logits_BV.dtype, torch.float32)
            log_p_BV = torch.log_softmax(logits_BV.to(wide) / temperature, dim=-1)
            log_p_B = log_p_BV.gather(1, ids_B[:, None])[:, 0]
        # The ratio of the policies is 1, and its derivative that of log p.
        total = total - advantage_B.sum()
        gradient_B = -advantage_B.to(wide)
        if chunk.expert is not None:
            further_B = chunk.expert[block].to(wide) - log_p_B.detach()
            total = total + kl * (further_B.exp() - further_B - 1).sum()
            gradient_B = gradient_B + kl * (1 - further_B.exp())
        (logits_CR[block],) = torch.autograd.grad(log_p_B, logits_BR, gradient_B * scale)
    return total
