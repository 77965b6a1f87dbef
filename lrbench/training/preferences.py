"""Learning from pairs: the chosen answer more likely than the rejected one (DPO, arXiv 2305.18290).

With log-probabilities of whole answers under the model in training, p, and as it began, r, the margin of a
pair is beta ((log p(c) - log r(c)) - (log p(j) - log r(j))) and its loss -log sigmoid(margin). What the
margin is says how strongly both answers are learnt, so they are read twice: once for the margins, and once
for the gradient, which is that of log p of every token with its pair's weight. So any rollouts can share a
forward.

Rollouts 2k and 2k + 1 of the samples are the chosen and the rejected answer of a pair, and every step of them
is kept, with its own token as target. Shapes: R rollouts, N kept steps, Q pairs, P steps of a forward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import Tensor

from lrbench.errors import NothingKeptError
from lrbench.models.forward import log_probabilities
from lrbench.models.loading import Model
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Training
from lrbench.sampling.samples import Samples, rollout_bounds
from lrbench.training.dropout import TokenDropout
from lrbench.training.loss import parts_of
from lrbench.training.policy import PolicyLosses
from lrbench.training.portions import Portion

# What is told of an update beside its loss: the mean margin, and the share of pairs in which it is above 0.
TOLD = ("margin", "preferred")


@dataclass(frozen=True)
class Pairs:
    """Where the portions of DPO come from: pairs, shuffled once per epoch; `reference` (R,) is log r."""

    samples: Samples
    training: Training
    seed: int
    beta: float
    reference: NDArray[np.float64]

    def batches(self) -> Iterator[list[int]]:
        """The kept steps of one update after the other: both answers of half of `rollouts_per_update` pairs.

        A pair of which not everything is kept is left out. Raises `NothingKeptError` where none is left.
        """
        assert self.training.rollouts_per_update is not None
        pairs = self._whole()
        if not pairs:
            raise NothingKeptError("no pair was kept, so there is nothing to train on")

        def shuffled() -> Iterator[list[int]]:
            for epoch in count():
                for place in np.random.default_rng([self.seed, epoch]).permutation(len(pairs)):
                    yield list(pairs[place])

        endless = shuffled()
        for _ in range(self.training.updates):
            of_update = islice(endless, self.training.rollouts_per_update // 2)
            yield [step for pair in of_update for step in pair]

    def portions(self, adapted: PeftModel, done: int) -> Iterator[Portion]:
        """Those after the first `done` ones."""
        losses = PairLosses(self.beta, self.reference)
        batches = islice(self.batches(), done, None)
        return (Portion(self.samples, batch, losses, told=TOLD) for batch in batches)

    def _whole(self) -> list[range]:
        """The kept steps of every pair of which all are kept."""
        samples, bounds = self.samples, rollout_bounds(self.samples)
        found = []
        for start, middle, end in zip(bounds, bounds[1:], bounds[2:], strict=False):
            chosen, rejected = int(samples.rollout[start]), int(samples.rollout[middle])
            lengths = [samples.rollouts[rollout].steps for rollout in (chosen, rejected)]
            if chosen % 2 == 0 and rejected == chosen + 1 and lengths == [middle - start, end - middle]:
                found.append(range(int(start), int(end)))
        return found


@dataclass(frozen=True)
class PairLosses:
    """The mean loss of the pairs of an update; `reference` (R,) is log r of every rollout."""

    beta: float
    reference: NDArray[np.float64]

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
        """Parts of the loss, each with the gradient of one forward, and of what is told (`TOLD`).

        `share` picks the pairs of one process of several.
        """
        batch_N = np.asarray(batch, dtype=np.int64)
        pair_N = samples.rollout[batch_N] // 2
        pairs = np.unique(pair_N)
        mine_Q = pairs[share]
        if not len(mine_Q):
            return
        steps_N = batch_N[np.isin(pair_N, mine_Q)]
        log_p_R = rollout_log_p(model, vocabulary, samples, steps_N, pieces, pack, dropout)
        gained_R = log_p_R - self.reference
        margin_Q = self.beta * (gained_R[2 * mine_Q] - gained_R[2 * mine_Q + 1])
        loss_Q = np.logaddexp(0.0, -margin_Q)
        told = np.array([loss_Q.sum(), margin_Q.sum(), (margin_Q > 0).sum()]) / len(pairs)
        # How much of log p(chosen) - log p(rejected) the gradient of a pair's loss is.
        weight_Q = self.beta * np.exp(-np.logaddexp(0.0, margin_Q))
        advantage = np.zeros(len(samples), dtype=np.float32)
        sign_N = 1 - 2 * (samples.rollout[steps_N] % 2)
        advantage[steps_N] = sign_N * weight_Q[np.searchsorted(mine_Q, samples.rollout[steps_N] // 2)]
        gradients = PolicyLosses(advantage, None, 0.0, 1.0, len(pairs))
        for part in gradients(
            model, vocabulary, samples, steps_N.tolist(), pieces=pieces, pack=pack, dropout=dropout
        ):
            numbers = torch.as_tensor(told, dtype=part.dtype, device=part.device)
            # Its value is no loss, and its gradient is that of one.
            yield torch.cat([(part - part.detach() + numbers[0])[None], numbers[1:]])
            told = np.zeros_like(told)


@torch.no_grad()
def rollout_log_p(
    model: Model,
    vocabulary: SharedVocabulary,
    samples: Samples,
    steps_N: NDArray[np.int64],
    pieces: Pieces,
    pack: bool,
    dropout: TokenDropout | None,
) -> NDArray[np.float64]:
    """(R,) log p of the answers whose steps are given, in nats, with dropout as it is in training; else 0."""
    found_R = np.zeros(len(samples.rollouts), dtype=np.float64)
    for part, steps_P in parts_of(samples, steps_N.tolist(), pieces, pack, slice(None)):
        hidden_PD, begins = part.states(model, steps_P, pieces.positions, dropout)
        own_P = torch.as_tensor(samples.targets.ids[steps_P].astype(np.int64), device=hidden_PD.device)
        for chunk, begin in begins:
            begin()
            log_p_CV = log_probabilities(model, hidden_PD[chunk], vocabulary)
            log_p_C = log_p_CV.gather(1, own_P[chunk, None])[:, 0]
            np.add.at(found_R, samples.rollout[steps_P[chunk]], log_p_C.double().cpu().numpy())
    return found_R
