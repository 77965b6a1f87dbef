"""Solutions that the expert samples, of which the right ones are learnt from."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lrbench.evaluation.graded_items import MUCH_CUT
from lrbench.evaluation.protocol import OWN_FIELDS
from lrbench.models.turn_marks import turn_marks
from lrbench.pipeline.stages.counting import commit_counts, counted, summed
from lrbench.pipeline.stages.rollouts import AskedRollouts, CountedRollouts
from lrbench.pipeline.stages.sharding import Place
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.recipe.schema import EngineChoice
from lrbench.sampling.judging import why_rejected
from lrbench.sampling.rejections import Rejection, why_none_is_right
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.sampling.engines.base import Decoding, Engine
    from lrbench.sampling.rollouts import Rollout

REJECTED = ".rejected"
RAISE_LIMIT = "raise sampling.solutions.max_new_tokens"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedSolutions(CountedRollouts, AskedRollouts):
    """Solutions the expert sampled and finished whose answer is right: rejection sampling for SFT."""

    name: ClassVar[str] = "solutions"
    version: ClassVar[int] = 2
    own_fields: ClassVar[Mapping[str, str]] = OWN_FIELDS

    seed: int

    def seeded(self, seed: int) -> Self:
        """With its draws from another seed."""
        return replace(self, seed=seed)

    @property
    def label(self) -> str:
        """For people."""
        each = self.samples_per_problem
        return f"solutions of {model_name(self.expert.name)} ({self.size} problems, {each} samples each)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the gold answers, the decoding, the seed and the grader."""
        return {
            **super().identity,
            **self.problems.checking(by_gold=True),
            "solutions": self.sampling.solutions.model_dump(mode="json"),
            "engine": self.sampling.engine.name,
            "seed": self.seed,
        } | turn_marks(self.expert).writing

    @property
    def longest(self) -> int:
        """As the recipe says of solutions."""
        return self.sampling.solutions.max_new_tokens

    @property
    def share_kept(self) -> float:
        """About half of them are right."""
        return 0.5

    @property
    def samples_per_problem(self) -> int:
        """As the recipe says of solutions."""
        return self.sampling.solutions.samples_per_problem

    def why_nothing(self, made: Artifact) -> str:
        """What became of the solutions, and what to do about most of them."""
        sampled = made.statistics["sampled_solutions"]
        told = (
            f"of {sampled:,} solutions sampled for {self.size:,} problems, none was finished with the right "
            "answer"
        )
        # Earlier versions did not count what became of them.
        rejected = made.statistics.get("rejected")
        return f"{told}: {why_none_is_right(rejected, self.longest)}" if rejected else told

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.sampling.engine

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Also counts of all that were sampled, and of why, if none is right."""
        statistics = super().summary(draft)
        counts = self.counts(draft)
        if statistics["rollouts"] == 0:
            statistics |= {"rejected": dict(self._rejected(draft))}
        samples = sum(count["samples"] for count in counts)
        # Shards of earlier versions did not count them.
        cut = sum(count.get("cut", 0) for count in counts)
        if cut > MUCH_CUT * samples:
            logger.warning(
                "%s: %.0f%% of the sampled solutions were cut at %d tokens, so nothing is learnt from them; "
                "%s",
                self.label,
                100 * cut / samples,
                self.longest,
                RAISE_LIMIT,
            )
        return statistics | {
            "sampled_solutions": samples,
            "sampled_tokens": sum(count["tokens"] for count in counts),
            "share_right": sum(count["right"] for count in counts) / samples,
        }

    def make(
        self, name: str, span: Sequence[int], place: Place, workspace: Workspace, engine: Engine | None
    ) -> list[Rollout]:
        """The right ones among several sampled solutions per problem; their counts are committed beside."""
        assert engine is not None
        sampled = self._sample(span, workspace, engine)
        right = [rollout for rollout, correct in sampled if correct]
        tokens = sum(rollout.steps for rollout, _ in sampled)
        cut = sum(self._is_cut(rollout.completion_ids, workspace) for rollout, _ in sampled)
        counts = {"samples": len(sampled), "tokens": tokens, "right": len(right), "cut": cut}
        commit_counts(place, name, counts)
        if not right:
            each = self.samples_per_problem
            rejected = Counter(
                self._rejection(span[place // each], rollout.completion_ids, workspace)
                for place, (rollout, _) in enumerate(sampled)
            )
            commit_counts(place, name, rejected, REJECTED)
        return right

    @property
    def decoding(self) -> Decoding:
        """Sampled at the temperature of solutions."""
        from lrbench.sampling.engines.base import Decoding

        return Decoding(self.sampling.solutions.temperature)

    def requests(self, index: int, workspace: Workspace) -> list[tuple[tuple[int, ...], int]]:
        """As often as a solution is sampled, each with a seed of its own."""
        prompt, problem = self.prompt(index, workspace), self.problems.ids[index]
        return [(prompt, row_seed(self.seed, problem, sample)) for sample in range(self.samples_per_problem)]

    def _sample(
        self, span: Sequence[int], workspace: Workspace, engine: Engine
    ) -> list[tuple[Rollout, bool]]:
        from lrbench.sampling.rollouts import Rollout

        wanted = [(index, sample) for index in span for sample in range(self.samples_per_problem)]
        asked = [pair for index in span for pair in self.requests(index, workspace)]
        prompts = [prompt for prompt, _ in asked]
        completions = engine.complete(prompts, self.longest, self.decoding, seeds=[seed for _, seed in asked])
        return [
            (
                Rollout(self.problems.ids[index], sample, prompt, completion),
                self.is_right(index, completion, workspace),
            )
            for (index, sample), prompt, completion in zip(wanted, prompts, completions, strict=True)
        ]

    def _is_cut(self, completion: Sequence[int], workspace: Workspace) -> bool:
        ended = bool(completion) and completion[-1] in workspace.expert.turn_marks.stops
        return len(completion) >= self.longest and not ended

    def is_right(self, index: int, completion: Sequence[int], workspace: Workspace) -> bool:
        """Whether a solution of problem `index` is finished and its answer right."""
        return self._rejection(index, completion, workspace) is None

    def _rejection(self, index: int, completion: Sequence[int], workspace: Workspace) -> Rejection | None:
        """Why a sampled solution is not learnt from; None for one that is."""
        finished = bool(completion) and completion[-1] in workspace.expert.turn_marks.stops
        text = workspace.expert.tokenizer.decode(completion[:-1]) if finished else None
        return why_rejected(self.problems, index, text)

    def _rejected(self, draft: Draft) -> Counter[str]:
        """How many samples were rejected for which reason, in shards of which none is right."""
        return summed(counted(draft, REJECTED))


def row_seed(seed: int, problem_id: str, sample: int) -> int:
    """The seed of one sampled row: its own, whatever else is in the batch."""
    digest = hashlib.sha256(f"{seed}/{problem_id}/{sample}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
