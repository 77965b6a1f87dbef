"""The stage that tries rollouts without some of their lines: it goes on from where they stood, and judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, ClassVar

from lrbench.methods.shapes import Shortening
from lrbench.methods.source import SHORTENED_STAGE
from lrbench.pipeline.stages.answer_texts import answer_ids, text_of
from lrbench.pipeline.stages.continuations import Continuations, Judge, Judged
from lrbench.pipeline.stages.sharding import Shards
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.suites.graders import checker_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrbench.sampling.engines.base import Engine
    from lrbench.sampling.rollouts import Rollout
    from lrbench.sampling.shortening import Search, Trace

# One line of a rollout is tried after the other, those of many rollouts together.
PROBLEMS_PER_SHARD = 64
# About as many as a sentence has.
TOKENS_PER_LINE = 12


@dataclass(frozen=True)
class Shortenings(Continuations):
    """What becomes of rollouts when lines of them are left out and the expert goes on from there.

    A step of its verdicts is a line, the first one of those that were left out.
    """

    name: ClassVar[str] = SHORTENED_STAGE
    what: ClassVar[str] = "lines"

    continuing: Shortening

    @property
    def label(self) -> str:
        """For people."""
        return f"shorter {self.source.label} ({self.continuing.label})"

    @property
    def shards(self) -> Shards:
        """By problems, whatever the files of the rollouts hold."""
        return Shards(self.size, PROBLEMS_PER_SHARD, ".parquet")

    def places_of(self, steps: float) -> int:
        """Of its lines, as far as their length is usual."""
        return self._trials_of(ceil(steps / TOKENS_PER_LINE))

    def most_places(self, steps: int) -> int:
        """As if every token were a line."""
        return self._trials_of(steps)

    def _trials_of(self, lines: int) -> int:
        tried = ceil(lines / self.continuing.stride)
        return tried if self.continuing.way == "lines" else tried.bit_length()

    def trace(self, index: int, rollout: Rollout, workspace: Workspace) -> Trace | None:
        """The lines of a rollout that is one of problem `index`; None of one without a final answer."""
        from lrbench.sampling.shortening import Trace

        if rollout.completion_ids[-1] not in workspace.expert.turn_marks.stops:
            return None
        return Trace.of(text_of(rollout, workspace), checker_of(self.source.problems.benchmarks[index]).read)

    def tried(
        self, rollouts: Sequence[Rollout], inputs: Mapping[str, Artifact], workspace: Workspace
    ) -> list[NDArray[np.int64]]:
        """For each rollout what is tried at its lines (L,): 0 where it is, and -1 where not."""
        import numpy as np

        from lrbench.sampling.continuing import tried_steps

        places = {problem: index for index, problem in enumerate(self.source.problems.ids)}
        traces = [self.trace(places[rollout.problem_id], rollout, workspace) for rollout in rollouts]
        lengths = [0 if trace is None else len(trace.lines) for trace in traces]
        tried_N = tried_steps(lengths, self.continuing.stride, self.continuing.cap)
        return np.split(tried_N.astype(np.int64) - 1, np.cumsum(lengths)[:-1]) if lengths else []

    def judged(
        self,
        rollouts: Sequence[Rollout],
        judges: Mapping[int, Judge],
        tried: Sequence[NDArray[np.int64]],
        workspace: Workspace,
        engine: Engine,
    ) -> Judged:
        """One trial of every rollout after the other, since what is tried depends on what was left out."""
        from lrbench.sampling.continuing import Shorter
        from lrbench.sampling.shortening import SEARCHES, beginning_without

        places = {problem: index for index, problem in enumerate(self.source.problems.ids)}
        traces: dict[int, Trace] = {}
        searches: dict[int, Search] = {}
        asked: dict[int, range] = {}
        for number in judges:
            rollout = rollouts[number]
            trace = self.trace(places[rollout.problem_id], rollout, workspace)
            lines = (tried[number] >= 0).nonzero()[0].tolist()
            if trace is None or not lines:
                continue
            traces[number] = trace
            searches[number] = SEARCHES[self.continuing.way](lines, len(trace.lines))
            asked[number] = next(searches[number])
        dropped: dict[int, set[int]] = {number: set() for number in traces}
        every = Judged([], 0, 0)
        encode = partial(answer_ids, self.expert, workspace)
        while asked:
            trials = [
                Shorter(number, run.start, beginning_without(traces[number], dropped[number], run, encode))
                for number, run in asked.items()
            ]
            found = self.continued(trials, rollouts, judges, engine)
            every = every.and_then(found)
            following: dict[int, range] = {}
            for trial, fails in found.verdicts:
                number = trial.rollout
                if not fails and self.continuing.way == "lines":
                    dropped[number].update(asked[number])
                try:
                    following[number] = searches[number].send(fails)
                except StopIteration:
                    continue
            asked = following
        return every
