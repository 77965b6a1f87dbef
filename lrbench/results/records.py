"""What the ledger holds: one record per recipe as declared, per arm made, and per arm and benchmark measured.

A recipe record says which arms a recipe means; an arm record how a model came to be (costs, curves,
what its steps looked like); a score record what it got right, item by item. Each has an identity, so that
recording one thing twice is recording it once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lrbench.recipe.schema import Compare
from lrbench.results.selection import Selection
from lrbench.suites.patterns import why_unusable


def _has_zone(moment: str) -> str:
    if datetime.fromisoformat(moment).tzinfo is None:
        raise ValueError("a moment in ISO 8601 with its time zone is needed")
    return moment


# Marks, in settings and protocols, what was read from result files and not made and measured here.
IMPORTED = "imported"

Outcomes = Annotated[str, Field(pattern=r"^[01]*$")]
Moment = Annotated[str, AfterValidator(_has_zone)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """Base of ledger records: frozen, no unknown fields; NaN and infinities outlive the way through JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Costs(BaseModel):
    """What an arm cost to make. Seconds are wall-clock, by stage, the first time the work was done.

    `tuned_tokens` are the different kept steps learnt from, `trained_steps` counts each as often as it was;
    `learnt_problems` are the problems they belong to. `sampled_problems` are those that each stage asked;
    where the model in training draws them again and again, each counts once, and `drawn_problems` has how
    often one was asked. Earlier versions recorded that in `sampled_problems`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    updates: int = 0
    tuned_tokens: int = 0
    trained_steps: int = 0
    learnt_problems: int = 0
    sampled_problems: int = 0
    drawn_problems: int = Field(default=0, exclude_if=lambda value: value == 0)
    sampled_tokens: int = 0
    seconds: dict[str, float] = {}

    @property
    def draws(self) -> int:
        """How often a problem was asked: once for each that was sampled, unless they were drawn again."""
        return self.drawn_problems or self.sampled_problems


class Memory(BaseModel):
    """What an arm holds while it answers, in bytes: computed from the models' configurations, not measured.

    `weights` are those of every model that is read for an answer, adapters included, each in its dtype.
    `cache_per_token` are the keys and values of one token in all of them, in every draft of a vote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Count
    cache_per_token: Count

    def at(self, tokens: float) -> float:
        """Bytes held when so many tokens of an answer are written; its prompt comes on top."""
        return self.weights + tokens * self.cache_per_token


def name_in_record(stage: str, number: int) -> str:
    """What a record calls the first, second ... stage of one kind behind an arm: `written`, `written 2`."""
    return stage if number == 1 else f"{stage} {number}"


class ArmRecord(Record):
    """How one arm of one recipe was made.

    `arm_id` names the arm's model and how it was declared. `seed` is None where nothing in the model is
    random. `point` holds the swept fields that decide the model. `recipe_hash` and `recipe_yaml` are those
    of the recipe that made it first; which recipes mean the arm is said by their own records. `curves` maps
    a metric name to its values as [update, value] pairs; `statistics` is what the stages reported (share
    of steps kept, KL histogram ...); `stages` maps stage names to their keys, and `made_at` to when each was
    finished, which earlier versions did not record. Neither did they record the `memory` that it answers in,
    which is None too where a model's configuration does not say.
    """

    kind: Literal["arm"] = "arm"
    arm_id: str
    recipe: str
    recipe_hash: str
    recipe_yaml: str
    arm: str
    seed: int | None
    point: dict[str, Any] = {}
    expert: str
    amateur: str | None
    settings: dict[str, Any]
    costs: Costs
    statistics: dict[str, Any] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    stages: dict[str, str]
    made_at: dict[str, Moment] = {}
    memory: Memory | None = Field(default=None, exclude_if=lambda value: value is None)
    environment: dict[str, str]
    recorded_at: Moment

    @property
    def imported(self) -> bool:
        """Whether it is a system of result files: how it was made is not known, and no stage made it."""
        return IMPORTED in self.settings

    @property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """Where the store has each stage's artifact: stage and key, by the name that the record has for it.

        Scores of another pair than the recipe's own are named by their models too: `scores peer expert`. Of
        several stages of one kind the further ones are numbered (`name_in_record`).
        """
        return {name: (name.partition(" ")[0], key) for name, key in self.stages.items()}

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two records one: the arm."""
        return (self.arm_id,)


class RecipeRecord(Record):
    """One recipe as it was declared: the arms it means, whether or not they are made yet.

    Of several records of one `recipe`, by its name, the last says what it means now. `claims` are as
    written, and so is what it says to `compare`; `command` makes and measures the arms again, and is empty
    where the recipe came from no file. `forgetting` maps the protocol hash of a board to that of the board of
    the second suite measured beside it, where the recipe has one. `selection` says which points were chosen
    and on what, where the recipe has them chosen: such arms are meant at every point and, once more and
    without one, as they were chosen.
    """

    kind: Literal["recipe"] = "recipe"
    recipe: str
    recipe_hash: str
    recipe_yaml: str
    arm_ids: tuple[str, ...]
    claims: tuple[str, ...]
    compare: Compare = Compare()
    forgetting: dict[str, str] = {}
    selection: Selection | None = Field(default=None, exclude_if=lambda value: value is None)
    command: str
    recorded_at: Moment

    def meant_on(self, protocol: str) -> tuple[str, ...]:
        """The arms that the recipe means on the board of this protocol.

        Where points are chosen, that is every point on the board that they are chosen on, and nowhere else.
        """
        if self.selection is None:
            return self.arm_ids
        on_validation = protocol == self.selection.protocol
        return self.selection.measured if on_validation else self.selection.on_suite

    @property
    def meaning(self) -> tuple[object, ...]:
        """What was declared, whenever and wherever that was."""
        said = (self.claims, self.compare, self.forgetting, self.selection)
        return (self.recipe, self.recipe_hash, self.arm_ids, *said)

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two records one: the same declared at the same moment."""
        compare = self.compare.model_dump_json()
        return (self.recipe, self.recipe_hash, *self.arm_ids, *self.claims, compare, self.recorded_at)


