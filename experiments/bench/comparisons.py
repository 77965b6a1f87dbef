"""Our scoring and training against the plain way, and what scoring adds to bare generation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from experiments.bench.measuring import Comparison, in_turn, seconds
from experiments.bench.reference import loss_per_token, score_per_prefix
from experiments.bench.subjects import Subject
from lrbench.recipe.arms import KNOWN_ARMS
from lrbench.recipe.schema import Divergence, Runtime, Training
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import score_rollouts
from lrbench.training.adapters import attach_adapter
from lrbench.training.loop import train
from lrbench.training.loss import batch_losses

ALPHA_MIN = 0.05
# Random models diverge everywhere: the steps that are kept of them are the fifth that diverges most.
SHARE_KEPT = 0.2


def score(subject: Subject, rollouts: Sequence[Rollout]) -> Scores:
    """Our scores of the rollouts."""
    return score_rollouts(subject.pair, rollouts, alpha_min=ALPHA_MIN)


def scoring(name: str, subject: Subject, runs: int) -> Comparison:
    """P1: both models once per rollout, against once per prefix."""
    return in_turn(
        f"scoring, {name}: one pass, against per prefix",
        lambda: score(subject, subject.rollouts),
        lambda: score_per_prefix(subject.pair, subject.rollouts),
        "at least 10",
        runs,
    )


def samples_of(subject: Subject, arm: str, beta: float | None = None) -> Samples:
    """The samples of an arm; `beta` None keeps a fifth of all steps where the arm selects any."""
    ingredients = KNOWN_ARMS[arm]
    assert ingredients is not None
    scores = score(subject, subject.rollouts)
    if beta is None:
        beta = float(np.quantile(scores.kl, 1 - SHARE_KEPT))
    return build_samples(subject.rollouts, scores, ingredients, Divergence(beta=beta))


def training(name: str, subject: Subject, samples: Samples, batch: Sequence[int], runs: int) -> Comparison:
    """P2: the gradient of one update over the kept steps `batch`, against one row per (prefix, token)."""
    offsets = samples.targets.offsets
    rows = sum(int(offsets[index + 1] - offsets[index]) for index in batch)
    adapted = attach_adapter(subject.pair.expert, subject.lora, seed=0)
    model = adapted.get_base_model()

    def packed() -> None:
        for part in batch_losses(model, subject.pair.vocabulary, samples, batch):
            part.backward()
        _wait()

    def plain() -> None:
        loss_per_token(model, subject.pair.vocabulary, samples, batch)
        _wait()

    found = in_turn(f"{name}: {len(batch)} steps, against {rows} rows", packed, plain, "at least 8", runs)
    adapted.unload()
    return found


def sampling(name: str, subject: Subject, runs: int) -> Comparison:
    """P3: bare batched generation, against generation with both models' scores."""

    def whole() -> None:
        subject.complete()
        score(subject, subject.rollouts)

    subject.rollouts  # noqa: B018 - written before the clock runs
    return in_turn(
        f"sampling, {name}: bare, against with scores", subject.complete, whole, "at most 1.4", runs
    )


def whole_work(subject: Subject, updates: int) -> str:
    """P4: the published recipe once: all rollouts, their scores, and updates of 16 kept steps."""
    written = seconds(lambda: subject.rollouts)
    scored = seconds(lambda: score(subject, subject.rollouts))
    samples = samples_of(subject, "lightr")
    settings = Training(updates=updates, steps_per_update=16, lora=subject.lora)
    pair = subject.pair
    found = []

    def learn() -> None:
        found.append(
            train(
                pair.expert,
                pair.vocabulary,
                samples,
                settings,
                seed=0,
                runtime=Runtime(),
                save=lambda _: None,
            )
        )

    learnt = seconds(learn)
    found[0].adapted.unload()
    return (
        f"the whole recipe, {len(subject.prompts)} prompts and {updates} updates: {written:.1f} s of "
        f"rollouts, {scored:.1f} s of scores, {learnt:.1f} s of training, "
        f"{written + scored + learnt:.1f} s in all (wanted: under 120)"
    )


def _wait() -> None:
    """A GPU works on after a call has returned; a backward pass gives nothing that would be waited for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
