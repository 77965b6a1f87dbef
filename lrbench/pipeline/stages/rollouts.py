"""Where rollouts come from: greedy answers, checked solutions, or the data set's own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage, shards
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice, Sampling
from lrbench.sampling.problems import Problems
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.sampling.rollouts import Rollout

PROBLEMS_PER_SHARD = 64


@dataclass(frozen=True)
class GreedyRollouts(Stage):
    """The expert's greedy answers, cut at `max_new_tokens`. Reads problem texts, never a label."""

    name: ClassVar[str] = "rollouts"
    version: ClassVar[int] = 2
    renders_prompts: ClassVar[bool] = True

    expert: LocatedModel
    problems: Problems
    sampling: Sampling

    @property
    def label(self) -> str:
        """For people."""
        return f"rollouts of {self.expert.name} ({len(self.problems.ids)} problems)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Model, texts and decoding; no answers."""
        return {
            "expert": model_identity(self.expert),
            "texts": self.problems.texts_hash,
            "max_new_tokens": self.sampling.max_new_tokens,
            "engine": self.sampling.engine.name,
            "system_prompt": self.sampling.system_prompt,
        }

    @property
    def size(self) -> int:
        """Problems."""
        return len(self.problems.ids)

    @property
    def most_tokens(self) -> int:
        """Every rollout at its full length."""
        return self.size * self.sampling.max_new_tokens

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.sampling.engine

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit one Parquet file of rollouts per shard of problems."""
        from lrbench.models.prompt import render_prompt
        from lrbench.sampling.rollouts import Rollout

        for name, span in shards(len(self.problems.ids), PROBLEMS_PER_SHARD):
            if not draft.has(f"{name}.parquet"):
                started = time.monotonic()
                prompts = [
                    render_prompt(
                        workspace.tokenizer, self.problems.texts[index], self.sampling.system_prompt
                    )
                    for index in span
                ]
                with workspace.engine(self.sampling.engine) as engine:
                    completions = engine.complete(prompts, self.sampling.max_new_tokens)
                rollouts = [
                    Rollout(self.problems.ids[index], 0, tuple(prompt), completion)
                    for index, prompt, completion in zip(span, prompts, completions, strict=True)
                    # A problem that fills the model's context leaves no room for an answer.
                    if completion
                ]
                _commit_rollouts(draft, name, rollouts, started)
            progress.advance(len(span))
        return _rollout_statistics(draft)


@dataclass(frozen=True)
class CheckedSolutions(Stage):
    """Solutions the expert sampled and finished whose answer is right: rejection sampling for SFT."""

    name: ClassVar[str] = "solutions"
    version: ClassVar[int] = 2
    renders_prompts: ClassVar[bool] = True

    expert: LocatedModel
    problems: Problems
    sampling: Sampling
    seed: int

    @property
    def label(self) -> str:
        """For people."""
        samples = self.sampling.solutions.samples_per_problem
        return f"solutions of {self.expert.name} ({len(self.problems.ids)} problems, {samples} samples each)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Model, texts, gold answers, decoding, seed and grader."""
        from lrbench.evaluation.suites import GRADER_VERSION

        return {
            "expert": model_identity(self.expert),
            "texts": self.problems.texts_hash,
            "answers": self.problems.answers_hash,
            "answers_checked_as": self.problems.benchmark,
            "system_prompt": self.sampling.system_prompt,
            "solutions": self.sampling.solutions.model_dump(mode="json"),
            "engine": self.sampling.engine.name,
            "seed": self.seed,
            "grader_version": GRADER_VERSION,
        }

    @property
    def size(self) -> int:
        """Problems."""
        return len(self.problems.ids)

    @property
    def most_tokens(self) -> int:
        """Every sample at its full length."""
        solutions = self.sampling.solutions
        return self.size * solutions.samples_per_problem * solutions.max_new_tokens

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.sampling.engine

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit, per shard of problems, the right solutions and the counts of what was sampled."""
        counted = {"samples": 0, "tokens": 0, "right": 0}
        for name, span in shards(len(self.problems.ids), PROBLEMS_PER_SHARD):
            if not draft.has(f"{name}.json"):
                started = time.monotonic()
                sampled = self._sample(span, workspace)
                right = [rollout for rollout, correct in sampled if correct]
                counts = {
                    "samples": len(sampled),
                    "tokens": sum(rollout.steps for rollout, _ in sampled),
                    "right": len(right),
                }
                _commit_rollouts(draft, name, right, started)
                text = json.dumps(counts)
                draft.commit(f"{name}.json", partial(Path.write_text, data=text))
            counts = json.loads(draft.path(f"{name}.json").read_text())
            counted = {field: total + counts[field] for field, total in counted.items()}
            progress.advance(len(span), note=f"{counted['right']}/{counted['samples']} right")
        return _rollout_statistics(draft) | {
            "sampled_solutions": counted["samples"],
            "sampled_tokens": counted["tokens"],
            "share_right": counted["right"] / counted["samples"],
        }

    def _sample(self, span: range, workspace: Workspace) -> list[tuple[Rollout, bool]]:
        from lrbench.models.prompt import render_prompt
        from lrbench.sampling.rollouts import Rollout

        solutions = self.sampling.solutions
        wanted = [(index, sample) for index in span for sample in range(solutions.samples_per_problem)]
        prompts = [
            render_prompt(workspace.tokenizer, self.problems.texts[index], self.sampling.system_prompt)
            for index, _ in wanted
        ]
        with workspace.engine(self.sampling.engine) as engine:
            completions = engine.complete(
                prompts,
                solutions.max_new_tokens,
                temperature=solutions.temperature,
                seeds=[row_seed(self.seed, self.problems.ids[index], sample) for index, sample in wanted],
            )
        return [
            (
                Rollout(self.problems.ids[index], sample, tuple(prompt), completion),
                self._is_right(index, completion, workspace),
            )
            for (index, sample), prompt, completion in zip(wanted, prompts, completions, strict=True)
        ]

    def _is_right(self, index: int, completion: Sequence[int], workspace: Workspace) -> bool:
        from lrbench.evaluation.grading import grade

        gold = self.problems.answers[index]
        if gold is None or not completion or completion[-1] not in workspace.stop_ids:
            return False
        text = workspace.tokenizer.decode(completion[:-1])
        return grade(benchmark=self.problems.benchmark, completion=text, gold=gold).correct


@dataclass(frozen=True)
class ReferenceRollouts(Stage):
    """The data set's own solutions as rollouts, for the `ground_truth` source."""

    name: ClassVar[str] = "reference"
    version: ClassVar[int] = 2
    renders_prompts: ClassVar[bool] = True

    expert: LocatedModel
    problems: Problems
    sampling: Sampling

    @property
    def label(self) -> str:
        """For people."""
        return f"reference solutions ({len(self.problems.ids)} problems)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Texts and solutions as the expert's tokenizer reads them."""
        return {
            "expert": model_identity(self.expert),
            "texts": self.problems.texts_hash,
            "solutions": self.problems.solutions_hash,
            "system_prompt": self.sampling.system_prompt,
        }

    @property
    def size(self) -> int:
        """Problems."""
        return len(self.problems.ids)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit one Parquet file per shard of problems."""
        from lrbench.models.loading import end_of_turn_id
        from lrbench.models.prompt import render_prompt
        from lrbench.sampling.rollouts import Rollout

        tokenizer = workspace.tokenizer
        end = end_of_turn_id(tokenizer)
        for name, span in shards(len(self.problems.ids), PROBLEMS_PER_SHARD):
            if not draft.has(f"{name}.parquet"):
                started = time.monotonic()
                rollouts = [
                    Rollout(
                        self.problems.ids[index],
                        0,
                        tuple(
                            render_prompt(tokenizer, self.problems.texts[index], self.sampling.system_prompt)
                        ),
                        (*tokenizer.encode(solution, add_special_tokens=False), end),
                    )
                    for index in span
                    if (solution := self.problems.solutions[index]) is not None
                ]
                _commit_rollouts(draft, name, rollouts, started)
            progress.advance(len(span))
        return _rollout_statistics(draft)


def row_seed(seed: int, problem_id: str, sample: int) -> int:
    """The seed of one sampled row: its own, whatever else is in the batch."""
    digest = hashlib.sha256(f"{seed}/{problem_id}/{sample}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def parquet_files(artifact: Artifact) -> list[Any]:
    """The artifact's Parquet files in shard order."""
    return [artifact.file(record.name) for record in artifact.files if record.name.endswith(".parquet")]


def read_artifact_rollouts(artifact: Artifact) -> list[Rollout]:
    """All rollouts of a source's artifact, in order."""
    from lrbench.sampling.rollouts import read_rollouts

    return read_rollouts(parquet_files(artifact))


def _commit_rollouts(draft: Draft, name: str, rollouts: Sequence[Rollout], started: float) -> None:
    from lrbench.sampling.rollouts import write_rollouts

    seconds = time.monotonic() - started
    draft.commit(f"{name}.parquet", partial(write_rollouts, rollouts=rollouts), seconds)


def _rollout_statistics(draft: Draft) -> dict[str, Any]:
    from lrbench.sampling.rollouts import read_rollouts

    paths = [draft.path(name) for name in draft.names if name.endswith(".parquet")]
    rollouts = read_rollouts(paths)
    return {"rollouts": len(rollouts), "tokens": sum(rollout.steps for rollout in rollouts)}
