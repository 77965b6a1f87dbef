"""What the public scripts of the paper wrote with the first embedded pair, and what lrbench scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.methods.fidelity import Fidelity, kept_as_scripted, read_fidelity
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Divergence, ModelReference, Runtime, Training
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.reference_scores import score_as_scripted
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import score_rollouts
from lrbench.store.keys import FileHashes
from lrbench.training.batches import update_batches
from lrbench.training.loss import batch_losses
from lrbench.training.reference_loss import RowForm, batches_of_rows, row_form, row_losses
from tests.worlds import WORLD1, world1_problems

SYSTEM_PROMPT = "Please reason step by step."
NATS = 1e-5
WEIGHT = 5e-6


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    hashes = FileHashes()
    pair = (locate(ModelReference(model=str(WORLD1 / name)), hashes) for name in ("expert", "amateur"))
    return Workspace(*pair, Runtime())


@pytest.fixture(scope="module")
def rollouts(workspace: Workspace) -> list[Rollout]:
    """What the expert writes, whose ids are the problems' texts, as in the scripts' files."""
    texts = [problem["problem"] for problem in world1_problems()]
    prompts = [tuple(render_prompt(workspace.expert.tokenizer, text, SYSTEM_PROMPT)) for text in texts]
    engine = TransformersEngine(workspace.pair.loaded.expert, workspace.expert.token_rules, len(prompts))
    return [
        Rollout(text, 0, prompt, completion)
        for text, prompt, completion in zip(texts, prompts, engine.complete(prompts, 128), strict=True)
    ]


def held_against(shared: Path, rollouts: list[Rollout], scores: Scores, samples: Samples) -> set[Any]:
    """The kept steps, after divergences and weights were compared with those of the scripts."""
    divergences = {
        (rollouts[rollout].problem_id, int(step)): kl
        for rollout, step, kl in zip(scores.rollout, scores.step, scores.kl, strict=True)
    }
    for row in lines(shared / "reference" / "steps.jsonl"):
        found = divergences[row["prompt_id"], row["step"]]
        assert found == pytest.approx(row["kl_divergence"], abs=NATS)
    kept = {
        (rollouts[rollout].problem_id, int(step)): place
        for place, (rollout, step) in enumerate(zip(samples.rollout, samples.step, strict=True))
    }
    for row in lines(shared / "reference" / "samples.jsonl"):
        place = kept[row["prompt_id"], row["step"]]
        span = slice(samples.targets.offsets[place], samples.targets.offsets[place + 1])
        order = np.argsort(row["token_ids"])
        assert samples.targets.ids[span].tolist() == np.array(row["token_ids"])[order].tolist()
        np.testing.assert_allclose(
            samples.targets.weights[span], np.array(row["weights"])[order], rtol=0, atol=WEIGHT
        )
    return set(kept)


def kept_by_scripts(shared: Path) -> set[Any]:
    return {(row["prompt_id"], row["step"]) for row in lines(shared / "reference" / "samples.jsonl")}


def test_divergences_kept_steps_and_weights_are_those_of_the_public_scripts_after_the_first_step(
    shared: Path,
    workspace: Workspace,
    rollouts: list[Rollout],
    ingredients: Callable[[str], Ingredients],
) -> None:
    scores = score_rollouts(workspace.pair.loaded, rollouts, alpha_min=0.05)
    samples = build_samples(
        rollouts, {PAIR: scores}, ingredients("lightr").completed(Divergence(alpha=0.2, beta=0.4))
    )
    kept = held_against(shared, rollouts, scores, samples)
    # The scripts begin at the second step.
    assert {step for step in kept if step[1] > 0} == kept_by_scripts(shared)
    assert len(kept) == 86 + 30


@pytest.fixture(scope="module")
def reference() -> Fidelity:
    return read_fidelity("reference")


@pytest.fixture(scope="module")
def scripted(workspace: Workspace, rollouts: list[Rollout], reference: Fidelity) -> tuple[Scores, Samples]:
    """Scores and samples with every hazard that their stages read."""
    lightr = BY_NAME["lightr"].ingredients
    assert lightr is not None
    completed = lightr.completed(Divergence(alpha=0.2, beta=0.4))
    scores = score_as_scripted(
        workspace.pair.loaded,
        rollouts,
        reference,
        alpha_min=0.05,
        tokenizer=workspace.expert.tokenizer,
    )
    views = {PAIR: scores}
    kept = kept_as_scripted(reference, completed.selector.keep(views), views, 0.4)
    return scores, build_samples(rollouts, views, completed, kept=kept)


def test_with_every_hazard_exactly_the_steps_of_the_scripts_are_kept(
    shared: Path, rollouts: list[Rollout], scripted: tuple[Scores, Samples]
) -> None:
    assert held_against(shared, rollouts, *scripted) == kept_by_scripts(shared)


def test_rows_one_at_a_time_have_our_loss_and_in_shuffled_batches_most_are_read_at_padding(
    workspace: Workspace, scripted: tuple[Scores, Samples], reference: Fidelity
) -> None:
    model, vocabulary, (_, samples) = workspace.expert.weights, workspace.expert.vocabulary, scripted
    form = row_form(reference, samples, workspace.expert.tokenizer)
    assert not form.respelt

    def loss(form: RowForm, rows: list[int]) -> float:
        with torch.no_grad():
            return sum(part.item() for part in row_losses(form, model, vocabulary, samples, rows))

    alone = [loss(form, [row]) for row in range(len(samples))]
    with torch.no_grad():
        own = sum(part.item() for part in batch_losses(model, vocabulary, samples, range(len(samples))))
    assert len(alone) == 86
    assert np.mean(alone) == pytest.approx(own, abs=1e-6)

    batches = list(update_batches(samples, Training(updates=20, steps_per_update=16), 0, rows_shuffled=True))
    # Three epochs whose last batches are partial, and two updates more: 250 of 290 rows in the scripts' run.
    assert sum(map(len, batches)) == 290
    assert sum(form.at_padding(samples, batch) for batch in batches) / 290 == pytest.approx(0.86, abs=0.03)
    epoch = batches[:6]
    places = replace(form, fidelity=Fidelity())
    # The scripts' run had 7.04 and 0.177 with an adapter that is not known.
    assert np.mean([loss(form, rows) / len(batches_of_rows(rows)) for rows in epoch]) > 6
    assert np.mean([loss(places, rows) for rows in epoch]) < 0.2
