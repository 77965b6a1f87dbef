"""The engine of answers that several models, or rules, have a say in: models in lockstep, and a policy.

What begins otherwise than it goes on has phases: each writes on from what the one before has written. Where
what was written decides who goes on, models write in turns (`relays`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Protocol, runtime_checkable

from lrbench.errors import RunError
from lrbench.methods.answers import (
    OWN,
    Again,
    Answer,
    Force,
    Lead,
    Mix,
    Plain,
    Prefill,
    Route,
    StopBias,
    TokenBudget,
    Vote,
)
from lrbench.methods.cache_shift import CacheShift
from lrbench.models.loading import Model
from lrbench.recipe.schema import BatchSize
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import PORTION, Decoding, Request, TokenRules
from lrbench.sampling.engines.batch_size import rows_that_fit
from lrbench.sampling.engines.cache_shift import shift_of
from lrbench.sampling.engines.decoding import Decoder
from lrbench.sampling.engines.learnt_routing import LearntRouting, Watched
from lrbench.sampling.engines.own_tokens import DEFAULT_ROWS, next_log_probabilities, token_log_probabilities
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.policies import (
    Alone,
    Biased,
    Budgeted,
    Forcing,
    Mixing,
    Policy,
    Routing,
    Setting,
)
from lrbench.sampling.engines.refilling import can_refill
from lrbench.sampling.engines.relays import Look, Reading, Seen, Speech, Turn, relayed
from lrbench.sampling.engines.row_batches import batch_rows
from lrbench.sampling.engines.rows import Row
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.engines.turns import relay_of

# What goes on after other tokens draws from a stream of its own: the seed's own has given those their noise.
GOING_ON = 2**61

# The id of a text that is one token.
TokenOf = Callable[[str], int]


@dataclass(frozen=True)
class Phase:
    """The models of `names` write at most `tokens` tokens, None for all, after prompts that it `takes`."""

    names: tuple[str, ...]
    policy: Callable[[Setting], Policy]
    tokens: int | None = None
    takes: Callable[[Sequence[int]], bool] = lambda _: True


@runtime_checkable
class Phased(Protocol):
    """An answer that says itself how it is written, as those of other packages do."""

    def phases(self) -> tuple[Phase, ...]:
        """Its phases, in order; the last one takes every prompt, to the end."""


class LockstepEngine(TransformersEngine):
    """Writes the `answer` of loaded `models`, by the names under which the answer speaks of them.

    The caller has proven that ids mean the same tokens to all of them; `rules` are of the arm's own model.
    Ids that one of them has no row for are never chosen, and a completion ends where the shortest context is
    full.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        answer: Answer,
        rules: TokenRules,
        batch_size: BatchSize,
        padding: Padding | None = None,
        token_of: TokenOf | None = None,
        speech: Speech | None = None,
        router: Watched | None = None,
    ) -> None:
        """`token_of` gives the id of a text that is one token, for answers that speak of tokens.

        `speech` is for answers that models write in turns, and `router` for routes that are learnt; it
        watches the arm's own model.
        """
        self.router = router
        self.phases = () if answer.in_turns else phases_of(answer, token_of, router)
        of_phases = (name for phase in self.phases for name in phase.names)
        names = sorted(answer.models) if answer.in_turns else dict.fromkeys(of_phases)
        self.models = {name: models[name] for name in names}
        self._own = models.get(OWN)
        first, *_ = self.models.values()
        super().__init__(first, _shared_rules(rules, list(self.models.values())), batch_size, padding)
        self.adds = answer.in_turns
        looks = partial(self._looks, DEFAULT_ROWS)
        self.begin = relay_of(answer, self.rules, speech, looks) if answer.in_turns else None
        self.shift = None
        if isinstance(answer, CacheShift):
            assert speech is not None, "somebody has to ask its questions"
            self.shift = shift_of(answer, models[OWN], speech)

    @property
    def own(self) -> Model:
        """The arm's own model, which need not be one that writes; else the first that does."""
        return self.model if self._own is None else self._own

    def write(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding, at_once: int
    ) -> Iterator[tuple[int, Answered]]:
        """Requests are taken as rows become free; where there are phases or turns, a portion at a time."""
        if self.begin is not None:
            turns = partial(self._turns, decoding, at_once)
            reads, looks = partial(self._readings, at_once), partial(self._looks, at_once)
            yield from relayed(requests, self.begin, turns, reads, looks, at_once)
        elif len(self.phases) == 1:
            (phase,) = self.phases
            for row in self._rows(phase, decoding, requests, at_once):
                yield row.index, _answered(row, phase.names)
        else:
            coming = iter(requests)
            while portion := dict(islice(coming, max(PORTION, at_once))):
                yield from self._by_phases(portion, decoding, at_once)

    def _turns(
        self, decoding: Decoding, at_once: int, asked: Mapping[int, Turn]
    ) -> Iterator[tuple[int, Answered]]:
        """What one model writes in turns of several answers, by number, as soon as it is written."""
        first = next(iter(asked.values()))
        requests = {
            index: Request(turn.prompt, turn.tokens, turn.seed, self.rules.stop_repeats, turn.until)
            for index, turn in asked.items()
        }
        ordered = sorted(requests.items(), key=lambda item: -len(item[1].prompt))
        for row in self._rows(alone(first.by), first.decoding or decoding, ordered, at_once):
            yield row.index, _answered(row, (first.by,))

    def _readings(self, at_once: int, asked: Mapping[int, Reading]) -> Iterator[tuple[int, list[float]]]:
        """How likely one model finds what was written in several answers, by number."""
        first = next(iter(asked.values()))
        prompts = [reading.prompt for reading in asked.values()]
        written = [reading.written for reading in asked.values()]
        found = token_log_probabilities(self.models[first.by], prompts, written, at_once)
        yield from zip(asked, found, strict=True)

    def _looks(self, at_once: int, asked: Mapping[int, Look]) -> Iterator[tuple[int, Seen]]:
        """What one model thinks of the tokens that come next in several answers, by number."""
        first, numbers = next(iter(asked.values())), list(asked)
        no_tokens = frozenset(self.rules.no_tokens)
        used = [token for token in range(self.rules.rows) if token not in no_tokens]
        prompts = [look.prompt for look in asked.values()]
        for place, log_p_V in next_log_probabilities(self.models[first.by], prompts, at_once):
            yield numbers[place], Seen(log_p_V[used].log_softmax(-1))

    def _by_phases(
        self, waiting: Mapping[int, Request], decoding: Decoding, at_once: int
    ) -> Iterator[tuple[int, Answered]]:
        stops = self.rules.stop_ids
        begun = dict.fromkeys(waiting, Answered())
        for phase in self.phases:
            asked = {
                index: _continued(waiting[index], answered, phase.tokens)
                for index, answered in begun.items()
                if phase.takes(waiting[index].prompt)
            }
            ordered = sorted(asked.items(), key=lambda item: -len(item[1].prompt))
            for row in self._rows(phase, decoding, ordered, at_once):
                whole = begun[row.index].then(_answered(row, phase.names))
                full = len(whole.completion) == waiting[row.index].max_new_tokens
                if full or row.is_repeated or whole.completion[-1] in stops:
                    del begun[row.index]
                    yield row.index, whole
                else:
                    begun[row.index] = whole

    def _rows(
        self, phase: Phase, decoding: Decoding, asked: Iterable[tuple[int, Request]], at_once: int
    ) -> Iterator[Row]:
        """The rows of one phase, each as soon as it is done."""
        models = [self.models[name] for name in phase.names]
        rules = self.rules
        policy = phase.policy(
            Setting(rules.rows, rules.no_tokens, rules.stop_ids, decoding, self.model.device)
        )
        if all(can_refill(model) for model in models):
            decoder = Decoder(models, rules.stop_ids, policy, at_once, self.padding, self.shift)
            yield from decoder.rows(asked)
            return
        if self.router is not None:
            raise RunError(
                "a learnt route reads the states of rows that come and go, and one of these models cannot "
                "have them do so, as it does not keep an entry for every token in every layer of its cache; "
                "use another model, or a route by `when`"
            )
        if self.shift is not None:
            raise RunError(
                "an answer by `cache_shift` moves one entry of the model's cache, and this model does not "
                "keep one for every token in every layer; use another model"
            )
        coming = iter(asked)
        while batch := dict(islice(coming, at_once)):
            yield from batch_rows(models, batch, frozenset(rules.stop_ids), policy, self.padding)

    def rows_that_fit(self, requests: Sequence[Request]) -> int:
        """How many of `requests` memory has room for at once, at least 1."""
        # Of each model so many rows would fit by themselves; together they share the memory.
        each = [rows_that_fit(model, requests) for model in self.models.values()]
        return max(1, int(1 / sum(1 / rows for rows in each)))


