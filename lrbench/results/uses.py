"""What an arm uses besides the pair and the problems' texts, what its answers take, and what it cost.

An arm that reads another arm's adapter, to answer or to learn, took the training of that one as well. One
that learns for as long or as much as another takes a number of it and nothing else: what that number depends
on, it depends on too, and it costs nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lrbench.methods.answers import Answer, AnyAnswer
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.learner import MOVING
from lrbench.methods.presets import PLAIN
from lrbench.methods.source import CONTINUING, WRITING
from lrbench.results.identity import START
from lrbench.results.records import ArmRecord, Costs, Memory, ScoreRecord

_ANSWER: TypeAdapter[Answer] = TypeAdapter(AnyAnswer)
MOST_READ = 1024
MEMORY_FIELDS = ("weight_bytes", "cache_bytes_per_token")
# What one arm may take a number of from another: how many updates is declared, unless time runs out.
SECONDS, UPDATES = "seconds", "updates"
TRAIN_STAGE = "train"


@dataclass(frozen=True)
class Uses:
    """What one arm uses; None for what the records do not say.

    `labels` is whether anything in it has learnt from answers or solutions of the training problems, or for
    as much as something that has (`training.budget.match`), and `other_models` are the models besides the
    pair that it learnt from or answers with, by the recipe's names; both count what went into the adapters of
    the `arms` that it reads. By the answers to `labels_to_choose` further training problems its point was
    chosen among others. `models_at_test` are the models that
    are read for an answer. `passes_per_token` are forward passes, of all models together, for each token of
    an answer, and `tokens_per_answer` is the mean length of an answer over all items of all benchmarks.
    `memory` is what those models take.
    """

    labels: bool | None = None
    other_models: tuple[str, ...] | None = None
    models_at_test: int | None = None
    passes_per_token: float | None = None
    tokens_per_answer: float | None = None
    memory: Memory | None = None
    arms: tuple[str, ...] = ()
    labels_to_choose: int = 0

    @property
    def passes_per_answer(self) -> float | None:
        """Forward passes, of all models together, for an answer of mean length."""
        if self.passes_per_token is None or self.tokens_per_answer is None:
            return None
        return self.passes_per_token * self.tokens_per_answer

    @property
    def memory_per_answer(self) -> float | None:
        """Bytes of the weights, and of the keys and values of an answer of mean length at its end."""
        if self.memory is None or self.tokens_per_answer is None:
            return None
        return self.memory.at(self.tokens_per_answer)

    @property
    def fields(self) -> dict[str, bool | str | int | float | None]:
        """What files of numbers hold of it, by their columns: None for what is not known."""
        return {
            "uses_labels": self.labels,
            "labels_to_choose": self.labels_to_choose or None,
            "other_models": None if self.other_models is None else " ".join(self.other_models),
            "models_at_test": self.models_at_test,
            "passes_per_token": self.passes_per_token,
            "tokens_per_answer": self.tokens_per_answer,
        }

    @property
    def memory_fields(self) -> dict[str, bool | str | int | float | None]:
        """The same of memory; nothing where it is not known."""
        if self.memory is None:
            return {}
        return dict(zip(MEMORY_FIELDS, (self.memory.weights, self.memory.cache_per_token), strict=True))

    @property
    def notable(self) -> bool:
        """Whether it is more than the pair, and the arm's own model alone when it answers."""
        more = (self.models_at_test or 1) > 1 or (self.passes_per_token or 1) != 1
        return bool(self.labels or self.labels_to_choose or self.other_models or more)


UNKNOWN = Uses()


def mean_uses(found: Sequence[Uses]) -> Uses:
    """What the seeds of one arm use: their means, of at least one; what is not known of all is not known."""
    passes = [uses.passes_per_token for uses in found if uses.passes_per_token is not None]
    tokens = [uses.tokens_per_answer for uses in found if uses.tokens_per_answer is not None]
    return replace(
        found[-1],
        passes_per_token=fmean(passes) if len(passes) == len(found) else None,
        tokens_per_answer=fmean(tokens) if len(tokens) == len(found) else None,
    )


@dataclass(frozen=True)
class _Read:
    """The `arms` whose adapters an arm reads, all that was `learnt` for it, and the models that are `named`.

    `named` is None where the arm itself is of a kind that is not known here; `missing` says that an arm it
    reads has no record.
    """

    arms: tuple[ArmRecord, ...] = ()
    learnt: tuple[Ingredients, ...] = ()
    named: frozenset[str] | None = None
    missing: bool = False

    @property
    def labels(self) -> bool | None:
        """Whether anything has learnt from labels itself; None where nobody can say."""
        if any(ingredients.source.label_field is not None for ingredients in self.learnt):
            return True
        return None if self.named is None or self.missing else False

    @property
    def others(self) -> tuple[str, ...] | None:
        """The models besides the pair; None where there may be more."""
        if self.named is None or self.missing:
            return None
        own = (*MOVING, EXPERT, AMATEUR)
        return tuple(sorted(name for name in self.named if name not in own and not name.startswith(ARM)))


