"""Our scoring and training against the plain way, and what scores add to bare generation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from experiments.bench.bare import complete_bare
from experiments.bench.measuring import Comparison, Figure, in_turn, seconds
from experiments.bench.reference import loss_per_token, score_per_prefix
from experiments.bench.subjects import Subject
from lrbench.methods.answers import OWN, Mix
from lrbench.methods.component import AMATEUR, EXPERT
from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.recipe.schema import Divergence, Runtime, Training
from lrbench.sampling.engines.lockstep import LockstepEngine
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
STEPS_PER_UPDATE = 16


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
    ingredients = BY_NAME[arm].ingredients
    assert ingredients is not None
    scores = score(subject, subject.rollouts)
    if beta is None:
        beta = float(np.quantile(scores.kl, 1 - SHARE_KEPT))
    return build_samples(subject.rollouts, {PAIR: scores}, ingredients.completed(Divergence(beta=beta)))


def training(name: str, subject: Subject, samples: Samples, batch: Sequence[int], runs: int) -> Comparison:
    """P2: the gradient of one update over the kept steps `batch`, against one row per (prefix, token)."""
    offsets = samples.targets.offsets
    rows = sum(int(offsets[index + 1] - offsets[index]) for index in batch)
    adapted = attach_adapter(subject.pair.expert, subject.lora, seed=0)
    model = adapted.get_base_model()

    def packed() -> None:
        for part in batch_losses(model, subject.pair.vocabulary, samples, batch):
            part.backward()
        wait()

    def plain() -> None:
        loss_per_token(model, subject.pair.vocabulary, samples, batch)
        wait()

    found = in_turn(f"{name}: {len(batch)} steps, against {rows} rows", packed, plain, "at least 8", runs)
    adapted.unload()
    return found


def sampling(name: str, subject: Subject, runs: int) -> Comparison:
    """P3: transformers' own generation, against our rollouts with both models' scores."""
    tokens = {}

    def bare() -> None:
        tokens["bare"] = sum(map(len, complete_bare(subject)))

    def scored() -> None:
        rollouts = subject.written()
        score(subject, rollouts)
        tokens["scored"] = sum(rollout.steps for rollout in rollouts)

    found = in_turn(f"sampling, {name}: bare, against with scores", bare, scored, "at most 1.4", runs)
    assert tokens["bare"] == tokens["scored"], f"work of different size was compared: {tokens}"
    return found


def contrasting(name: str, subject: Subject, runs: int) -> Comparison:
    """P8: answers of the expert alone, against those that both models write by contrastive decoding.

    Of a subject whose completions all have the full length, so that both write the same number of tokens.
    """
    models = {OWN: subject.pair.expert, EXPERT: subject.pair.expert, AMATEUR: subject.pair.amateur}
    decoding = Mix(mix={EXPERT: 1.0, AMATEUR: -1.0}, alpha=Divergence().alpha)
    engine = LockstepEngine(models, decoding, subject.rules, subject.batch_size)
    tokens = {}

    def alone() -> None:
        tokens["alone"] = sum(map(len, subject.complete()))

    def contrasted() -> None:
        tokens["contrasted"] = sum(map(len, engine.complete(subject.prompts, subject.new_tokens)))

    found = in_turn(
        f"answers, {name}: expert alone, against contrasted", alone, contrasted, "at most 2.3", runs
    )
    assert tokens["alone"] == tokens["contrasted"], f"work of different size was compared: {tokens}"
    return found


def whole_work(subject: Subject, updates: int) -> Iterator[Figure]:
    """P4: the published recipe once: all rollouts, their scores, and updates of 16 kept steps."""
    settings = Training(updates=updates, steps_per_update=STEPS_PER_UPDATE, lora=subject.lora)
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

    parts = [seconds(lambda: subject.rollouts)]
    yield Figure(f"the whole recipe: rollouts of {len(subject.prompts)} prompts, s", parts)
    parts.append(seconds(lambda: score(subject, subject.rollouts)))
    yield Figure("the whole recipe: scores, s", parts[1:])
    samples = samples_of(subject, "lightr")
    parts.append(seconds(learn))
    found[0].adapted.unload()
    yield Figure(f"the whole recipe: {updates} updates, s", parts[2:])
    yield Figure("the whole recipe, s", [sum(parts)], "under 120")


def wait() -> None:
    """A GPU works on after a call has returned; a backward pass gives nothing that would be waited for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
