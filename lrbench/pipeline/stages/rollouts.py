"""Where rollouts come from: greedy answers, checked solutions, or the data set's own."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.errors import DataError, ModelError
from lrbench.models.source import LocatedModel, model_identity
from lrbench.models.turn_marks import end_of_turn, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.sharding import Shard, Shards
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice, Sampling
from lrbench.sampling.problems import Problems
from lrbench.sampling.rejections import Rejection
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.sampling.engines.base import Engine
    from lrbench.sampling.rollouts import Rollout

PROBLEMS_PER_SHARD = 64
REJECTED = ".rejected"


@dataclass(frozen=True)
class RolloutSource(Stage):
    """What the three sources have in common: problems in, shards of rollouts out."""

    renders_prompts: ClassVar[bool] = True

    expert: LocatedModel
    problems: Problems
    sampling: Sampling

    @property
    def identity(self) -> Mapping[str, Any]:
        """Model, texts and prompt; each source adds what else it reads, and what of its turns counts."""
        return {
            "expert": model_identity(self.expert),
            "texts": self.problems.texts_hash,
            "system_prompt": self.sampling.system_prompt,
        } | turn_marks(self.expert).control_text(self.asked)

    @property
    def asked(self) -> list[str]:
        """Every text of a user that stands in a prompt."""
        system = self.sampling.system_prompt
        return self.problems.texts if system is None else [*self.problems.texts, system]

    @property
    def size(self) -> int:
        """Problems."""
        return len(self.problems.ids)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit one Parquet file of rollouts per shard of problems."""
        from lrbench.sampling.rollouts import iterate_rollouts, write_rollouts

        # One engine for all shards: the number of rows that it found to fit holds for the next.
        with self._engine(workspace, self._shards.are_in(draft)) as engine:

            def make(shard: Shard[int]) -> Callable[[Path], object]:
                rollouts = self.make(shard.name, shard.span, draft, workspace, engine)
                return partial(write_rollouts, rollouts=rollouts)

            for _ in self._shards.work(range(self.size), draft, progress, make):
                pass
        count = tokens = 0
        for rollout in iterate_rollouts(
            draft.path(name) for name in draft.names if name.endswith(".parquet")
        ):
            count += 1
            tokens += rollout.steps
        return {"rollouts": count, "tokens": tokens}

    @property
    def _shards(self) -> Shards:
        return Shards(self.size, PROBLEMS_PER_SHARD, ".parquet")

    def _engine(self, workspace: Workspace, finished: bool) -> AbstractContextManager[Engine | None]:
        """What writes, where the source writes and something is left to write."""
        choice = self.engine_choice
        return nullcontext() if choice is None or finished else workspace.engine(choice)

    @abstractmethod
    def make(
        self, name: str, span: range, draft: Draft, workspace: Workspace, engine: Engine | None
    ) -> list[Rollout]:
        """The rollouts of the problems in `span`; `name` is the shard's, for files beside it.

        `engine` is None for a source without an engine.
        """

    def prompt(self, index: int, workspace: Workspace) -> tuple[int, ...]:
        """Token ids of the prompt that asks problem `index`."""
        from lrbench.models.prompt import render_prompt

        text = self.problems.texts[index]
        with self._at(index):
            return tuple(render_prompt(workspace.tokenizer, text, self.sampling.system_prompt))

    @contextmanager
    def _at(self, index: int) -> Iterator[None]:
        """Says of which problem it is that the model's tokenizer cannot read a text."""
        try:
            yield
        except ModelError as error:
            raise DataError(f"{self.problems.place(index)}: {error}") from error

    def check_texts(self, workspace: Workspace) -> None:
        """Find out before any work whether the tokenizer can read every text. Raises `DataError` if not."""
        marks = turn_marks(self.expert)
        for index in range(self.size):
            if marks.control_text(self._texts_of(index)):
                self._encode(index, workspace)

    def _texts_of(self, index: int) -> list[str]:
        """The texts of a problem that the stage encodes."""
        return [self.problems.texts[index]]

    def _encode(self, index: int, workspace: Workspace) -> None:
        """Encode the texts of a problem, for the errors alone."""
        self.prompt(index, workspace)


