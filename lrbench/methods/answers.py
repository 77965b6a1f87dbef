"""Answers: what writes at evaluation. Most are one model with a twist, some read several models at once.

`own` is the arm's own model: the expert, with the arm's adapter where it is trained. `expert` is always the
untouched one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_serializer, model_validator

# Packages, too, know the first three from here.
from lrbench.methods.answer import HERE as HERE
from lrbench.methods.answer import OWN as OWN
from lrbench.methods.answer import Answer as Answer
from lrbench.methods.answer import Count, ModelName, lot, seed_for
from lrbench.methods.cache_shift import CacheShift
from lrbench.methods.families import Family
from lrbench.methods.learnt_routes import TokenRouter
from lrbench.methods.relays import Chain
from lrbench.methods.section import Section
from lrbench.methods.signals import SIGNALS, Bound
from lrbench.methods.taking_over import Rewrite, TakeOver

# Of the rows that are written at once, as a recipe writes it.
Share = Literal["1/2", "1/3", "1/4"]


class Gate(Section):
    """A rule that holds at a step or not: a `signal` of two models there, `above` or `below` a bound.

    `kl` is KL(first || second) in nats, `kl_reverse` KL(second || first), `entropy` that of the first and
    `entropy_amateur` that of the second, `disagree` 1 where their first choices differ and else 0, `step`
    the number of tokens that the answer has so far, and `random` a number from 0 up to 1 that every prompt
    and step draws once and for all.
    """

    signal: Literal["kl", "kl_reverse", "entropy", "entropy_amateur", "disagree", "step", "random"]
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Gate:
        if (self.above is None) == (self.below is None):
            raise ValueError("a rule is `above` a number or `below` one: give exactly one of them")
        return self

    @property
    def label(self) -> str:
        """For people: `kl > 0.4`."""
        return f"{self.signal.replace('_', ' ')} {self._bound.sign()} {self._bound.value:g}"

    @property
    def reads_second(self) -> bool:
        """Whether the signal is of the second model too."""
        return SIGNALS[self.signal].reads_second

    @property
    def steps(self) -> int | None:
        """After how many steps it never holds again; None where only the models can say."""
        return max(0, -int(-self.below // 1)) if self.signal == "step" and self.below is not None else None

    def holds(self, values: Any) -> Any:
        """Where it holds, from the signal's values: an array of truth values for an array of numbers."""
        return self._bound.holds(values)

    @property
    def _bound(self) -> Bound:
        return Bound(self.above, self.below)


class Plain(Answer):
    """The arm's own model alone."""

    word: ClassVar[str] = "plain"
    drawn: ClassVar[bool] = True
    here: ClassVar[bool] = False

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: scores were of plain answers before there were others."""
        return {}


class Again(Answer):
    """The arm's own model alone, once more, with fewer rows at once, so that rounding falls otherwise.

    At most `again` rows are written at once, or that share of the rows that are otherwise. A number that is
    not below those, as where fewer items are asked, stands for half of them.
    """

    word: ClassVar[str] = "again"
    drawn: ClassVar[bool] = True
    here: ClassVar[bool] = False
    repeats: ClassVar[bool] = True

    again: Count | Share

    def rows_at_once(self, own: int) -> int:
        """A number below `own`; of a single row nothing is below."""
        wanted = self.again if isinstance(self.again, int) else own // int(self.again.removeprefix("1/"))
        return max(1, wanted if wanted < own else own // 2)

    @property
    def label(self) -> str:
        """For people: `again, 1/2 of the rows at once`."""
        rows = f"{self.again} rows" if isinstance(self.again, int) else f"{self.again} of the rows"
        return f"again, {rows} at once"


class Mix(Answer):
    """Every token by several models: the sum of `mix`, model to weight, times log p is largest.

    With `alpha` only tokens count that the model named first finds plausible: those with at least `alpha`
    times the probability of its likeliest. `when` says at which steps they mix, by a signal of the first two
    models; at all others the first writes alone. {expert: 1, amateur: -1} with alpha 0.2 is contrastive
    decoding, {peer: 1, tuned: 1, untuned: -1} moves to a peer what tuning has taught another.
    """

    word: ClassVar[str] = "mix"
    drawn: ClassVar[bool] = True

    mix: Annotated[dict[ModelName, float], Field(min_length=1)]
    alpha: Annotated[float, Field(gt=0, le=1)] | None = None
    when: Gate | None = None

    @model_validator(mode="after")
    def _a_second(self) -> Mix:
        if self.when is not None and self.when.reads_second and len(self.mix) == 1:
            raise ValueError(f"`when: {self.when.signal}` compares the first two models, and `mix` names one")
        return self

    # Which model is named first is part of what it is, and dictionaries are equal in any order.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mix) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    @property
    def _parts(self) -> tuple[object, ...]:
        return (tuple(self.mix.items()), self.alpha, self.when)

    @property
    def first(self) -> str:
        """The model that says what is plausible, and writes where nothing is mixed."""
        return next(iter(self.mix))

    @property
    def read(self) -> tuple[str, ...]:
        """The models that have to be run, the first one first: those with a weight, and those compared."""
        compared = 2 if self.when is not None and self.when.reads_second else 1
        return tuple(
            name for place, (name, weight) in enumerate(self.mix.items()) if weight or place < compared
        )

    @property
    def models(self) -> frozenset[str]:
        """Those that have to be run."""
        return frozenset(self.read)

    @property
    def label(self) -> str:
        """For people: `1 expert - 1 amateur, alpha 0.2, where kl > 0.4`."""
        terms = [f"{'-' if weight < 0 else '+'} {abs(weight):g} {name}" for name, weight in self.mix.items()]
        words = [" ".join(terms).removeprefix("+ ")]
        words += [] if self.alpha is None else [f"alpha {self.alpha:g}"]
        words += [] if self.when is None else [f"where {self.when.label}"]
        return ", ".join(words)

    @property
    def identity(self) -> Mapping[str, Any]:
        """All of it; the weights as a list, because their order counts."""
        return {"answer": self.model_dump() | {"mix": [list(term) for term in self.mix.items()]}}


class Prefill(Answer):
    """The arm's own model after a given text, which is part of the answer and of its tokens."""

    word: ClassVar[str] = "prefill"
    drawn: ClassVar[bool] = True
    here: ClassVar[bool] = False

    prefill: str

    @property
    def given(self) -> str:
        """The text."""
        return self.prefill

    @property
    def label(self) -> str:
        """For people: `after "First"`."""
        return f'after "{self.prefill}"'


