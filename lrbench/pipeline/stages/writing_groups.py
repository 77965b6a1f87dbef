"""Groups of answers to the same problem, written and rewarded while the model that writes them is trained."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peft import PeftModel

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.rewards import GroupPolicy
from lrbench.pipeline.stages.solutions import CheckedSolutions, row_seed
from lrbench.pipeline.workspace import Workspace
from lrbench.sampling.rollouts import Rollout, read_rollouts, write_rollouts
from lrbench.sampling.samples import build_samples
from lrbench.store.draft import Draft
from lrbench.training.drawing import Draws
from lrbench.training.policy import PolicyLosses, advantages, most_uncertain, seen_tokens
from lrbench.training.portions import Portion

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Groups:
    """Draws problems, has them answered and says what is learnt from the answers, update by update.

    What was written for an update is committed to the draft as a file of its own, before anything is learnt
    from it: a training that goes on from a save reads it there. Which problems are drawn, and with which
    random numbers they are answered, depends on the seed and the number of the update alone. Of all problems
    the first so many count, where `problems` says how many.
    """

    source: CheckedSolutions
    ingredients: Ingredients
    policy: GroupPolicy
    draft: Draft
    workspace: Workspace
    seed: int
    problems: int | None = None

    def portions(self, adapted: PeftModel, done: int) -> Iterator[Portion]:
        """Those of the updates after the first `done`, without end."""
        return (self._portion(adapted, update) for update in count(done))

    def has(self, update: int) -> bool:
        """What an update learns from can be written at any time; what was counted before cannot be again."""
        return all(self.draft.has(f"{_name(earlier)}.json") for earlier in range(update))

    def statistics(self, updates: int) -> dict[str, Any]:
        """Costs and rewards of so many updates, and of how many groups nothing could be learnt."""
        facts = [self._facts(update) for update in range(updates)]
        rewards_PG = np.concatenate([np.array(fact["rewards"]) for fact in facts])
        equal_P = rewards_PG.max(axis=1) == rewards_PG.min(axis=1)
        if equal_P.any():
            groups = f"{int(equal_P.sum()):,} of {len(equal_P):,} groups"
            logger.warning("in %s all answers were worth the same, so none was preferred to another", groups)
        asked = [index for update in range(updates) for index, _ in self.drawn(update)]
        learnt = {index for index, equal in zip(asked, equal_P, strict=True) if self.policy.kl or not equal}
        return {
            "problems": len(learnt),
            "sampled_problems": len(asked),
            "sampled_completions": int(rewards_PG.size),
            "sampled_tokens": sum(fact["tokens"] for fact in facts),
            "share_right": float(np.mean(rewards_PG > 0)),
            "groups_with_equal_rewards": float(equal_P.mean()),
            "reward_first": float(np.mean(facts[0]["rewards"])),
            "reward_last": float(np.mean(facts[-1]["rewards"])),
        }

    def drawn(self, update: int) -> list[tuple[int, int]]:
        """The problems of an update, each with the place of its draw among all: shuffled once per epoch."""
        first = update * self.policy.problems
        return [(self._draws.at(place), place) for place in range(first, first + self.policy.problems)]

    @cached_property
    def _draws(self) -> Draws:
        return Draws(self.source.problems.answerable[: self.problems], self.seed)

    def _portion(self, adapted: PeftModel, update: int) -> Portion:
        """What an update learns from; nothing but the adapter changes what is written."""
        adapted.eval()
        try:
            rollouts, rewards_PG = self._written(adapted, update)
            return self._learnt(adapted, rollouts, rewards_PG)
        finally:
            adapted.train()

    def _written(self, adapted: PeftModel, update: int) -> tuple[list[Rollout], NDArray[np.float64]]:
        name, draft = _name(update), self.draft
        if not (draft.has(f"{name}.parquet") and draft.has(f"{name}.json")):
            rollouts = self._write(adapted, self.drawn(update))
            facts = {"rewards": self._rewards(rollouts, update), "tokens": sum(r.steps for r in rollouts)}
            draft.commit(f"{name}.json", partial(Path.write_text, data=json.dumps(facts)))
            draft.commit(f"{name}.parquet", partial(write_rollouts, rollouts=rollouts))
        return read_rollouts([draft.path(f"{name}.parquet")]), np.array(self._facts(update)["rewards"])

    def _facts(self, update: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.draft.path(f"{_name(update)}.json").read_text())
        return found

    def _write(self, adapted: PeftModel, drawn: Sequence[tuple[int, int]]) -> list[Rollout]:
        """A group of answers to each problem, one after the other."""
        source, ids = self.source, self.source.problems.ids
        engine = self.workspace.engines.writing_with(adapted.get_base_model())
        asked = [
            (Rollout(ids[index], sample, prompt, ()), row_seed(self.seed, f"{place}/{ids[index]}", sample))
            for index, place in drawn
            for prompt in [source.prompt(index, self.workspace)]
            for sample in range(self.policy.group)
        ]
        prompts, seeds = [rollout.prompt_ids for rollout, _ in asked], [seed for _, seed in asked]
        completions = engine.complete(prompts, source.longest, source.decoding, seeds)
        return [
            Rollout(rollout.problem_id, rollout.sample, rollout.prompt_ids, completion)
            for (rollout, _), completion in zip(asked, completions, strict=True)
        ]

    def _rewards(self, rollouts: Sequence[Rollout], update: int) -> list[list[float]]:
        """(P, G) what every answer is worth."""
        each = iter(rollouts)
        rewards = []
        for index, _ in self.drawn(update):
            group = [next(each).completion_ids for _ in range(self.policy.group)]
            right = [self.source.is_right(index, ids, self.workspace) for ids in group]
            longest = self.source.longest
            rewards.append(
                [self.policy.reward(r, len(ids), longest) for r, ids in zip(right, group, strict=True)]
            )
        return rewards

    def _learnt(
        self, adapted: PeftModel, rollouts: list[Rollout], rewards_PG: NDArray[np.float64]
    ) -> Portion:
        policy, model, vocabulary = self.policy, adapted.get_base_model(), self.workspace.expert.vocabulary
        samples = build_samples(rollouts, {}, self.ingredients)
        temperature = self.source.decoding.temperature
        lengths = [rollout.steps for rollout in rollouts]
        advantage_N = np.repeat(advantages(rewards_PG).flatten(), lengths).astype(np.float32)
        if policy.entropy_top < 1:
            _, entropy_N = seen_tokens(model, vocabulary, rollouts, temperature)
            advantage_N[~most_uncertain(entropy_N, policy.entropy_top)] = 0
        expert_N = None
        if policy.kl:
            with adapted.disable_adapter():
                expert_N, _ = seen_tokens(model, vocabulary, rollouts, temperature)
        # What has no advantage has no gradient, unless the divergence has one.
        steps = np.arange(len(samples)) if policy.kl else np.flatnonzero(advantage_N)
        losses = PolicyLosses(advantage_N, expert_N, policy.kl, temperature, len(samples))
        measured = {
            "written_tokens": float(len(samples)),
            "completion_tokens": float(np.mean(lengths)),
            "reward": float(rewards_PG.mean()),
            "right": float(np.mean(rewards_PG > 0)),
            "equal_groups": float(np.mean(rewards_PG.max(axis=1) == rewards_PG.min(axis=1))),
        }
        return Portion(samples, steps.tolist(), losses, measured)


def _name(update: int) -> str:
    """The files of what was written for an update."""
    return f"written-{update:06d}"
