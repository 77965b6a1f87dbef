"""How work is cut into pieces changes nothing but rounding: kept steps, targets and losses stay.

The bounds stand beside their names; `pytest -rP` on this module prints the largest differences found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from experiments.bench.subjects import RandomPair, Shape, embedded, random_pair
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.readings import PAIR
from lrbench.models.pieces import Pieces
from lrbench.recipe.schema import Divergence
from lrbench.sampling.rollouts import Rollout, groups_of
from lrbench.sampling.samples import Samples, build_samples
from lrbench.sampling.scores import Scores, concatenate
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from lrbench.training.loss import batch_losses

ALPHA = 0.2
# By how many nats a divergence or a log-probability may be rounded differently, and by what share of itself
# where it is large; a step or a token changes sides only if it is as close as NATS to its threshold.
NATS = 1e-5
RELATIVE = 1e-6
WEIGHT = 1e-5
LOSS = 1e-5
ROLLOUTS_PER_UPDATE = 32
ALL = 10**9

# Enough rows for sums over them to be rounded, more of them than there are tokens, and not as many in both.
RANDOM = RandomPair(
    expert=Shape(3_200, hidden=64, intermediate=128, layers=3, heads=2, key_value_heads=1),
    amateur=Shape(3_136, hidden=32, intermediate=64, layers=2, heads=1, key_value_heads=1),
    tokens=3_011,
    device="cpu",
    dtype="float32",
    prompts=64,
    batch_size=32,
)


@dataclass(frozen=True)
class Cut:
    """How much is in memory at once: positions with logits, rollouts scored together, tokens of a forward."""

    positions: int = 256
    rollouts: int = ALL
    tokens: int = 1024


CUTS = {
    "chunks of 1": Cut(positions=1),
    "chunks of 7": Cut(positions=7),
    "chunks of 64": Cut(positions=64),
    "one chunk": Cut(positions=ALL),
    "1 rollout at a time": Cut(rollouts=1, tokens=1),
    "32 rollouts at a time": Cut(rollouts=32, tokens=ALL),
}


@dataclass(frozen=True)
class Subject:
    """A pair, rollouts, the threshold that keeps some of their steps, and scores as a run makes them."""

    pair: LoadedPair
    rollouts: Sequence[Rollout]
    beta: float
    scores: Scores

    def samples(self, scores: Scores, ingredients: Ingredients) -> Samples:
        thresholds = Divergence(alpha=ALPHA, beta=self.beta)
        return build_samples(self.rollouts, {PAIR: scores}, ingredients.completed(thresholds))


@pytest.fixture(scope="module", params=["embedded pair", "random pair"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "embedded pair":
        written = embedded(problems=96)[1]
        pair, rollouts = written.pair, written.rollouts
    else:
        pair, rollouts = random_pair(RANDOM).pair, made_up_rollouts(RANDOM.prompts)
        for model in (pair.expert, pair.amateur):
            # Two random models agree on nothing: as peaked as trained ones, they would be 30 nats apart.
            model.model.norm.weight.data /= 4
    assert len(rollouts) >= 64
    assert len({rollout.steps for rollout in rollouts}) > 8
    scores = score_rollouts(pair, rollouts, alpha_min=0.05)
    beta = 0.4 if request.param == "embedded pair" else float(np.median(scores.kl))
    return Subject(pair, rollouts, beta, scores)


def made_up_rollouts(count: int) -> list[Rollout]:
    random = np.random.default_rng(0)

    def ids(longest: int) -> tuple[int, ...]:
        return tuple(random.integers(RANDOM.tokens, size=random.integers(1, longest)).tolist())

    return [Rollout(f"p{index}", 0, ids(30), ids(60)) for index in range(count)]


def scored(subject: Subject, cut: Cut) -> Scores:
    groups = list(groups_of(subject.rollouts, min(cut.rollouts, len(subject.rollouts))))
    return concatenate(
        [
            score_rollouts(
                subject.pair,
                group,
                alpha_min=0.05,
                first_index=place * len(groups[0]),
                pieces=Pieces(cut.tokens, cut.positions),
            )
            for place, group in enumerate(groups)
        ]
    )


def same_steps(subject: Subject, other: Scores, expected: Samples, found: Samples) -> list[tuple[int, int]]:
    """Where each step that both keep stands in either; what one alone keeps has to be at the threshold."""
    places = [
        {step: place for place, step in enumerate(zip(samples.rollout, samples.step, strict=True))}
        for samples in (expected, found)
    ]
    for rollout, step in places[0].keys() ^ places[1].keys():
        (index,) = np.flatnonzero((other.rollout == rollout) & (other.step == step))
        for scores in (subject.scores, other):
            assert abs(scores.kl[index] - subject.beta) <= NATS, f"step {step} of rollout {rollout}"
    return [(place, places[1][step]) for step, place in places[0].items() if step in places[1]]


def same_targets(
    subject: Subject, expected: Samples, found: Samples, places: tuple[int, int]
) -> NDArray[np.float32] | None:
    """By how much the weights of a step's target differ; None where it has other tokens.

    A token that one target alone has is as plausible as alpha asks for, to the bound.
    """
    ids, weights = zip(*map(target, (expected, found), places), strict=True)
    if np.array_equal(*ids):
        np.testing.assert_allclose(weights[1], weights[0], rtol=0, atol=WEIGHT)
        return np.abs(weights[1] - weights[0])
    step = (expected.rollout[places[0]], expected.step[places[0]])
    scores = subject.scores
    (index,) = np.flatnonzero((scores.rollout == step[0]) & (scores.step == step[1]))
    span = slice(scores.offsets[index], scores.offsets[index + 1])
    log_p = scores.support_log_p_expert[span]
    for token in set(ids[0].tolist()) ^ set(ids[1].tolist()):
        (of_token,) = log_p[scores.support_ids[span] == token]
        assert abs(of_token - log_p.max() - log(ALPHA)) <= NATS, f"token {token} of step {step}"
    return None


def target(samples: Samples, place: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    span = slice(samples.targets.offsets[place], samples.targets.offsets[place + 1])
    return samples.targets.ids[span], samples.targets.weights[span]


@torch.no_grad()
def loss(pair: LoadedPair, samples: Samples, steps: list[int], pieces: Pieces | None) -> float:
    parts = batch_losses(pair.expert, pair.vocabulary, samples, steps, pieces=pieces)
    return sum(parts, torch.zeros(())).item()


@pytest.mark.parametrize("name", CUTS)
def test_kept_steps_targets_and_losses_do_not_depend_on_how_work_is_cut(
    subject: Subject, ingredients: Callable[[str], Ingredients], name: str
) -> None:
    cut, whole = CUTS[name], subject.scores
    scores = scored(subject, cut)
    np.testing.assert_array_equal(scores.rollout, whole.rollout)
    np.testing.assert_array_equal(scores.step, whole.step)
    np.testing.assert_allclose(scores.kl, whole.kl, rtol=RELATIVE, atol=NATS)

    expected, found = (subject.samples(each, ingredients("lightr")) for each in (whole, scores))
    both = same_steps(subject, scores, expected, found)
    assert 50 < len(both) < 0.9 * len(whole)
    targets = [same_targets(subject, expected, found, places) for places in both]
    compared = [places for places, weights in zip(both, targets, strict=True) if weights is not None]
    assert len(compared) > 0.99 * len(both)
    assert sum(len(weights) > 1 for weights in targets if weights is not None) > 10

    losses = []
    for first in range(0, len(subject.rollouts), ROLLOUTS_PER_UPDATE):
        rollouts = range(first, first + ROLLOUTS_PER_UPDATE)
        update = [places for places in compared if expected.rollout[places[0]] in rollouts]
        usual = loss(subject.pair, expected, [place for place, _ in update], None)
        pieces = Pieces(cut.tokens, cut.positions)
        other = loss(subject.pair, found, [place for _, place in update], pieces)
        assert usual > 0.01
        assert other == pytest.approx(usual, abs=LOSS)
        losses.append(abs(other - usual))
    largest = {
        "divergence": np.abs(scores.kl - whole.kl).max(),
        "weight": max(np.abs(weights).max() for weights in targets if weights is not None),
        "loss": max(losses),
    }
    print(f"{len(whole)} steps, {len(both)} kept,", {key: f"{value:.1e}" for key, value in largest.items()})
