"""What the public scripts of the paper wrote with the first embedded pair, and what lrbench scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.readings import PAIR
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Divergence, ModelReference, Runtime
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import build_samples
from lrbench.sampling.scoring import score_rollouts
from lrbench.store.keys import FileHashes
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


def test_divergences_kept_steps_and_weights_are_those_of_the_public_scripts_after_the_first_step(
    shared: Path, workspace: Workspace, ingredients: Callable[[str], Ingredients]
) -> None:
    texts = [problem["problem"] for problem in world1_problems()]
    prompts = [tuple(render_prompt(workspace.expert.tokenizer, text, SYSTEM_PROMPT)) for text in texts]
    engine = TransformersEngine(workspace.pair.loaded.expert, workspace.expert.token_rules, len(prompts))
    rollouts = [
        Rollout(text, 0, prompt, completion)
        for text, prompt, completion in zip(texts, prompts, engine.complete(prompts, 128), strict=True)
    ]
    scores = score_rollouts(workspace.pair.loaded, rollouts, alpha_min=0.05)
    divergences = {
        (texts[rollout], int(step)): kl
        for rollout, step, kl in zip(scores.rollout, scores.step, scores.kl, strict=True)
    }
    for row in lines(shared / "reference" / "steps.jsonl"):
        found = divergences[row["prompt_id"], row["step"]]
        assert found == pytest.approx(row["kl_divergence"], abs=NATS)

    samples = build_samples(
        rollouts, {PAIR: scores}, ingredients("lightr").completed(Divergence(alpha=0.2, beta=0.4))
    )
    kept = {
        (texts[rollout], int(step)): place
        for place, (rollout, step) in enumerate(zip(samples.rollout, samples.step, strict=True))
    }
    written = lines(shared / "reference" / "samples.jsonl")
    # The scripts begin at the second step.
    assert {step for step in kept if step[1] > 0} == {(row["prompt_id"], row["step"]) for row in written}
    for row in written:
        place = kept[row["prompt_id"], row["step"]]
        span = slice(samples.targets.offsets[place], samples.targets.offsets[place + 1])
        order = np.argsort(row["token_ids"])
        assert samples.targets.ids[span].tolist() == np.array(row["token_ids"])[order].tolist()
        np.testing.assert_allclose(
            samples.targets.weights[span], np.array(row["weights"])[order], rtol=0, atol=WEIGHT
        )
