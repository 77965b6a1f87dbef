"""Where rollouts come from: what all sources have in common, greedy answers, and the data set's solutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lrbench.errors import DataError, ModelError
from lrbench.methods.fidelity import CORRECTED, Fidelity
from lrbench.models.checkpoint import added_beginning, checkpoint_ends
from lrbench.models.source import LocatedModel, model_identity
from lrbench.models.turn_marks import MARKS, end_of_turn, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.counting import counted, with_counts
from lrbench.pipeline.stages.sharding import Place, Shard, Sharded, Shards
from lrbench.pipeline.stages.tasks import Known, Task, Writing, mean_written
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.recipe.schema import EngineChoice, Sampling
from lrbench.sampling.problems import Problems
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.sampling.engines.base import Decoding, Engine, Request
    from lrbench.sampling.rollouts import Rollout

PROBLEMS_PER_SHARD = 64


@dataclass(frozen=True)
class RolloutSource(Sharded):
    """What all sources have in common: problems in, shards of rollouts out."""

    new_fields: ClassVar[Mapping[str, str]] = MARKS
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
    def prompts(self) -> tuple[tuple[LocatedModel, str | None], ...]:
        """The expert, which is asked every problem."""
        return ((self.expert, self.sampling.system_prompt),)

    @property
    def learnt_under(self) -> tuple[str | None, ...]:
        """Under one."""
        return (self.sampling.system_prompt,)

    @property
    def asked(self) -> list[str]:
        """Every text of a user that stands in a prompt."""
        system = self.sampling.system_prompt
        return self.problems.texts if system is None else [*self.problems.texts, system]

    @property
    def size(self) -> int:
        """Problems."""
        return len(self.problems.ids)

    def task(self, known: Known) -> Task | None:
        """What is left to write, where the source writes."""
        if self.engine_choice is None or self.longest is None:
            return None
        mean, each = self.mean_steps(known), self.samples_per_problem
        rows, per_shard = self.size * each, PROBLEMS_PER_SHARD * each
        return Writing(self.expert, self.engine_choice, rows, per_shard, mean, self.longest, queueing=True)

    @property
    def stops(self) -> tuple[int, ...] | None:
        """The ids that end a completion; None for those that end a turn of the expert."""
        return None

    @property
    def longest(self) -> int | None:
        """The most tokens that a completion may have; None where nothing bounds them."""
        return None

    @property
    def share_kept(self) -> float:
        """Of the completions, those expected to become rollouts."""
        return 1.0

    @property
    def samples_per_problem(self) -> int:
        """How many completions are written for a problem."""
        return 1

    @property
    def most_tokens(self) -> int:
        """Every completion at its full length."""
        return self.size * self.samples_per_problem * (self.longest or 0)

    def expected(self, known: Known) -> tuple[float, float]:
        """How many rollouts there are or will be, and the steps of one."""
        found = known.statistics(self)
        if found and found["rollouts"]:
            return found["rollouts"], found["tokens"] / found["rollouts"]
        return self.size * self.samples_per_problem * self.share_kept, self.mean_steps(known)

    def mean_steps(self, known: Known) -> float:
        """Tokens of a completion."""
        return mean_written(self, known, self.expert, self.longest)

    def completions(self, statistics: Mapping[str, Any]) -> int:
        """Rollouts."""
        return int(statistics["rollouts"])

    def written(self, statistics: Mapping[str, Any]) -> int:
        """Their steps."""
        return int(statistics["tokens"])

    def why_nothing(self, made: Artifact) -> str:
        """Why there is no rollout with a token in `made`, which the source gave, and what to do."""
        return (
            f"the {self.size:,} problems gave no rollout with a token in it; no prompt leaves room for one "
            "in the expert's context"
        )

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Counts of rollouts and their tokens."""
        from lrbench.sampling.rollouts import iterate_rollouts

        count = tokens = 0
        for rollout in iterate_rollouts(
            draft.path(name) for name in draft.names if name.endswith(".parquet")
        ):
            count += 1
            tokens += rollout.steps
        return {"rollouts": count, "tokens": tokens}

    @property
    def shards(self) -> Shards:
        """How the problems are cut."""
        return Shards(self.size, PROBLEMS_PER_SHARD, ".parquet")

    def prompt(self, index: int, workspace: Workspace) -> tuple[int, ...]:
        """Token ids of the prompt that asks problem `index`."""
        from lrbench.models.prompt import render_prompt

        text = self.problems.texts[index]
        with self._at(index):
            return tuple(render_prompt(workspace.expert.tokenizer, text, self.sampling.system_prompt))

    @contextmanager
    def _at(self, index: int) -> Iterator[None]:
        """Says of which problem it is that the model's tokenizer cannot read a text."""
        try:
            yield
        except ModelError as error:
            raise DataError(f"{self.problems.place(index)}: {error}") from error

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether every text can be encoded."""
        yield from super().checks(workspace)
        yield Check(About.TEXTS, self.key, partial(self.check_texts, workspace))

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
class CountedRollouts(RolloutSource):
    """Rollouts that are some of what was written; beside each shard stands what was counted of all of it."""

    @property
    def keep(self) -> tuple[str, ...]:
        """The rollouts and the counts of every shard."""
        return with_counts(self.shards.spans)

    def completions(self, statistics: Mapping[str, Any]) -> int:
        """All that were written, whether kept or not."""
        return int(statistics["sampled_solutions"])

    def written(self, statistics: Mapping[str, Any]) -> int:
        """Tokens of all that were written."""
        return int(statistics["sampled_tokens"])

    def counts(self, draft: Draft) -> list[dict[str, Any]]:
        """What was counted of every shard."""
        return counted(draft)


@dataclass(frozen=True)
class AskedRollouts(RolloutSource):
    """Rollouts that are made from the problems alone, by an engine or without one."""

    def seeded(self, seed: int) -> Self:
        """The source with another seed, where it draws what it writes."""
        return self

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit one Parquet file of rollouts per shard of problems."""
        from lrbench.sampling.rollouts import write_rollouts

        # One engine for all shards: the number of rows that it found to fit holds for the next.
        with self._engine(workspace, place, names, inputs) as engine:

            def make(shard: Shard[int]) -> Callable[[Path], object]:
                rollouts = self.make(shard.name, shard.span, place, workspace, engine)
                return partial(write_rollouts, rollouts=rollouts)

            return self.shards.finish(range(self.size), place, names, progress, make)

    @contextmanager
    def _engine(
        self, workspace: Workspace, place: Place, names: Sequence[str], inputs: Mapping[str, Artifact]
    ) -> Iterator[Engine | None]:
        """What writes the shards called `names`, where the source writes."""
        choice = self.engine_choice
        if choice is None:
            yield None
            return
        from lrbench.sampling.engines.queue import QueuedEngine

        with self._writing(workspace, choice, inputs) as engine:
            if not workspace.engines.in_a_queue(choice):
                yield engine
                return
            upcoming = self._upcoming(engine, place, names, workspace)
            with closing(QueuedEngine(engine, self.decoding, upcoming)) as queue:
                yield queue

    def _writing(
        self, workspace: Workspace, choice: EngineChoice, inputs: Mapping[str, Artifact]
    ) -> AbstractContextManager[Engine]:
        """What completes prompts: the expert."""
        return workspace.engines.open(choice, stops=self.stops)

    def _upcoming(
        self, engine: Engine, place: Place, names: Sequence[str], workspace: Workspace
    ) -> Iterator[Request]:
        """What the engine will be asked, shard by shard, of each the longest prompts first."""
        assert self.longest is not None
        for indexes in self.shards.left(range(self.size), place, names):
            asked = [pair for index in indexes for pair in self.requests(index, workspace)]
            for prompt, seed in sorted(asked, key=lambda pair: -len(pair[0])):
                request = engine.request(prompt, self.longest, seed)
                if request is not None:
                    yield request

    @property
    def decoding(self) -> Decoding:
        """How the source writes, where it does."""
        from lrbench.sampling.engines.base import GREEDY

        return GREEDY

    def requests(self, index: int, workspace: Workspace) -> list[tuple[tuple[int, ...], int]]:
        """Every prompt that asks problem `index`, each with the seed of its completion."""
        return [(self.prompt(index, workspace), 0)]

    def make(
        self, name: str, span: Sequence[int], place: Place, workspace: Workspace, engine: Engine | None
    ) -> list[Rollout]:
        """The rollouts of the problems in `span`; `name` is the shard's, for files beside it.

        `engine` is None for a source without an engine. One that is made from others makes shards otherwise.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class GreedyRollouts(AskedRollouts):
    """The expert's greedy answers, cut at `max_new_tokens`. Reads problem texts, never a label."""

    name: ClassVar[str] = "rollouts"
    version: ClassVar[int] = 2

    fidelity: Fidelity = CORRECTED

    @property
    def label(self) -> str:
        """For people."""
        return f"rollouts of {model_name(self.expert.name)} ({self.size} problems)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the decoding."""
        return {
            **super().identity,
            "max_new_tokens": self.sampling.max_new_tokens,
            "engine": self.sampling.engine.name,
            **turn_marks(self.expert).writing,
            **({} if self.stops is None else {"stops": list(self.stops)}),
            **self.fidelity.identity,
        }

    @property
    def stops(self) -> tuple[int, ...] | None:
        """The expert's own, or those of its checkpoint."""
        if not self.fidelity.stops_of_checkpoint:
            return None
        return checkpoint_ends(self.expert) if self.expert.here else ()

    def prompt(self, index: int, workspace: Workspace) -> tuple[int, ...]:
        """Behind what the tokenizer would add to the rendered template, where that is asked for."""
        added = added_beginning(workspace.expert.tokenizer) if self.fidelity.second_bos else ()
        return added + super().prompt(index, workspace)

    @property
    def longest(self) -> int:
        """As the recipe says for sampling."""
        return self.sampling.max_new_tokens

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.sampling.engine

    def make(
        self, name: str, span: Sequence[int], place: Place, workspace: Workspace, engine: Engine | None
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
class ReferenceRollouts(AskedRollouts):
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
        self, name: str, span: Sequence[int], place: Place, workspace: Workspace, engine: Engine | None
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
            return render_answer(workspace.expert.tokenizer, solution)

    def _texts_of(self, index: int) -> list[str]:
        """The problem and its solution."""
        return [*super()._texts_of(index), self.problems.solutions[index] or ""]

    def _encode(self, index: int, workspace: Workspace) -> None:
        """Encode the problem and its solution."""
        super()._encode(index, workspace)
        self._answer(index, self.problems.solutions[index] or "", workspace)


def parquet_files(artifact: Artifact) -> list[Any]:
    """The artifact's Parquet files in shard order."""
    return [artifact.file(record.name) for record in artifact.files if record.name.endswith(".parquet")]


def read_artifact_rollouts(artifact: Artifact) -> list[Rollout]:
    """All rollouts of a source's artifact, in order."""
    from lrbench.sampling.rollouts import read_rollouts

    return read_rollouts(parquet_files(artifact))
