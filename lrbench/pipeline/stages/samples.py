"""From rollouts to samples: both models' scores, and an arm's selector and target over them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage, shards
from lrbench.pipeline.stages.rollouts import parquet_files, read_artifact_rollouts
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.arms import Ingredients
from lrbench.recipe.schema import Divergence
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

ROLLOUTS_PER_SHARD = 64


@dataclass(frozen=True)
class PairScores(Stage):
    """Both models' view of every step of the rollouts, sparse down to alpha_min."""

    name: ClassVar[str] = "scores"
    version: ClassVar[int] = 2

    expert: LocatedModel
    amateur: LocatedModel
    rollouts: Stage
    alpha_min: float

    @property
    def label(self) -> str:
        """For people."""
        return f"scores of {self.expert.name} against {self.amateur.name}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Both models, and how far down scores are stored."""
        return {
            "expert": model_identity(self.expert),
            "amateur": model_identity(self.amateur),
            "alpha_min": self.alpha_min,
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The rollouts that are scored."""
        return {"rollouts": self.rollouts}

    @property
    def size(self) -> int:
        """Problems behind the rollouts."""
        return self.rollouts.size

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit one Parquet file of scores per shard of rollouts, and what the token ids read as."""
        from lrbench.sampling.scores import read_scores, write_scores
        from lrbench.sampling.scoring import score_rollouts
        from lrbench.sampling.token_texts import TOKENS_FILE, ids_of, token_texts, write_token_texts

        rollouts = read_artifact_rollouts(inputs["rollouts"])
        pair = workspace.pair
        steps = 0
        named: set[int] = set()
        for name, span in shards(len(rollouts), ROLLOUTS_PER_SHARD):
            batch = [rollouts[index] for index in span]
            if not draft.has(f"{name}.parquet"):
                started = time.monotonic()
                scores = score_rollouts(
                    pair,
                    batch,
                    alpha_min=self.alpha_min,
                    first_index=span.start,
                )
                seconds = time.monotonic() - started
                draft.commit(f"{name}.parquet", partial(write_scores, scores=scores), seconds)
            named |= ids_of(batch, read_scores([draft.path(f"{name}.parquet")]))
            steps += sum(rollout.steps for rollout in batch)
            progress.advance(len(span))
        texts = token_texts(workspace.tokenizer, named)
        draft.commit(TOKENS_FILE, lambda path: write_token_texts(path, texts))
        workspace.release_amateur()
        return {"rollouts": len(rollouts), "steps": steps}


@dataclass(frozen=True)
class ArmSamples(Stage):
    """An arm's selector and target applied: kept steps with what is learnt at each."""

    name: ClassVar[str] = "samples"
    version: ClassVar[int] = 1

    rollouts: Stage
    scores: PairScores | None
    ingredients: Ingredients
    divergence: Divergence

    @property
    def label(self) -> str:
        """For people."""
        return f"samples ({self.ingredients.selector} steps, {self.ingredients.target} target)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The selector and the target with the thresholds they use."""
        identity: dict[str, Any] = {
            "selector": self.ingredients.selector,
            "target": self.ingredients.target,
        }
        if self.ingredients.selector == "kl":
            identity["beta"] = self.divergence.beta
        if self.ingredients.target == "contrast":
            identity["alpha"] = self.divergence.alpha
        return identity

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """Rollouts, and scores where the selector or target needs them."""
        scores = {} if self.scores is None else {"scores": self.scores}
        return {"rollouts": self.rollouts} | scores

    @property
    def size(self) -> int:
        """One pass."""
        return 1

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit the rollouts and their kept steps."""
        from lrbench.sampling.divergence import divergence_statistics
        from lrbench.sampling.rollouts import write_rollouts
        from lrbench.sampling.samples import (
            ROLLOUTS_FILE,
            STEPS_FILE,
            build_samples,
            kept_steps,
            write_steps,
        )
        from lrbench.sampling.scores import read_scores

        started = time.monotonic()
        rollouts = workspace.read_once(inputs["rollouts"], read_artifact_rollouts)
        scores = (
            workspace.read_once(inputs["scores"], lambda artifact: read_scores(parquet_files(artifact)))
            if "scores" in inputs
            else None
        )
        samples = build_samples(rollouts, scores, self.ingredients, self.divergence)
        draft.commit(ROLLOUTS_FILE, lambda path: write_rollouts(path, rollouts))
        draft.commit(STEPS_FILE, lambda path: write_steps(path, samples), time.monotonic() - started)
        progress.advance(1)
        statistics: dict[str, Any] = {"kept_steps": len(samples)}
        if scores is not None:
            statistics["divergence"] = divergence_statistics(
                scores, kept_steps(scores, self.ingredients, self.divergence)
            )
        return statistics
