"""What an arm uses besides the pair and the problems' texts, and what its answers take."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from lrbench.methods.answers import OWN, Answer, AnyAnswer
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.presets import PLAIN
from lrbench.results.records import ArmRecord, ScoreRecord

_ANSWER: TypeAdapter[Answer] = TypeAdapter(AnyAnswer)
MOST_READ = 1024


@dataclass(frozen=True)
class Uses:
    """What one arm uses; None for what the records do not say.

    `labels` is whether anything in it has learnt from answers or solutions of the training problems, and
    `other_models` are the models besides the pair that it learnt from or answers with, by the recipe's names;
    both count what the arms whose adapters it answers with use. `models_at_test` are the models that are read
    for an answer. `passes_per_token` are forward passes, of all models together, for each token of an answer,
    and `tokens_per_answer` is the mean length of an answer over all items of all benchmarks.
    """

    labels: bool | None = None
    other_models: tuple[str, ...] | None = None
    models_at_test: int | None = None
    passes_per_token: float | None = None
    tokens_per_answer: float | None = None

    @property
    def passes_per_answer(self) -> float | None:
        """Forward passes, of all models together, for an answer of mean length."""
        if self.passes_per_token is None or self.tokens_per_answer is None:
            return None
        return self.passes_per_token * self.tokens_per_answer

    @property
    def notable(self) -> bool:
        """Whether it is more than the pair, and the arm's own model alone when it answers."""
        more = (self.models_at_test or 1) > 1 or (self.passes_per_token or 1) != 1
        return bool(self.labels or self.other_models or more)


UNKNOWN = Uses()


class ArmsInUse:
    """The arms of a ledger, and what each of them uses."""

    def __init__(self, arms: Iterable[ArmRecord]) -> None:
        self._named: dict[tuple[str, str], list[ArmRecord]] = defaultdict(list)
        for arm in arms:
            self._named[arm.recipe, arm.arm].append(arm)

    def of(self, arm: ArmRecord | None, scores: Iterable[ScoreRecord]) -> Uses:
        """What `arm` uses, with `scores` of it; without a record of its making only what scores say."""
        scores = [score for score in scores if score.tokens is not None]
        tokens = sum(score.tokens or 0 for score in scores)
        answers = sum(score.n for score in scores)
        passes = sum(_passes(score) for score in scores)
        answer = None if arm is None else _answer(arm)
        labels, others = (None, None) if arm is None else self._needs(arm, frozenset())
        plain = answer is not None and not answer.identity
        return Uses(
            labels=labels,
            other_models=None if others is None else tuple(sorted(others)),
            models_at_test=None if answer is None else len(answer.models),
            passes_per_token=passes / tokens if tokens else 1.0 if plain else None,
            tokens_per_answer=tokens / answers if answers else None,
        )

    def _needs(self, arm: ArmRecord, seen: frozenset[str]) -> tuple[bool | None, frozenset[str] | None]:
        """Whether it uses labels, and which other models; None where what it is made of is unknown here."""
        answer, ingredients = _answer(arm), _ingredients(arm)
        if answer is None or (ingredients is None and "source" in arm.settings):
            return None, None
        read = answer.models if ingredients is None else answer.models | ingredients.models
        labels: bool | None = ingredients is not None and ingredients.source.label_field is not None
        others: frozenset[str] | None = frozenset(
            name for name in read if name not in (OWN, EXPERT, AMATEUR) and not name.startswith(ARM)
        )
        for name in sorted(name for name in read if name.startswith(ARM)):
            behind = self._behind(arm, name.removeprefix(ARM))
            if behind is None or behind.arm_id in seen:
                return labels or None, None
            needed, further = self._needs(behind, seen | {arm.arm_id})
            labels = labels or needed
            others = None if others is None or further is None else others | further
        return labels, others

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


def _passes(score: ScoreRecord) -> int:
    return (score.tokens or 0) if score.passes is None else sum(score.passes.values())


def _answer(arm: ArmRecord) -> Answer | None:
    """What writes the arm's answers; None where that is of a kind that is not known here."""
    return _read_answer(json.dumps(arm.settings.get("answer", PLAIN.word)))


def _ingredients(arm: ArmRecord) -> Ingredients | None:
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