Nats = tuple[tuple[Annotated[float, Field(ge=0)], ...], ...]


class Traces(BaseModel):
    """What the tokens of answers say, draw by draw, and of every draw item by item.

    `nll` is the negative log-likelihood, nats, of the `scored` tokens under the arm's model, `tokens` is how
    long the answer is and `first_right` how long it was when it was first right (None for never).
    `truncated` has a 1 for answers that were cut at the length limit. `weighed_nll` and `weight` are the sums
    of weighed nats and of weights, where another model has weighed the tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    nll: Nats
    scored: tuple[tuple[Count, ...], ...]
    tokens: tuple[tuple[Count, ...], ...]
    first_right: tuple[tuple[Count | None, ...], ...]
    truncated: tuple[Outcomes, ...]
    weighed_nll: Nats | None = Field(default=None, exclude_if=lambda value: value is None)
    weight: Nats | None = Field(default=None, exclude_if=lambda value: value is None)

    def why_not_of(self, draws: int, items: int) -> str | None:
        """Why these are not the traces of so many draws of so many items; None where they are."""
        columns = [self.nll, self.scored, self.tokens, self.first_right, self.truncated]
        columns += [column for column in (self.weighed_nll, self.weight) if column is not None]
        if any([*map(len, column)] != [items] * draws for column in columns):
            return f"are not those of {draws} x {items} answers"
        answers = (
            answer
            for draw in zip(self.scored, self.tokens, self.first_right, strict=True)
            for answer in zip(*draw, strict=True)
        )
        if any(scored > tokens or (first or 0) > tokens for scored, tokens, first in answers):
            return "have more tokens than the answers"
        return None


class ScoreRecord(Record):
    """What one arm scored on one benchmark under one protocol.

    `paper` and `exact` hold one 0 or 1 per item, in the benchmark's order, under the two verdicts;
    `items_hash` identifies the items, so that two outcomes are paired only over the same ones.
    `suite_protocol` maps every benchmark measured in the same evaluation, this one included and in the
    suite's order, to its protocol hash: it says what belongs together, and so what is missing.
    `expert_weights` is the weight identity of the expert, since a folder's name outlives its content.

    What the answers took: `tokens` are those of all answers together, `written` all that were written for
    them (more where samples were outvoted), and `passes` the forward passes of each model, by name, where
    it was not the arm's own model alone with one for each token. `truncated` counts the answers that were cut
    at the length limit. Earlier versions recorded none of these.
    `repeats` says how many `items` are `exact` or `near` copies of problems that the arm learnt from, where
    items are somebody's own.

    Where answers were sampled, `draws` holds the outcomes of every draw under the paper verdict: `paper` is
    the first of them, `exact` that one's exact verdict. `majority` are the outcomes of the answers that most
    draws gave, which of imported draws is not known, and `agreeing` says how many of an item gave it.
    `groups` numbers the group of every item, where items have one.

    `stated` holds, draw by draw, how sure the answer to every item says it is (None where it does not), as
    the pattern `confidence` finds it. Read by another pattern, the same answers are recorded anew.
    `traces` is what the answers' tokens say, where that was measured.
    `answers_hash` is equal for the same answers, all texts in the order of items and draws, and `measured_at`
    is when the evaluation was finished; earlier versions recorded neither.
    """

    kind: Literal["score"] = "score"
    arm_id: str
    recipe: str
    arm: str
    seed: int | None
    point: dict[str, Any] = {}
    expert: str
    expert_weights: str
    suite: str
    benchmark: str
    protocol: dict[str, Any]
    protocol_hash: str
    suite_protocol: dict[str, str]
    items_hash: str
    paper: Outcomes
    exact: Outcomes
    evaluation_key: str
    seconds: float
    tokens: Count | None = None
    written: Count | None = None
    passes: dict[str, Count] | None = None
    repeats: dict[str, Count] | None = None
    truncated: Count | None = None
    draws: Annotated[tuple[Outcomes, ...], Field(min_length=1)] | None = None
    majority: Outcomes | None = None
    agreeing: tuple[Count, ...] | None = None
    groups: tuple[Count, ...] | None = None
    confidence: str | None = None
    stated: tuple[tuple[Share | None, ...], ...] | None = None
    traces: Traces | None = None
    answers_hash: str | None = None
    measured_at: Moment | None = None
    recorded_at: Moment

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if len(self.paper) != len(self.exact):
            raise ValueError(f"{len(self.paper)} paper verdicts but {len(self.exact)} exact ones")
        if (self.tokens is None) != (self.written is None) or (
            self.tokens is None and self.passes is not None
        ):
            raise ValueError("what answers took is recorded in part: `tokens`, `written` and `passes`")
        outcomes = [*(self.draws or ()), *([] if self.majority is None else [self.majority])]
        if any(len(of_items) != self.n for of_items in outcomes):
            raise ValueError(f"a draw does not have an outcome for each of {self.n} items")
        # Result files have verdicts of draws, and seldom what was answered.
        complete = self.majority is not None or self.draws is None or self.imported
        if not complete or (self.majority is not None and self.draws is None):
            raise ValueError("draws are recorded in part")
        if self.outcomes[0] != self.paper:
            raise ValueError("the first of the draws is not the one that stands for them")
        if self.agreeing is not None and len(self.agreeing) != self.n:
            raise ValueError(f"{len(self.agreeing)} counts of agreeing draws for {self.n} items")
        if self.groups is not None and len(self.groups) != self.n:
            raise ValueError(f"{len(self.groups)} groups of {self.n} items")
        if (self.stated is None) != (self.confidence is None):
            raise ValueError("stated confidences are recorded in part")
        why = None if self.confidence is None else why_unusable(self.confidence, "the confidence")
        if why is not None:
            raise ValueError(f"the pattern of stated confidences {why}")
        if self.stated is not None and [*map(len, self.stated)] != [self.n] * len(self.outcomes):
            raise ValueError(f"stated confidences are not those of {len(self.outcomes)} x {self.n} answers")
        odd = None if self.traces is None else self.traces.why_not_of(len(self.outcomes), self.n)
        if odd is not None:
            raise ValueError(f"the traces {odd}")
        if self.suite_protocol.get(self.benchmark) != self.protocol_hash:
            raise ValueError(f"suite_protocol does not hold the protocol hash of {self.benchmark}")
        return self

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two records one: the same arm and evaluation, and answers read in the same way."""
        measured_together = ",".join(f"{name}={hash_}" for name, hash_ in self.suite_protocol.items())
        return (
            self.arm_id,
            self.suite,
            self.benchmark,
            self.protocol_hash,
            measured_together,
            self.evaluation_key,
            *([] if self.confidence is None else [self.confidence]),
        )

    @property
    def imported(self) -> bool:
        """Whether it comes from a result file, and from no evaluation in the store."""
        return IMPORTED in self.protocol

    @property
    def n(self) -> int:
        """Number of items measured."""
        return len(self.paper)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The paper verdicts of every draw; of the one answer where nothing was sampled."""
        return self.draws or (self.paper,)

    @property
    def correct(self) -> int:
        """Items right under the paper verdict, the one the board ranks; of several draws in the first."""
        return self.paper.count("1")

    @property
    def correct_exact(self) -> int:
        """Items right under the exact verdict."""
        return self.exact.count("1")


def items_hash(item_ids: list[str]) -> str:
    """Identity of a list of items, in order."""
    return hashlib.sha256("\n".join(item_ids).encode()).hexdigest()