class FirstToken(Section):
    """A rule for a whole answer, by what the arm's own model thinks of its first token, in nats.

    `log_p` is the logarithm of the chance of the likeliest one, `entropy` that of the distribution.
    """

    signal: Literal["log_p", "entropy"]
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> FirstToken:
        if (self.above is None) == (self.below is None):
            raise ValueError("a rule is `above` a number or `below` one: give exactly one of them")
        return self

    @property
    def label(self) -> str:
        """For people: `log p of the first token < -0.4`."""
        words = {"log_p": "log p", "entropy": "entropy"}[self.signal]
        return f"{words} of the first token {self._bound.sign()} {self._bound.value:g}"

    def holds(self, value: float) -> bool:
        """Whether it holds, from the signal's value."""
        return bool(self._bound.holds(value))

    @property
    def _bound(self) -> Bound:
        return Bound(self.above, self.below)


class Nearest(Section):
    """A rule for a whole answer: whether most of the `k` questions nearest to its own are among the `other`.

    Near is what the arm's own model begins to answer alike: questions are as far from each other as the
    logarithms of the chances of all first tokens. Of as many of both kinds the `own` count.
    """

    own: Annotated[tuple[ModelName, ...], Field(min_length=1, strict=False)]
    other: Annotated[tuple[ModelName, ...], Field(min_length=1, strict=False)]
    k: Count = 5

    @property
    def label(self) -> str:
        """For people: `most of the nearest 5 of 40 questions are`."""
        return f"most of the nearest {self.k} of {len(self.own) + len(self.other)} questions are"


class Routing(Section):
    """Tokens are written by the model `to` where the rule `when` holds, or whole answers where another does.

    The signal of `when` compares the arm's own model, the first, with `to`, the second. A `router` learns at
    which tokens the arm's own model would go astray; `learnt` is one with all its settings as they are.
    """

    to: ModelName
    when: Gate | None = None
    first: FirstToken | None = None
    nearest: Nearest | None = None
    router: TokenRouter | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Routing:
        if (self.when, self.first, self.nearest, self.router).count(None) != 3:
            raise ValueError(
                "a route goes by `when` or a `router`, at every token, or by `first` or `nearest`, once: "
                "give one of them"
            )
        return self

    @model_serializer(mode="wrap")
    def _what_there_is(self, handler: Any) -> Any:
        # Routes are recorded, and have keys, from before there was a second rule.
        return {name: value for name, value in handler(self).items() if value is not None}


class Route(Answer):
    """Another model writes the tokens at which a rule holds, the arm's own model all others."""

    word: ClassVar[str] = "route"
    drawn: ClassVar[bool] = True

    route: Routing

    @property
    def in_turns(self) -> bool:
        """Where the first token decides about all of them."""
        return self.route.when is None and self.route.router is None

    @property
    def learnt(self) -> tuple[str, TokenRouter] | None:
        """The other model and the router, where that is learnt."""
        return None if self.route.router is None else (self.route.to, self.route.router)

    @property
    def models(self) -> frozenset[str]:
        """The arm's own and the other."""
        return frozenset({OWN, self.route.to})

    @property
    def label(self) -> str:
        """For people: `teacher where entropy > 0.45`."""
        rule = self.route.when or self.route.first or self.route.nearest or self.route.router
        assert rule is not None
        return f"{self.route.to} where {rule.label}"


class Leading(Section):
    """The model `by` writes the first `tokens` tokens, null for all, of a `share` of the answers.

    Which answers these are follows from their prompts alone; those of a smaller share are among those of a
    larger one.
    """

    by: ModelName
    tokens: Count | None
    share: Annotated[float, Field(ge=0, le=1)] = 1.0