class ArmsInUse:
    """The arms of a ledger, and what each of them uses."""

    def __init__(self, arms: Iterable[ArmRecord]) -> None:
        self._named: dict[tuple[str, str], list[ArmRecord]] = defaultdict(list)
        for arm in arms:
            self._named[arm.recipe, arm.arm].append(arm)

    def of(self, arm: ArmRecord | None, scores: Iterable[ScoreRecord]) -> Uses:
        """What `arm` uses, with `scores` of it; where its making is not known, only what scores say."""
        arm = None if arm is None or arm.imported else arm
        scores = [score for score in scores if score.tokens is not None]
        tokens = sum(score.tokens or 0 for score in scores)
        answers = sum(score.n * len(score.outcomes) for score in scores)
        passes = sum(_passes(score) for score in scores)
        answer = None if arm is None else answer_of(arm)
        read = None if arm is None else self._read_by(arm)
        plain = answer is not None and not answer.identity
        return Uses(
            labels=None if arm is None else self._labels(arm),
            other_models=None if read is None else read.others,
            models_at_test=None if answer is None else len(answer.models),
            passes_per_token=passes / tokens if tokens else 1.0 if plain else None,
            tokens_per_answer=tokens / answers if answers else None,
            memory=None if arm is None else arm.memory,
            arms=() if read is None else tuple(dict.fromkeys(behind.arm for behind in read.arms)),
        )

    def costs(self, arm: ArmRecord | None) -> Costs | None:
        """What it took to make `arm` and every arm whose adapter it reads, each stage counted once.

        None where one of them is not recorded, and of what was imported.
        """
        if arm is None or arm.imported:
            return None
        read = self._read_by(arm)
        return None if read.missing else _together([arm, *read.arms])

    def behind(self, arm: ArmRecord) -> tuple[ArmRecord, ...]:
        """The records that `of` and `costs` read beside that of `arm`.

        They are those of the arms whose adapters it reads, and of those that any of these is matched to.
        """
        found: dict[str, ArmRecord] = {}
        pending = [arm]
        while pending:
            one = pending.pop(0)
            others = [*self._read_by(one).arms, *filter(None, [self._matched(one)])]
            new = [other for other in others if other.arm_id not in found and other is not arm]
            found |= {other.arm_id: other for other in new}
            pending += new
        return tuple(found.values())

    def _matched(self, arm: ArmRecord) -> ArmRecord | None:
        """The arm that `arm` learns for as long or as much as."""
        match = _budget(arm).get("match")
        return None if match is None else self._behind(arm, match)

    def _labels(self, arm: ArmRecord, before: frozenset[str] = frozenset()) -> bool | None:
        """Whether anything in it, or in what it takes numbers of, has learnt from labels; None for unknown.

        `before` are the arms on the way here.
        """
        read = self._read_by(arm)
        found = {read.labels}
        for one in (arm, *read.arms):
            budget = _budget(one)
            if budget.get("match") is None or one.arm_id in before:
                continue
            other = self._matched(one)
            if other is None:
                found.add(None)
            elif budget["on"] != UPDATES or self._ends_by_time(other):
                found.add(self._labels(other, before | {one.arm_id}))
        return True if True in found else None if None in found else False

    def _ends_by_time(self, arm: ArmRecord, before: frozenset[str] = frozenset()) -> bool:
        """Whether how many updates there are may be for the clock to say."""
        budget = _budget(arm)
        if budget.get(SECONDS) is not None or budget.get("on") == SECONDS:
            return True
        if budget.get("on") != UPDATES or arm.arm_id in before:
            return False
        other = self._matched(arm)
        return other is not None and self._ends_by_time(other, before | {arm.arm_id})

    def _read_by(self, arm: ArmRecord) -> _Read:
        answer, ingredients = answer_of(arm), ingredients_of(arm)
        if answer is None or (ingredients is None and "source" in arm.settings):
            return _Read()
        learnt = [] if ingredients is None else [ingredients]
        named = set(answer.models).union(*(one.models for one in learnt)) | _begun(arm)
        found: dict[str, ArmRecord] = {}
        missing = False
        pending = sorted(_arms_in(named))
        while pending:
            behind = self._behind(arm, pending.pop(0))
            # Of an arm that is read, its adapter is, and not what it answers with.
            made_of = None if behind is None else ingredients_of(behind)
            if behind is None or made_of is None:
                missing = True
            elif behind.arm_id not in found:
                found[behind.arm_id] = behind
                learnt.append(made_of)
                read = made_of.models | _begun(behind)
                named |= read
                pending += sorted(_arms_in(read))
        return _Read(tuple(found.values()), tuple(learnt), frozenset(named), missing)

    def _behind(self, arm: ArmRecord, name: str) -> ArmRecord | None:
        """The arm called `name` that is nearest to `arm`: of the same recipe, point and seed, the latest."""
        return max(
            self._named.get((arm.recipe, name), ()),
            key=lambda other: (
                other.recipe_hash == arm.recipe_hash,
                other.point == arm.point,
                other.seed == arm.seed,
                other.recorded_at,
                other.arm_id,
            ),
            default=None,
        )


