"""The stage that tries other tokens at the steps of rollouts, goes on, and judges where that leads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.evaluation.protocol import OWN_FIELDS
from lrbench.methods.continued import Continuing
from lrbench.methods.source import CONTINUED_STAGE
from lrbench.models.source import LocatedModel, model_identity
from lrbench.models.turn_marks import MARKS, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.answering import Reader
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.counting import commit_counts, counted, summed
from lrbench.pipeline.stages.hands import spoken, writing
from lrbench.pipeline.stages.rollouts import RolloutSource, parquet_files, read_artifact_rollouts
from lrbench.pipeline.stages.samples import PairScores
from lrbench.pipeline.stages.sharding import Place, Shard, Sharded, Shards
from lrbench.pipeline.stages.tasks import Known, Scoring, Several, Task, Writing
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.suites.grader import Answered, Grader
from lrbench.suites.graders import checker_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrbench.sampling.continuing import OtherToken, Trial
    from lrbench.sampling.engines.base import Engine
    from lrbench.sampling.rollouts import Rollout

# Each has the continuations of every step of their rollouts, a hundred times as many as rollouts.
PROBLEMS_PER_SHARD = 8
# Of the steps of two models, about so many have other first choices.
SHARE_DIFFERING = 0.2
# Where more rollouts than this share have no answer to compare with, that is said.
MUCH_UNANSWERED = 0.1
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Continuations(Sharded):
    """What becomes of rollouts when the expert goes on greedily after another token than the one written.

    A continuation fails without the right answer where `checked` says that the rollouts were chosen by it,
    and otherwise without the answer of its own rollout. `scores` are those of the reading that says what
    is tried, where one does. A `writer` goes on in the expert's place, with the expert's tokens.
    """

    name: ClassVar[str] = CONTINUED_STAGE
    version: ClassVar[int] = 1
    own_fields: ClassVar[Mapping[str, str]] = OWN_FIELDS
    new_fields: ClassVar[Mapping[str, str]] = MARKS
    # What is tried, as the counts are called.
    what: ClassVar[str] = "tokens"

    expert: LocatedModel
    source: RolloutSource
    continuing: Continuing
    checked: bool
    scores: PairScores | None = None
    writer: Reader | None = None

    @property
    def label(self) -> str:
        """For people."""
        return f"continuations of {self.source.label} ({self.continuing.label})"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Who goes on, what is tried, and how it is judged."""
        problems = self.source.problems
        return {
            "expert": model_identity(self.expert),
            "continuing": dict(self.continuing.identity),
            "most": self.most,
            "engine": self.engine_choice.name,
            **problems.checking(by_gold=self.checked),
            **turn_marks(self.expert).writing,
            **self._written_by,
        }

    @property
    def _written_by(self) -> dict[str, Any]:
        """Who goes on in the expert's place, where somebody does."""
        if self.writer is None:
            return {}
        turns = turn_marks(self.writer.model).writing
        written = {"written_by": model_identity(self.writer.model)}
        return written | ({"writer_turns": turns} if turns else {})

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The rollouts, the scores that say what is tried, and what the writer comes from."""
        scored = {} if self.scores is None else {"scores": self.scores}
        written = {} if self.writer is None else self.writer.inputs
        return {"rollouts": self.source, **scored, **written}

    @property
    def most(self) -> int:
        """The most tokens that are written after the one that is tried."""
        return self.continuing.tokens or self.source.longest or self.source.sampling.max_new_tokens

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.source.sampling.engine

    @property
    def size(self) -> int:
        """Problems."""
        return self.source.size

    @property
    def shards(self) -> Shards:
        """By problems, whatever the files of the rollouts hold."""
        return Shards(self.size, PROBLEMS_PER_SHARD, ".parquet")

    # What it costs

    def _expected(self, known: Known) -> float:
        """How many continuations are expected."""
        rollouts, steps = self.source.expected(known)
        tried = rollouts * self.places_of(steps)
        if self.continuing.reading is not None:
            tried *= SHARE_DIFFERING
        return min(tried, self.continuing.cap or tried) * self.continuing.at_each

    def task(self, known: Known) -> Task:
        """What is left to write: on average half of a rollout, after the other half."""
        rows, (rollouts, steps) = self._expected(known), self.source.expected(known)
        mean = min(self.most, 1 + steps / 2)
        found = known.statistics(self)
        if found and found["continuations"]:
            rows, mean = found["continuations"], self.written(found) / found["continuations"]
        per_shard = max(1, round(rows / len(self.shards.spans)))
        writer = self.expert if self.writer is None else self.writer.model
        going_on = Writing(
            writer, self.engine_choice, max(1, round(rows)), per_shard, mean, self.most, given=steps / 2
        )
        if self.continuing.ranks is None:
            return going_on
        # What is tried is found out by reading the rollouts.
        return Several((going_on, Scoring((self.expert,), rollouts, steps, self.shards.per_shard)))

    @property
    def most_tokens(self) -> int:
        """Everything tried, each continuation at its full length."""
        longest = self.source.longest or 0
        return self._tokens(self.size * self.source.samples_per_problem * self.most_places(longest))

    def tokens(self, known: Known) -> tuple[int | None, bool]:
        """As written; or at most so many, by the steps of the rollouts where these are there."""
        found = known.statistics(self)
        if found is not None:
            return self.written(found), True
        rollouts = known.statistics(self.source)
        if rollouts is None:
            return self.most_tokens or None, False
        # Of each rollout the first step is tried, and then every so many.
        steps = int(rollouts["rollouts"]) + int(rollouts["tokens"]) // self.continuing.stride
        return self._tokens(min(steps, int(rollouts["tokens"]))), False

    def places_of(self, steps: float) -> int:
        """At how many places of a rollout with about so many steps something is expected to be tried."""
        return ceil(steps / self.continuing.stride)

    def most_places(self, steps: int) -> int:
        """At how many places of a rollout with so many steps something is tried at most."""
        return ceil(steps / self.continuing.stride)

    def _tokens(self, steps: int) -> int:
        return min(steps, self.continuing.cap or steps) * self.continuing.at_each * self.most

    def completions(self, statistics: Mapping[str, Any]) -> int:
        """Continuations."""
        return int(statistics["continuations"])

    def problems_asked(self, statistics: Mapping[str, Any]) -> int:
        """None: what goes on from rollouts asks no problem anew."""
        return 0

    def written(self, statistics: Mapping[str, Any]) -> int:
        """Their tokens."""
        return int(statistics["continued_tokens"])

    # How it is made

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit one Parquet file of verdicts per shard of problems, and what was counted beside it."""
        from lrbench.sampling.continuing import write_verdicts

        rollouts = read_artifact_rollouts(inputs["rollouts"])
        tried = self.tried(rollouts, inputs, workspace)
        by_problem: dict[str, list[int]] = {}
        for number, rollout in enumerate(rollouts):
            by_problem.setdefault(rollout.problem_id, []).append(number)
        with self._engine(workspace, inputs) as engine:

            def make(shard: Shard[int]) -> Callable[[Path], object]:
                ids = self.source.problems.ids
                places = [
                    (index, number) for index in shard.units for number in by_problem.get(ids[index], ())
                ]
                judged = {number: self._judge(index, rollouts[number], workspace) for index, number in places}
                judges = {number: judge for number, judge in judged.items() if judge.expected is not None}
                found = self.judged(rollouts, judges, tried, workspace, engine)
                counts = {
                    "rollouts": len(judged),
                    "unanswered": len(judged) - len(judges),
                    "continuations": found.continuations,
                    "continued_tokens": found.tokens,
                    f"tried_{self.what}": len(found.verdicts),
                    f"failed_{self.what}": sum(fails for _, fails in found.verdicts),
                }
                commit_counts(place, shard.name, counts)
                return partial(write_verdicts, verdicts=found.verdicts)

            return self.shards.finish(range(self.size), place, names, progress, make)

    def _engine(self, workspace: Workspace, inputs: Mapping[str, Artifact]) -> AbstractContextManager[Engine]:
        """Of whoever goes on."""
        if self.writer is None:
            return workspace.engines.open(self.engine_choice)
        return writing(self.writer, workspace, self.engine_choice, inputs)

    def answered(self, rollouts: Sequence[Rollout], workspace: Workspace) -> list[bool]:
        """Which of its rollouts have something to be held against, so that their steps are tried."""
        places = {problem: index for index, problem in enumerate(self.source.problems.ids)}
        return [
            self._judge(places[each.problem_id], each, workspace).expected is not None for each in rollouts
        ]

    def tried(
        self, rollouts: Sequence[Rollout], inputs: Mapping[str, Artifact], workspace: Workspace
    ) -> list[NDArray[np.int64]]:
        """For each rollout what is tried at its steps (T,): ids, 0 for the ranks, and -1 for nothing."""
        import numpy as np

        from lrbench.sampling.continuing import differing, tried_steps
        from lrbench.sampling.scores import read_scores

        lengths = [rollout.steps for rollout in rollouts]
        chosen_N: NDArray[np.int64] = np.zeros(sum(lengths), dtype=np.int64)
        among_N = None
        if "scores" in inputs:
            scores = read_scores(parquet_files(inputs["scores"]))
            chosen_N = scores.top1_amateur.astype(np.int64)
            among_N = differing(scores, rollouts)
        tried_N = tried_steps(lengths, self.continuing.stride, self.continuing.cap, among_N)
        return np.split(np.where(tried_N, chosen_N, -1), np.cumsum(lengths)[:-1]) if lengths else []

    def judged(
        self,
        rollouts: Sequence[Rollout],
        judges: Mapping[int, Judge],
        tried: Sequence[NDArray[np.int64]],
        workspace: Workspace,
        engine: Engine,
    ) -> Judged:
        """What became of all that is `tried` of the rollouts with a judge, by their numbers."""
        trials = self._trials({number: rollouts[number] for number in judges}, tried, workspace)
        return self.continued(trials, rollouts, judges, engine)

    def _trials(
        self, rollouts: Mapping[int, Rollout], tried: Sequence[NDArray[np.int64]], workspace: Workspace
    ) -> list[OtherToken]:
        """Every token that is tried of `rollouts`, by their numbers."""
        from lrbench.sampling.continuing import OtherToken, likeliest_others

        steps = {number: tried[number] >= 0 for number in rollouts}
        if self.continuing.ranks is None:
            return [
                OtherToken(number, int(step), int(tried[number][step]))
                for number in rollouts
                for step in steps[number].nonzero()[0]
            ]
        expert = workspace.expert
        looked_at = [number for number in rollouts if steps[number].any()]
        others_NK = likeliest_others(
            expert.weights,
            expert.vocabulary,
            [rollouts[number] for number in looked_at],
            self.continuing.highest - 1,
        )
        trials, begins = [], 0
        for number in looked_at:
            for step in steps[number].nonzero()[0]:
                tokens = others_NK[begins + step]
                trials += [
                    OtherToken(number, int(step), int(tokens[rank - 2])) for rank in self.continuing.ranks
                ]
            begins += rollouts[number].steps
        return trials

    def continued(
        self,
        trials: Sequence[Trial],
        rollouts: Sequence[Rollout],
        judges: Mapping[int, Judge],
        engine: Engine,
    ) -> Judged:
        """Where every trial leads. What begins alike, as samples of a problem do, is written once."""
        stops = engine.rules.stop_ids
        prompts = [trial.prompt(rollouts[trial.rollout]) for trial in trials]
        asked = [prompt for prompt in dict.fromkeys(prompts) if prompt[-1] not in stops]
        written = dict(zip(asked, engine.complete(asked, self.most), strict=True))
        verdicts = [
            (
                trial,
                judges[trial.rollout].fails(
                    trial.completion(rollouts[trial.rollout], written.get(prompt, ()))
                ),
            )
            for trial, prompt in zip(trials, prompts, strict=True)
        ]
        return Judged(verdicts, len(asked), sum(map(len, written.values())))

    def _judge(self, index: int, rollout: Rollout, workspace: Workspace) -> Judge:
        """What judges continuations of a rollout that is one of problem `index`."""
        problems = self.source.problems
        # Whoever has ended an answer, it is ended.
        own = () if self.writer is None else spoken(self.writer, workspace).turn_marks.stops
        judge = Judge(
            checker_of(problems.benchmarks[index]),
            problems.texts[index],
            frozenset((*workspace.expert.turn_marks.stops, *own)),
            workspace.expert.tokenizer.decode,
        )
        if self.checked:
            return replace(judge, expected=problems.answers[index], checked=True)
        return replace(judge, expected=judge.read(rollout.completion_ids))

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Counts of all that was tried and written."""
        counts = summed(counted(draft))
        if counts["unanswered"] > MUCH_UNANSWERED * counts["rollouts"]:
            logger.warning(
                "%s: %s of %s rollouts are not finished with an answer, so nothing is tried at their steps; "
                "where they are cut, a higher sampling.max_new_tokens lets them end",
                self.label,
                f"{counts['unanswered']:,}",
                f"{counts['rollouts']:,}",
            )
        # An arm's record has the statistics of all its stages together, and rollouts are counted by another.
        names = ("unanswered", "continuations", "continued_tokens")
        return {name: counts[name] for name in (*names, f"tried_{self.what}", f"failed_{self.what}")}


@dataclass(frozen=True)
class Judged:
    """Each trial with whether it fails, how many continuations were written, and the tokens of these."""

    verdicts: list[tuple[Trial, bool]]
    continuations: int
    tokens: int

    def and_then(self, other: Judged) -> Judged:
        """Both together, the other one's trials last."""
        return Judged(
            [*self.verdicts, *other.verdicts],
            self.continuations + other.continuations,
            self.tokens + other.tokens,
        )


@dataclass(frozen=True)
class Judge:
    """Whether completions of a problem end up where they should: at the `expected` answer, None for none.

    It is the right one where that is `checked`, as solutions are, and else what the grader reads.
    """

    checker: Grader
    problem: str
    stops: frozenset[int]
    decode: Callable[[Sequence[int]], str]
    expected: str | None = None
    checked: bool = False

    def read(self, completion: Sequence[int]) -> str | None:
        """The answer in a completion that is finished."""
        text = self._finished(completion)
        return None if text is None else self.checker.read(text)

    def fails(self, completion: Sequence[int]) -> bool:
        """Whether it is cut, or has another answer."""
        text = self._finished(completion)
        if text is None or self.expected is None:
            return True
        if self.checked:
            return not self.checker.grade(Answered(text, self.expected, self.problem)).correct
        return self.checker.read(text) != self.expected

    def _finished(self, completion: Sequence[int]) -> str | None:
        ended = bool(completion) and completion[-1] in self.stops
        return self.decode(completion[:-1]) if ended else None