@dataclass(frozen=True)
class GreedyRollouts(RolloutSource):
    """The expert's greedy answers, cut at `max_new_tokens`. Reads problem texts, never a label."""

    name: ClassVar[str] = "rollouts"
    version: ClassVar[int] = 2

    @property
    def label(self) -> str:
        """For people."""
        return f"rollouts of {self.expert.name} ({self.size} problems)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the decoding."""
        return {
            **super().identity,
            "max_new_tokens": self.sampling.max_new_tokens,
            "engine": self.sampling.engine.name,
        } | turn_marks(self.expert).writing

    @property
    def most_tokens(self) -> int:
        """Every rollout at its full length."""
        return self.size * self.sampling.max_new_tokens

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.sampling.engine

    def make(
        self, name: str, span: range, draft: Draft, workspace: Workspace, engine: Engine | None
    ) -> list[Rollout]:
        """One greedy rollout per problem that leaves room for one in the model's context."""
        from lrbench.sampling.rollouts import Rollout

        assert engine is not None
        prompts = [self.prompt(index, workspace) for index in span]
        completions = engine.complete(prompts, self.sampling.max_new_tokens)
        return [
            Rollout(self.problems.ids[index], 0, prompt, completion)
            for index, prompt, completion in zip(span, prompts, completions, strict=True)
            if completion
        ]