def _budget(arm: ArmRecord) -> Mapping[str, Any]:
    """What the arm may learn from and for how long; nothing where it is not trained."""
    budget: Mapping[str, Any] = arm.settings.get("training", {}).get("budget", {})
    return budget


def _begun(arm: ArmRecord) -> frozenset[str]:
    """The model that the adapter of `arm` begins as, where it is not the expert."""
    start = arm.settings.get(START)
    return frozenset() if start is None else frozenset({f"{ARM}{start}"})


def _arms_in(models: Iterable[str]) -> Iterator[str]:
    """The arms among the names of models."""
    return (name.removeprefix(ARM) for name in models if name.startswith(ARM))


def _together(arms: Sequence[ArmRecord]) -> Costs:
    """The costs of several arms; a stage that several have was done once."""
    total, counted = arms[0].costs, set(arms[0].stages.values())
    # Costs are not told by stage; of these stages together it is known what was sampled.
    together = _sampling(arms[0])
    sampled = {together: total}
    for arm in arms[1:]:
        new = {name for name, key in arm.stages.items() if key not in counted}
        seconds = dict(total.seconds)
        for name, taken in arm.costs.seconds.items():
            if arm.stages.get(name) not in counted:
                seconds[name] = round(seconds.get(name, 0.0) + taken, 3)
        update: dict[str, object] = {"seconds": seconds}
        if TRAIN_STAGE in new:
            for name in ("updates", "tuned_tokens", "trained_steps", "learnt_problems"):
                update[name] = getattr(total, name) + getattr(arm.costs, name)
        own = _sampling(arm)
        shared = sampled.get(own & counted)
        if not own <= counted:
            for name in ("sampled_problems", "draws", "sampled_tokens"):
                before = 0 if shared is None else getattr(shared, name)
                update[name] = getattr(total, name) + getattr(arm.costs, name) - before
            if shared is None and own & counted and not _writing(arm) - counted:
                # What is continued was counted before, with other rollouts.
                continued = int(arm.statistics.get("continued_tokens", 0))
                update |= {
                    "sampled_problems": total.sampled_problems,
                    "draws": total.draws,
                    "sampled_tokens": total.sampled_tokens + continued,
                }
        counted |= set(arm.stages.values())
        again = total.drawn_problems or arm.costs.drawn_problems
        update["drawn_problems"] = update.pop("draws", total.draws) if again else 0
        total = total.model_copy(update=update)
        sampled.setdefault(own, arm.costs)
        together |= own
        sampled.setdefault(together, total)
    return total


def _writing(arm: ArmRecord) -> frozenset[str]:
    """The keys of the stages of an arm that ask problems."""
    keys = {key for name, key in arm.stages.items() if name.partition(" ")[0] in WRITING}
    return frozenset(keys | ({arm.stages[TRAIN_STAGE]} if _writes(arm) else set()))


def _sampling(arm: ArmRecord) -> frozenset[str]:
    """The keys of all stages of an arm that write tokens, of which its costs hold the sum."""
    keys = {key for name, key in arm.stages.items() if name.partition(" ")[0] in CONTINUING}
    return _writing(arm) | keys


def _passes(score: ScoreRecord) -> int:
    return (score.tokens or 0) if score.passes is None else sum(score.passes.values())


def _writes(arm: ArmRecord) -> bool:
    """Whether the model in training has written what it learnt from."""
    ingredients = ingredients_of(arm)
    return ingredients is not None and ingredients.objective.writes


def answer_of(arm: ArmRecord) -> Answer | None:
    """What writes the arm's answers; None where that is of a kind that is not known here."""
    return _read_answer(json.dumps(arm.settings.get("answer", PLAIN.word)))


def ingredients_of(arm: ArmRecord) -> Ingredients | None:
    """What the arm has learnt from; None where it is not trained, or of a kind that is not known here."""
    written = {name: arm.settings[name] for name in Ingredients.model_fields if name in arm.settings}
    return _read_ingredients(json.dumps(written)) if written else None


# Thousands of arms are made of the same few components. The order in which models are named counts.
@lru_cache(MOST_READ)
def _read_answer(written: str) -> Answer | None:
    try:
        return _ANSWER.validate_json(written)
    except ValidationError:
        return None


@lru_cache(MOST_READ)
def _read_ingredients(written: str) -> Ingredients | None:
    try:
        return Ingredients.model_validate_json(written)
    except ValidationError:
        return None