class Lead(Answer):
    """Another model writes how an answer begins, the arm's own model goes on."""

    word: ClassVar[str] = "lead"
    drawn: ClassVar[bool] = True

    lead: Leading

    def leads(self, prompt: Sequence[int]) -> bool:
        """Whether the answer to this prompt (token ids) is begun by the other model."""
        return lot("lead", prompt) < self.lead.share

    @property
    def models(self) -> frozenset[str]:
        """The arm's own and the other."""
        return frozenset({OWN, self.lead.by})

    @property
    def label(self) -> str:
        """For people: `teacher's first 15 tokens of 50% of the answers`."""
        tokens = "tokens" if self.lead.tokens is None else f"first {self.lead.tokens} tokens"
        share = "" if self.lead.share == 1 else f" of {self.lead.share:.0%} of the answers"
        return f"{self.lead.by}'s {tokens}{share}"


class StopBias(Answer):
    """The arm's own model, whose odds of ending the answer here are multiplied by e^`stop_bias`."""

    word: ClassVar[str] = "stop_bias"

    stop_bias: float

    @property
    def label(self) -> str:
        """For people: `odds of stopping times e^1.5`."""
        return f"odds of stopping times e^{self.stop_bias:g}"


class Limits(Section):
    """An answer has `at_least` so many tokens and `at_most` so many, both with the token that ends it."""

    at_least: Count | None = None
    at_most: Count | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a budget is of tokens `at_least` or `at_most`: give one of them or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at least {self.at_least} tokens are more than at most {self.at_most}")
        return self


class TokenBudget(Answer):
    """The arm's own model, which may not end an answer before its budget, and has to end it within."""

    word: ClassVar[str] = "budget"

    budget: Limits

    @property
    def label(self) -> str:
        """For people: `at least 40, at most 80 tokens`."""
        bounds = {"at least": self.budget.at_least, "at most": self.budget.at_most}
        return f"{', '.join(f'{word} {bound}' for word, bound in bounds.items() if bound)} tokens"


class Force(Answer):
    """The arm's own model, made to write one token in place of another: decisions that are taken for it.

    Where it was about to write one of the texts of `force`, the one that stands for it is written, at the
    `first` so many such places of an answer, null for all. A place where it writes the wanted one by itself
    counts. Each text is one token, with the space before it: {" it": " we"}.
    """

    word: ClassVar[str] = "force"
    drawn: ClassVar[bool] = True

    force: Annotated[dict[str, str], Field(min_length=1)]
    first: Count | None = None

    def __hash__(self) -> int:
        return hash((frozenset(self.force.items()), self.first))

    @property
    def single_tokens(self) -> tuple[str, ...]:
        """What is replaced and what replaces it."""
        return (*self.force, *self.force.values())

    @property
    def label(self) -> str:
        """For people: `" we" for " it" at the first 2 places`."""
        forced = ", ".join(f'"{wanted}" for "{unwanted}"' for unwanted, wanted in self.force.items())
        if self.first is None:
            return f"{forced} everywhere"
        return (
            f"{forced} at the first {self.first} places" if self.first > 1 else f"{forced} at the first place"
        )


class Vote(Answer):
    """The majority of `vote` answers, which the arm's own model samples at `temperature`.

    Completions vote by the answer that the grader reads in them, without the gold answer; one that holds none
    has no vote. Among answers with as many votes the one seen first wins, and the first completion with the
    winning answer is the one that is graded. All that was sampled counts as cost.
    """

    word: ClassVar[str] = "vote"
    here: ClassVar[bool] = False

    vote: Count
    temperature: Annotated[float, Field(gt=0)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @property
    def samples(self) -> int:
        """As many as vote."""
        return self.vote

    @property
    def sampled_at(self) -> float:
        """As declared."""
        return self.temperature

    def seeds(self, prompt: Sequence[int]) -> list[int]:
        """The seed of each sample: its own, whatever else is asked."""
        return [seed_for(f"{self.seed}/{sample}", prompt) for sample in range(self.vote)]

    @property
    def label(self) -> str:
        """For people: `majority of 8 samples at temperature 1`."""
        return f"majority of {self.vote} samples at temperature {self.temperature:g}"


ANSWERS: tuple[type[Answer], ...] = (
    Plain,
    Mix,
    Prefill,
    Route,
    Lead,
    StopBias,
    TokenBudget,
    Force,
    Vote,
    Again,
    Chain,
    TakeOver,
    Rewrite,
    CacheShift,
)

ANSWER = Family(ANSWERS, base=Answer)
AnyAnswer = Annotated[Answer, ANSWER]


def majority(answers: Sequence[str | None]) -> int:
    """The place of the first answer of those that most are equal to; None has no vote.

    Of several with as many votes it is the one seen first. Where no answer has a vote, and there is one at
    least, it is the first.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    # A counter keeps the order in which answers were first seen, and `max` takes the first of equals.
    return answers.index(max(votes, key=lambda answer: votes[answer])) if votes else 0