@dataclass(frozen=True)
class CheckedSolutions(RolloutSource):
    """Solutions the expert sampled and finished whose answer is right: rejection sampling for SFT."""

    name: ClassVar[str] = "solutions"
    version: ClassVar[int] = 2

    seed: int

    @property
    def label(self) -> str:
        """For people."""
        samples = self.sampling.solutions.samples_per_problem
        return f"solutions of {self.expert.name} ({self.size} problems, {samples} samples each)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the gold answers, the decoding, the seed and the grader."""
        from lrbench.evaluation.suites import grader_version

        return {
            **super().identity,
            "answers": self.problems.answers_hash,
            "answers_checked_as": self.problems.benchmark,
            "solutions": self.sampling.solutions.model_dump(mode="json"),
            "engine": self.sampling.engine.name,
            "seed": self.seed,
            "grader_version": grader_version(self.problems.benchmark),
        } | turn_marks(self.expert).writing

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
        """Commit the right solutions, and counts of all that were sampled; also of why, if none is right."""
        statistics = super().work(draft, inputs, workspace, progress)
        counts = [json.loads(draft.path(name).read_text()) for name in draft.names if name.endswith(".json")]
        if statistics["rollouts"] == 0:
            statistics |= {"rejected": dict(self._rejected(draft))}
        samples = sum(count["samples"] for count in counts)
        return statistics | {
            "sampled_solutions": samples,
            "sampled_tokens": sum(count["tokens"] for count in counts),
            "share_right": sum(count["right"] for count in counts) / samples,
        }

    def make(
        self, name: str, span: range, draft: Draft, workspace: Workspace, engine: Engine | None
    ) -> list[Rollout]:
        """The right ones among several sampled solutions per problem; their counts are committed beside."""
        assert engine is not None
        sampled = self._sample(span, workspace, engine)
        right = [rollout for rollout, correct in sampled if correct]
        tokens = sum(rollout.steps for rollout, _ in sampled)
        counts = json.dumps({"samples": len(sampled), "tokens": tokens, "right": len(right)})
        draft.commit(f"{name}.json", partial(Path.write_text, data=counts))
        if not right:
            each = self.sampling.solutions.samples_per_problem
            rejected = Counter(
                self._rejection(span[place // each], rollout.completion_ids, workspace)
                for place, (rollout, _) in enumerate(sampled)
            )
            draft.commit(f"{name}{REJECTED}", partial(Path.write_text, data=json.dumps(rejected)))
        return right

    @property
    def keep(self) -> tuple[str, ...]:
        """The right solutions and the counts; why none of a shard was right is of no use once others are."""
        return tuple(f"{name}{ending}" for name in self._shards.spans for ending in (".json", ".parquet"))

    def _sample(self, span: range, workspace: Workspace, engine: Engine) -> list[tuple[Rollout, bool]]:
        from lrbench.sampling.rollouts import Rollout

        solutions = self.sampling.solutions
        wanted = [(index, sample) for index in span for sample in range(solutions.samples_per_problem)]
        prompts = [self.prompt(index, workspace) for index, _ in wanted]
        completions = engine.complete(
            prompts,
            solutions.max_new_tokens,
            temperature=solutions.temperature,
            seeds=[row_seed(self.seed, self.problems.ids[index], sample) for index, sample in wanted],
        )
        return [
            (
                Rollout(self.problems.ids[index], sample, prompt, completion),
                self._is_right(index, completion, workspace),
            )
            for (index, sample), prompt, completion in zip(wanted, prompts, completions, strict=True)
        ]

    def _is_right(self, index: int, completion: Sequence[int], workspace: Workspace) -> bool:
        return self._rejection(index, completion, workspace) is None

    def _rejection(self, index: int, completion: Sequence[int], workspace: Workspace) -> Rejection | None:
        """Why a sampled solution is not learnt from; None for one that is."""
        from lrbench.evaluation.grading import grade

        gold = self.problems.answers[index]
        if gold is None:
            return Rejection.NO_ANSWER
        if not completion or completion[-1] not in workspace.turn_marks.stops:
            return Rejection.UNFINISHED
        verdict = grade(
            benchmark=self.problems.benchmark,
            completion=workspace.tokenizer.decode(completion[:-1]),
            gold=gold,
            problem=self.problems.texts[index],
        )
        if verdict.correct:
            return None
        return Rejection.UNREAD if verdict.prediction is None else Rejection.WRONG

    def _rejected(self, draft: Draft) -> Counter[str]:
        """How many samples were rejected for which reason, in shards of which none is right."""
        counts = (json.loads(draft.path(name).read_text()) for name in draft.names if name.endswith(REJECTED))
        return sum((Counter(count) for count in counts), Counter())


@dataclass(frozen=True)
class ReferenceRollouts(RolloutSource):
    """The data set's own solutions as rollouts, for the `ground_truth` source."""

    name: ClassVar[str] = "reference"
    version: ClassVar[int] = 2

    @property
    def label(self) -> str:
        """For people."""
        return f"reference solutions ({self.size} problems)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the solutions."""
        marks = turn_marks(self.expert)
        solutions = [solution for solution in self.problems.solutions if solution is not None]
        return {
            **super().identity,
            "solutions": self.problems.solutions_hash,
            **marks.ending,
            **marks.control_text(solutions),
        }

    def make(
        self, name: str, span: range, draft: Draft, workspace: Workspace, engine: Engine | None
    ) -> list[Rollout]:
        """One rollout per problem that has a solution, ended like a turn."""
        from lrbench.sampling.rollouts import Rollout

        end = end_of_turn(self.expert)
        return [
            Rollout(
                self.problems.ids[index],
                0,
                self.prompt(index, workspace),
                (*self._answer(index, solution, workspace), end),
            )
            for index in span
            if (solution := self.problems.solutions[index]) is not None
        ]

    def _answer(self, index: int, solution: str, workspace: Workspace) -> list[int]:
        from lrbench.models.prompt import render_answer

        with self._at(index):
            return render_answer(workspace.tokenizer, solution)

    def _texts_of(self, index: int) -> list[str]:
        """The problem and its solution."""
        return [*super()._texts_of(index), self.problems.solutions[index] or ""]

    def _encode(self, index: int, workspace: Workspace) -> None:
        """Encode the problem and its solution."""
        super()._encode(index, workspace)
        self._answer(index, self.problems.solutions[index] or "", workspace)


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