def phases_of(
    answer: Answer, token_of: TokenOf | None = None, router: Watched | None = None
) -> tuple[Phase, ...]:
    """How an answer is written. Raises `RunError` for one that no engine here knows."""
    if isinstance(answer, Mix):
        steps = None if answer.when is None else answer.when.steps
        mixing = Phase(answer.read, partial(Mixing, answer), steps)
        # From there on the first writes alone, and the others need not read along.
        after = (alone(answer.first),)
        return (mixing,) if steps is None else after if steps == 0 else (mixing, *after)
    if isinstance(answer, Route) and answer.route.when is not None:
        names = (OWN, answer.route.to)
        return (Phase(names, partial(Routing, answer.route.when, names)),)
    if isinstance(answer, Route) and answer.learnt is not None:
        assert router is not None, "somebody has to have learnt it"
        names = (OWN, answer.route.to)
        return (Phase(names, partial(LearntRouting, router, names)),)
    if isinstance(answer, Lead):
        leader = alone(answer.lead.by)
        return (replace(leader, tokens=answer.lead.tokens, takes=answer.leads), alone(OWN))
    if isinstance(answer, StopBias):
        return (Phase((OWN,), partial(Biased, answer.stop_bias, OWN)),)
    if isinstance(answer, TokenBudget):
        return (Phase((OWN,), partial(Budgeted, answer.budget, OWN)),)
    if isinstance(answer, Force):
        assert token_of is not None
        changes = {token_of(unwanted): token_of(wanted) for unwanted, wanted in answer.force.items()}
        return (Phase((OWN,), partial(Forcing, changes, answer.first, OWN)),)
    if isinstance(answer, Plain | Prefill | Vote | Again | CacheShift):
        return (alone(OWN),)
    if isinstance(answer, Phased):
        return answer.phases()
    raise RunError(f"the engine hf does not know how to write an answer by `{answer.word}`")


def alone(name: str) -> Phase:
    """One model writes to the end."""
    return Phase((name,), partial(Alone, name))


def _continued(request: Request, begun: Answered, tokens: int | None) -> Request:
    """What is left of a request after what was written for it, or the next `tokens` tokens of that."""
    left = request.max_new_tokens - len(begun.completion)
    return Request(
        request.prompt + begun.completion,
        left if tokens is None else min(left, tokens),
        request.seed + (GOING_ON if begun.completion else 0),
        request.stop_repeats,
    )


def _answered(row: Row, names: Sequence[str]) -> Answered:
    """What a row says of itself; every model of its phase went forward once for each of its tokens."""
    count = len(row.written)
    passes = dict.fromkeys(names, count)
    return Answered(tuple(row.written), tuple(row.origins), passes, count + row.in_vain)


def _shared_rules(rules: TokenRules, models: Sequence[Model]) -> TokenRules:
    """The rules within what every model has rows and positions for."""
    rows = [model.get_output_embeddings().weight.shape[0] for model in models]
    contexts = [
        getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        for model in models
    ]
    return replace(
        rules,
        rows=min(rules.rows, *rows),
        context=min([rules.context, *(context for context in contexts if context is not None)]),
    )
