"""Pairs of answers to learn from, and how likely each of them was to the model that training begins as."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.evaluation.protocol import OWN_FIELDS
from lrbench.methods.checks import Right, Wrong
from lrbench.methods.source import PAIRS_STAGE
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.counting import commit_counts, counted, summed, with_counts
from lrbench.pipeline.stages.rollouts import RolloutSource, parquet_files
from lrbench.pipeline.stages.sharding import Place, Shard, Shards
from lrbench.pipeline.stages.tasks import Known, Scoring, Task
from lrbench.pipeline.workspace import Workspace
from lrbench.sampling.judging import why_rejected
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrbench.pipeline.stages.training import TrainedAdapter
    from lrbench.sampling.rollouts import Rollout

logger = logging.getLogger(__name__)

ROLLOUTS_PER_SHARD = 64
# Where chosen answers are so much longer or shorter than rejected ones, relative to their mean, it is told.
MUCH_LONGER = 0.1
# What becomes of a problem: it gives pairs, or why it does not.
PAIRED, NONE_CHOSEN, NONE_REJECTED, ALIKE = "paired", "none_chosen", "none_rejected", "alike"


@dataclass(frozen=True)
class PairedAnswers(RolloutSource):
    """Answers two by two: rollouts 2k and 2k + 1 are the chosen and the rejected answer of a pair.

    They are those of `chosen` and `rejected`; where these are one stage, the right and the wrong ones of it.
    Of a problem's pairs without repetitions `most` are taken, by a draw of `seed`.
    """

    name: ClassVar[str] = PAIRS_STAGE
    version: ClassVar[int] = 1
    own_fields: ClassVar[Mapping[str, str]] = OWN_FIELDS

    chosen: RolloutSource
    rejected: RolloutSource
    most: int
    seed: int

    @property
    def judged(self) -> bool:
        """Whether the right answers of one stage are chosen, and the wrong ones rejected."""
        return self.chosen == self.rejected

    @property
    def label(self) -> str:
        """For people."""
        return self.label_under({})

    def label_under(self, names: Mapping[str, str]) -> str:
        """Of what the pairs are."""
        chosen = self.chosen.label_under(names)
        if self.judged:
            return f"pairs, right against wrong, of {chosen}"
        return f"pairs of {chosen} against {self.rejected.label_under(names)}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds how many of a problem, and by which draw; gold answers where they say which is chosen."""
        return {
            **super().identity,
            "most": self.most,
            "seed": self.seed,
            **(self.problems.checking(by_gold=True) if self.judged else {}),
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The answers."""
        if self.judged:
            return {"answers": self.chosen}
        return {"chosen": self.chosen, "rejected": self.rejected}

    @property
    def samples_per_problem(self) -> int:
        """Two for every pair."""
        return 2 * self.most

    def mean_steps(self, known: Known) -> float:
        """Tokens of a chosen answer."""
        return self.chosen.mean_steps(known)

    def why_nothing(self, made: Artifact) -> str:
        """What became of the problems."""
        return f"no problem gave a pair: {_told(made.statistics, self.judged)}"

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit the pairs of each shard of problems, and beside them what became of the problems."""
        from lrbench.sampling.rollouts import iterate_rollouts, write_rollouts

        def by_problem(name: str) -> dict[str, list[Rollout]]:
            found: dict[str, list[Rollout]] = defaultdict(list)
            for rollout in iterate_rollouts(parquet_files(inputs[name])):
                found[rollout.problem_id].append(rollout)
            return found

        answers = {name: by_problem(name) for name in self.inputs}

        def make(shard: Shard[int]) -> Callable[[Path], object]:
            counts: Counter[str] = Counter()
            rollouts = [
                rollout
                for index in shard.span
                for rollout in self._pairs(index, *self._sides(index, answers, workspace), counts)
            ]
            commit_counts(place, shard.name, counts)
            return partial(write_rollouts, rollouts=rollouts)

        return self.shards.finish(range(self.size), place, names, progress, make)

    @property
    def keep(self) -> tuple[str, ...]:
        """The rollouts and the counts of every shard."""
        return with_counts(self.shards.spans)

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Also how many pairs there are, what became of the problems, and how much longer chosen ones are."""
        counts = summed(counted(draft))
        statistics = super().summary(draft)
        pairs = statistics["rollouts"] // 2
        statistics |= {
            "pairs": pairs,
            "pairs_left_out": counts["left_out"],
            "became": {name: counts[name] for name in (PAIRED, NONE_CHOSEN, NONE_REJECTED, ALIKE)},
            "longer": counts["longer"] / pairs if pairs else 0.0,
        }
        if counts[PAIRED] < self.size:
            logger.warning("%s: %s", self.label, _told(statistics, self.judged))
        mean = statistics["tokens"] / max(1, statistics["rollouts"])
        if abs(statistics["longer"]) > MUCH_LONGER * mean:
            logger.warning(
                "%s: the chosen answers are on average %.1f tokens %s than the rejected ones, of %.1f in the "
                "mean; what is learnt from them may be their length",
                self.label,
                abs(statistics["longer"]),
                "longer" if statistics["longer"] > 0 else "shorter",
                mean,
            )
        return statistics

    def _sides(
        self, index: int, answers: Mapping[str, Mapping[str, list[Rollout]]], workspace: Workspace
    ) -> tuple[list[Rollout], list[Rollout]]:
        """The chosen and the rejected answers to a problem, each text once."""
        problem = self.problems.ids[index]
        if not self.judged:
            chosen, rejected = (answers[name].get(problem, []) for name in self.inputs)
            return _once(chosen), _once(rejected)
        written = _once(answers["answers"].get(problem, []))
        rejections = [self._rejection(index, rollout, workspace) for rollout in written]
        judged = list(zip(written, rejections, strict=True))
        return (
            [rollout for rollout, rejection in judged if Right().keeps(rejection)],
            [rollout for rollout, rejection in judged if Wrong().keeps(rejection)],
        )

    def _rejection(self, index: int, rollout: Rollout, workspace: Workspace) -> str | None:
        ids, expert = rollout.completion_ids, workspace.expert
        text = expert.tokenizer.decode(ids[:-1]) if ids[-1] in expert.turn_marks.stops else None
        return why_rejected(self.problems, index, text)

    def _pairs(
        self, index: int, chosen: list[Rollout], rejected: list[Rollout], counts: Counter[str]
    ) -> list[Rollout]:
        """The rollouts of a problem's pairs, numbered anew; what became of the problem is counted."""
        from lrbench.sampling.rollouts import Rollout

        problem = self.problems.ids[index]
        if not chosen or not rejected:
            counts[NONE_REJECTED if chosen else NONE_CHOSEN] += 1
            return []
        apart = [(a, b) for a in chosen for b in rejected if a.completion_ids != b.completion_ids]
        counts[PAIRED if apart else ALIKE] += 1
        drawn = sorted(apart, key=lambda pair: _draw(self.seed, problem, *(each.sample for each in pair)))
        counts["left_out"] += max(0, len(apart) - self.most)
        taken = drawn[: self.most]
        counts["longer"] += sum(a.steps - b.steps for a, b in taken)
        both = [each for pair in taken for each in pair]
        return [
            Rollout(problem, place, each.prompt_ids, each.completion_ids) for place, each in enumerate(both)
        ]


@dataclass(frozen=True)
class ReferenceLogP(Stage):
    """log p of every paired answer to the model that training begins as, which all arms and seeds share."""

    name: ClassVar[str] = "reference_log_p"
    version: ClassVar[int] = 1

    expert: LocatedModel
    rollouts: RolloutSource
    start: TrainedAdapter | None = None

    @property
    def label(self) -> str:
        """For people."""
        return "how likely paired answers are before training"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expert; what adapter it has on is among the inputs."""
        return {"expert": model_identity(self.expert)}

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The pairs, and the adapter that training begins with."""
        return {"rollouts": self.rollouts} | ({} if self.start is None else {"start": self.start})

    @property
    def size(self) -> int:
        """Rollouts, at most."""
        return self.rollouts.size * self.rollouts.samples_per_problem

    def task(self, known: Known) -> Task:
        """One model reads every answer."""
        return Scoring((self.expert,), *self.rollouts.expected(known), ROLLOUTS_PER_SHARD)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit the sums of log p of each shard of rollouts."""
        import numpy as np

        from lrbench.models.forward import unwrapped
        from lrbench.sampling.rollouts import count_rollouts, iterate_rollouts
        from lrbench.training.policy import seen_tokens

        files = parquet_files(inputs["rollouts"])
        count = count_rollouts(files)
        folder = inputs["start"].directory if "start" in inputs else None
        with workspace.expert.with_adapter(folder) as adapted:
            model = unwrapped(adapted)

            def make(shard: Shard[Rollout]) -> Callable[[Path], object]:
                log_p_N, _ = seen_tokens(model, workspace.expert.vocabulary, shard.units, 1.0)
                starts = np.cumsum([0, *(rollout.steps for rollout in shard.units)])[:-1]
                sums = np.add.reduceat(log_p_N.astype(np.float64), starts)
                return partial(_save, values=sums)

            shards = Shards(count, ROLLOUTS_PER_SHARD, ".npy")
            for _ in shards.work(iterate_rollouts(files), draft, progress, make):
                pass
        return {"scored_rollouts": count}


def read_log_p(artifact: Artifact) -> NDArray[np.float64]:
    """(R,) what `ReferenceLogP` has made."""
    import numpy as np

    parts = [np.load(artifact.file(record.name), allow_pickle=False) for record in artifact.files]
    return np.concatenate([np.zeros(0), *parts])


def _save(path: Path, values: NDArray[np.float64]) -> None:
    import numpy as np

    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def _once(rollouts: Iterable[Rollout]) -> list[Rollout]:
    """The first of those with the same tokens."""
    return list({rollout.completion_ids: rollout for rollout in reversed(list(rollouts))}.values())[::-1]


def _draw(seed: int, problem: str, chosen: int, rejected: int) -> bytes:
    return hashlib.sha256(f"{seed}/{problem}/{chosen}/{rejected}".encode()).digest()


def _told(statistics: Mapping[str, Any], judged: bool) -> str:
    """What became of the problems, in words."""
    became = statistics["became"]
    reasons = (
        (NONE_CHOSEN, "no right answer" if judged else "no chosen answer"),
        (NONE_REJECTED, "no finished wrong answer" if judged else "no rejected answer"),
        (ALIKE, "the same answers on both sides"),
    )
    without = [f"{became[name]:,} had {what}" for name, what in reasons if became[name]]
    return f"of {sum(became.values()):,} problems {became[PAIRED]:,} gave pairs; {', '.join(without)}"
