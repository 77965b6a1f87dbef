"""The stage that parts rollouts into attempts, and says which of these have failed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.evaluation.protocol import OWN_FIELDS
from lrbench.methods.attempts import Parting
from lrbench.methods.source import ATTEMPTS_STAGE
from lrbench.models.source import LocatedModel
from lrbench.models.turn_marks import MARKS, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.counting import commit_counts, counted, summed
from lrbench.pipeline.stages.rollouts import RolloutSource, read_artifact_rollouts
from lrbench.pipeline.stages.sharding import Place, Shard, Sharded, Shards
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.suites.grader import Answered
from lrbench.suites.graders import checker_of

if TYPE_CHECKING:
    from lrbench.sampling.attempts import Parted
    from lrbench.sampling.rollouts import Rollout

PROBLEMS_PER_SHARD = 64
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempts(Sharded):
    """Which attempt every token of the rollouts is of, and whether that has failed.

    Where `checked` says that the rollouts were chosen by the right answer, an attempt without that has
    failed. Anywhere else the last one never has, and others have that do not come to the answer of that.
    """

    name: ClassVar[str] = ATTEMPTS_STAGE
    version: ClassVar[int] = 1
    own_fields: ClassVar[Mapping[str, str]] = OWN_FIELDS
    new_fields: ClassVar[Mapping[str, str]] = MARKS

    expert: LocatedModel
    source: RolloutSource
    parting: Parting
    checked: bool

    @property
    def label(self) -> str:
        """For people."""
        return f"attempts in {self.source.label}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What parts attempts, and how they are judged; the rollouts say what their ids stand for."""
        return {
            "parting": dict(self.parting.identity),
            **self.source.problems.checking(by_gold=self.checked),
            **turn_marks(self.expert).ending,
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The rollouts."""
        return {"rollouts": self.source}

    @property
    def size(self) -> int:
        """Problems."""
        return self.source.size

    @property
    def shards(self) -> Shards:
        """By problems, whatever the files of the rollouts hold."""
        return Shards(self.size, PROBLEMS_PER_SHARD, ".parquet")

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit one Parquet file per shard of problems, and what was counted beside it."""
        from lrbench.sampling.attempts import write_attempts

        by_problem: dict[str, list[tuple[int, Rollout]]] = {}
        for number, rollout in enumerate(read_artifact_rollouts(inputs["rollouts"])):
            by_problem.setdefault(rollout.problem_id, []).append((number, rollout))

        def make(shard: Shard[int]) -> Callable[[Path], object]:
            ids = self.source.problems.ids
            parted = [
                self._parted(index, number, rollout, workspace)
                for index in shard.units
                for number, rollout in by_problem.get(ids[index], ())
            ]
            counts = {
                "attempts": sum(len(one.failed) for one in parted),
                "failed_attempts": sum(sum(one.failed) for one in parted),
            }
            commit_counts(place, shard.name, counts)
            return partial(write_attempts, parted=parted)

        return self.shards.finish(range(self.size), place, names, progress, make)

    def _parted(self, index: int, number: int, rollout: Rollout, workspace: Workspace) -> Parted:
        from lrbench.sampling.attempts import Parted, attempts_in, first_tokens

        ended = rollout.completion_ids[-1] in workspace.expert.turn_marks.stops
        ids = rollout.completion_ids[:-1] if ended else rollout.completion_ids
        decode = partial(workspace.expert.tokenizer.decode, clean_up_tokenization_spaces=False)
        attempts = attempts_in(decode(ids), self.parting.after)
        failed = self._failed(index, [attempt.text for attempt in attempts])
        return Parted(number, rollout.steps, first_tokens(attempts, ids, decode), failed)

    def _failed(self, index: int, texts: Sequence[str]) -> list[bool]:
        """Which attempts at problem `index` have failed."""
        problems = self.source.problems
        checker, gold = checker_of(problems.benchmarks[index]), problems.answers[index]
        if self.checked and gold is not None:
            answered = (Answered(text, gold, problems.texts[index]) for text in texts)
            return [not checker.grade(each).correct for each in answered]
        last = checker.read(texts[-1])
        # Who comes to no answer in the end has said all the same that the others were wrong.
        return [*(last is None or checker.read(text) != last for text in texts[:-1]), False]

    def summary(self, draft: Draft) -> dict[str, Any]:
        """How many attempts there are, and how many of them have failed."""
        counts = summed(counted(draft))
        if not counts["failed_attempts"]:
            logger.warning(
                "%s: none has failed, so nothing is told apart; an attempt that has is followed by %s",
                self.label,
                json.dumps(self.parting.after, ensure_ascii=False),
            )
        return {name: counts[name] for name in ("attempts", "failed_attempts")}
