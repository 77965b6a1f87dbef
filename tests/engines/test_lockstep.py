"""What several models, or rules, write together: equal to definitions, and at their limits to one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lrbench.errors import RunError
from lrbench.methods.answers import (
    ANSWERS,
    OWN,
    Answer,
    Lead,
    Mix,
    Plain,
    Prefill,
    Route,
    StopBias,
    TokenBudget,
    Vote,
)
from lrbench.methods.targets import contrast
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.engines.answered import FORCED, GIVEN, Answered, tally
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.given import GivenEngine
from lrbench.sampling.engines.lockstep import LockstepEngine, Phase
from lrbench.sampling.engines.lockstep import alone as by_itself
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.policies import Mixing, Setting
from lrbench.sampling.engines.rows import Row
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.engines.voting import write_answers
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from tests.oracles.mixing import mixed
from tests.oracles.scoring import kl

Ids = tuple[int, ...]
STOPS = tuple(range(1, 9))
NO_TOKENS = (0, 40, 63)
RULES = TokenRules(STOPS, NO_TOKENS, 256, 64)
TOKENS = 12
PROMPTS: list[Ids] = [
    tuple((7 * place + 5 * row) % 60 + 1 for place in range(2 + 3 * row)) for row in range(7)
]
SEEDS = {OWN: 5, "expert": 5, "amateur": 6, "peer": 7, "tuned": 8, "teacher": 9}
# No divergence or entropy is above it, and every one is above -1.
BEYOND = 1e300


@pytest.fixture(scope="module")
def models(tiny_model: Callable[..., Any]) -> dict[str, Any]:
    """Random models by name; the arm's own is the expert."""
    found = {name: tiny_model(seed=seed) for name, seed in SEEDS.items()}
    return found | {OWN: found["expert"]}


@pytest.fixture(params=[True, False], ids=["refilled", "whole batches"], autouse=True)
def refilled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Every promise holds for both ways of writing."""
    refilled: bool = request.param
    if not refilled:
        monkeypatch.setattr("lrbench.sampling.engines.lockstep.can_refill", lambda _: False)
    return refilled


def answers_by(
    models: dict[str, Any], answer: Answer, prompts: Sequence[Ids] = PROMPTS, batch_size: int = 4
) -> list[Answered]:
    return LockstepEngine(models, answer, RULES, batch_size).answer(prompts, TOKENS)


def written_by(models: dict[str, Any], answer: Answer, batch_size: int = 4) -> list[Ids]:
    return [answered.completion for answered in answers_by(models, answer, batch_size=batch_size)]


def alone(model: Any, prompts: Sequence[Ids] = PROMPTS, tokens: int = TOKENS) -> list[Ids]:
    """What the engine of one model writes."""
    return TransformersEngine(model, RULES, 4).complete(prompts, tokens)


def mix(when: dict[str, Any] | None = None, alpha: float | None = None, **weights: float) -> Mix:
    return Mix.model_validate({"mix": weights, "alpha": alpha, "when": when})


def route(**when: Any) -> Route:
    return Route.model_validate({"route": {"to": "teacher", "when": when}})


def lead(tokens: int | None, share: float = 1.0) -> Lead:
    return Lead.model_validate({"lead": {"by": "teacher", "tokens": tokens, "share": share}})


def budget(**limits: int) -> TokenBudget:
    return TokenBudget.model_validate({"budget": limits})


def test_one_model_writes_what_its_own_engine_writes(models: dict[str, Any]) -> None:
    expected = alone(models[OWN])
    assert len({len(completion) for completion in expected}) > 2
    for answer in (Plain(), Prefill(prefill=""), Vote(vote=1)):
        assert written_by(models, answer) == expected


def test_every_answer_is_known_to_the_engine() -> None:
    assert {type(answer) for answer in KNOWN} == set(ANSWERS)


KNOWN: list[Answer] = [
    Plain(),
    Prefill(prefill=""),
    Vote(vote=1),
    mix(alpha=0.2, expert=1, amateur=-1),
    mix({"signal": "kl", "above": 2.5}, expert=1, amateur=-1),
    mix({"signal": "step", "below": 3}, expert=1, amateur=-1),
    mix(peer=1, tuned=1, expert=-1),
    route(signal="entropy", above=2.8),
    lead(tokens=3, share=0.5),
    StopBias(stop_bias=1.5),
    budget(at_least=5, at_most=8),
]


@pytest.mark.parametrize("answer", KNOWN, ids=lambda answer: answer.label)
def test_every_token_has_an_origin_and_what_it_took_is_counted(
    models: dict[str, Any], answer: Answer
) -> None:
    for answered in answers_by(models, answer):
        count = len(answered.completion)
        assert len(answered.origins) == answered.written == count > 0
        assert set(answered.passes) <= answer.models
        assert all(0 < passes <= count for passes in answered.passes.values())


@pytest.mark.parametrize("answer", KNOWN, ids=lambda answer: answer.label)
def test_rows_are_the_same_whatever_is_written_beside_them(models: dict[str, Any], answer: Answer) -> None:
    assert answers_by(models, answer, batch_size=1) == answers_by(models, answer)


class Relay(Answer):
    """A package's own answer: the teacher writes two tokens, the peer all others."""

    word: ClassVar[str] = "relay"

    relay: str

    def phases(self) -> tuple[Phase, ...]:
        return (replace(by_itself("teacher"), tokens=2), by_itself(self.relay))


def test_an_answer_of_another_package_says_how_it_is_written(models: dict[str, Any]) -> None:
    for prompt, answered in zip(PROMPTS, answers_by(models, Relay(relay="peer")), strict=True):
        begun = alone(models["teacher"], [prompt], 2)[0]
        assert answered.completion[:2] == begun
        assert answered.origins[2:] == ("peer",) * (len(answered.completion) - len(begun))


def test_an_answer_that_nobody_can_write_is_refused(models: dict[str, Any]) -> None:
    class Silent(Answer):
        word: ClassVar[str] = "silent"

    with pytest.raises(RunError, match="does not know how to write an answer by `silent`"):
        LockstepEngine(models, Silent(), RULES, 4)


# ---- mixtures


@pytest.mark.parametrize("alpha", [None, 0.1, 0.5])
@pytest.mark.parametrize(
    "weights",
    [
        {"expert": 1, "amateur": -1},
        {"expert": 1.5, "amateur": -0.5},
        {"peer": 1, "tuned": 1, "expert": -1},
        {"peer": 0.5, "teacher": 0.5},
    ],
    ids=str,
)
def test_a_mixture_is_the_weighted_sum_over_plausible_tokens(
    models: dict[str, Any], weights: dict[str, float], alpha: float | None
) -> None:
    read = {name: models[name] for name in weights}
    expected = [
        mixed(read, weights, prompt, TOKENS, STOPS, unused=NO_TOKENS, alpha=alpha) for prompt in PROMPTS
    ]
    assert written_by(models, mix(alpha=alpha, **weights)) == expected


@pytest.mark.parametrize("bound", [2.2, 3.0])
def test_a_gated_mixture_is_mixed_where_the_rule_holds(models: dict[str, Any], bound: float) -> None:
    pair = {name: models[name] for name in ("expert", "amateur")}
    expected = [
        mixed(
            pair,
            {"expert": 1, "amateur": -1},
            prompt,
            TOKENS,
            STOPS,
            unused=NO_TOKENS,
            alpha=0.2,
            rule=lambda p, _: kl(p["expert"], p["amateur"]) > bound,
        )
        for prompt in PROMPTS
    ]
    found = answers_by(models, mix({"signal": "kl", "above": bound}, 0.2, expert=1, amateur=-1))
    assert [answered.completion for answered in found] == expected
    assert set(tally(found).origins) == {"mix", "expert"}


class Remembering(Mixing):
    """Keeps the distribution (V,) of every step of every row."""

    def __init__(self, answer: Mix, setting: Setting) -> None:
        super().__init__(answer, setting)
        self.found: dict[tuple[int, int], np.ndarray] = {}
        self._rows: Sequence[Row] = ()

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        self._rows = rows
        return super().next_tokens(logits, rows)

    def mixture(self, log_ps: Sequence[Tensor]) -> Tensor:
        mixed_BV = super().mixture(log_ps)
        for row, p_V in zip(self._rows, mixed_BV.softmax(-1).numpy(), strict=True):
            self.found[row.index, len(row.written)] = p_V
        return mixed_BV


def remembered(
    engine: LockstepEngine, prompts: Sequence[Ids], tokens: int
) -> tuple[list[Rollout], dict[tuple[int, int], np.ndarray]]:
    """The rollouts that a mixture writes, and its distributions by rollout and step."""
    policies: list[Remembering] = []
    (phase,) = engine.phases
    answer = phase.policy.args[0]  # type: ignore[attr-defined]

    def policy(setting: Setting) -> Remembering:
        policies.append(Remembering(answer, setting))
        return policies[-1]

    engine.phases = (type(phase)(phase.names, policy),)
    # The engine reads the longest prompts first, and numbers rows as they were given.
    completions = engine.complete(prompts, tokens)
    rollouts = [
        Rollout(str(index), 0, prompt, completion)
        for index, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
    ]
    (policy_used,) = policies
    return rollouts, policy_used.found


def assert_is_the_target(
    rollouts: list[Rollout],
    found: dict[tuple[int, int], np.ndarray],
    pair: LoadedPair,
    alpha: float,
    tolerance: float,
) -> None:
    scores = score_rollouts(pair, rollouts, alpha_min=0.05)
    targets = contrast(scores, np.ones(len(scores), dtype=bool), alpha)
    assert len(targets) == len(found) == sum(rollout.steps for rollout in rollouts)
    for place, (rollout, step) in enumerate(zip(scores.rollout, scores.step, strict=True)):
        part = slice(targets.offsets[place], targets.offsets[place + 1])
        dense = np.zeros(pair.vocabulary.size)
        dense[targets.ids[part]] = targets.weights[part]
        np.testing.assert_allclose(found[rollout, step], dense, atol=tolerance)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0])
def test_contrastive_decoding_writes_from_the_contrast_target_of_every_step(
    models: dict[str, Any], alpha: float
) -> None:
    engine = LockstepEngine(models, mix(alpha=alpha, expert=1, amateur=-1), RULES, 4)
    rollouts, found = remembered(engine, PROMPTS, TOKENS)
    vocabulary = SharedVocabulary(64, NO_TOKENS, "tiny")
    pair = LoadedPair(models["expert"], models["amateur"], vocabulary)
    # Logits of a row that has a cache beside other rows are rounded otherwise than those of whole rollouts.
    assert_is_the_target(rollouts, found, pair, alpha, tolerance=5e-6)


def test_an_amateur_that_is_the_expert_leaves_the_plausible_tokens_equal_and_the_lowest_is_taken(
    models: dict[str, Any],
) -> None:
    same = models | {"amateur": models["expert"]}
    engine = LockstepEngine(same, mix(alpha=0.2, expert=1, amateur=-1), RULES, 4)
    rollouts, found = remembered(engine, PROMPTS, TOKENS)
    several = 0
    for (rollout, step), p_V in found.items():
        (plausible,) = np.nonzero(p_V)
        several += len(plausible) > 1
        np.testing.assert_allclose(p_V[plausible], 1 / len(plausible), atol=1e-6)
        assert rollouts[rollout].completion_ids[step] == plausible[0]
    assert several > 5


@pytest.mark.parametrize("alpha", [None, 0.2])
def test_an_amateur_without_weight_leaves_the_base(models: dict[str, Any], alpha: float | None) -> None:
    found = answers_by(models, mix(alpha=alpha, expert=1.5, amateur=0))
    assert [answered.completion for answered in found] == alone(models["expert"])
    assert set(tally(found).passes) == {"expert"}


def test_where_only_the_likeliest_token_is_plausible_the_base_is_left(models: dict[str, Any]) -> None:
    assert written_by(models, mix(alpha=1.0, expert=1, amateur=-1)) == alone(models["expert"])


def test_a_gate_that_is_always_open_changes_nothing_and_one_that_never_is_leaves_the_base(
    models: dict[str, Any],
) -> None:
    ungated = written_by(models, mix(alpha=0.2, expert=1, amateur=-1))
    assert ungated != alone(models["expert"])
    always, never = (
        answers_by(models, mix({"signal": "kl", "above": bound}, 0.2, expert=1, amateur=-1))
        for bound in (0.0, BEYOND)
    )
    assert [answered.completion for answered in always] == ungated
    assert [answered.completion for answered in never] == alone(models["expert"])
    assert set(tally(never).origins) == {"expert"}


def test_what_is_mixed_in_the_first_steps_alone_reads_the_amateur_there_alone(models: dict[str, Any]) -> None:
    answer = mix({"signal": "step", "below": 2}, 0.2, expert=1, amateur=-1)
    pair = {name: models[name] for name in ("expert", "amateur")}
    expected = [
        mixed(
            pair,
            {"expert": 1, "amateur": -1},
            prompt,
            TOKENS,
            STOPS,
            unused=NO_TOKENS,
            alpha=0.2,
            rule=lambda _, step: step < 2,
        )
        for prompt in PROMPTS
    ]
    found = answers_by(models, answer)
    assert [answered.completion for answered in found] == expected
    assert all(answered.passes["amateur"] <= 2 for answered in found)
    assert all(answered.passes["expert"] == len(answered.completion) for answered in found)
    never = mix({"signal": "step", "below": 0}, 0.2, expert=1, amateur=-1)
    assert written_by(models, never) == alone(models["expert"])
    # From the third step on is what is left.
    later = mix({"signal": "step", "above": 1}, 0.2, expert=1, amateur=-1)
    assert [ids[:2] for ids in written_by(models, later)] == [ids[:2] for ids in alone(models["expert"])]


def test_a_skill_that_was_not_learnt_moves_nothing(models: dict[str, Any]) -> None:
    peer = alone(models["peer"])
    assert written_by(models, mix(peer=1, tuned=0, expert=0)) == peer
    untuned = models | {"tuned": models["expert"]}
    assert written_by(untuned, mix(peer=1, tuned=1, expert=-1)) == peer


def test_a_skill_that_moves_to_the_model_it_was_learnt_from_gives_the_tuned_one(
    models: dict[str, Any],
) -> None:
    same = models | {"peer": models["expert"]}
    found = written_by(same, mix(peer=1, tuned=1, expert=-1))
    assert found == alone(models["tuned"])
    assert found != alone(models["expert"])


@cache
def trio(build: Callable[..., Any]) -> dict[str, Any]:
    return {name: build(seed=SEEDS[name]) for name in ("expert", "amateur", "peer")}


@settings(max_examples=12)
@given(
    weights=st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]), min_size=3, max_size=3),
    alpha=st.sampled_from([None, 0.05, 0.2, 0.9]),
    prompt=st.lists(st.integers(1, 60), min_size=1, max_size=20).map(tuple),
    bound=st.sampled_from([None, 2.2, 3.0]),
)
def test_any_mixture_is_as_defined(
    tiny_model: Callable[..., Any],
    weights: list[float],
    alpha: float | None,
    prompt: Ids,
    bound: float | None,
) -> None:
    models = trio(tiny_model)
    named = dict(zip(models, weights, strict=True))
    when = None if bound is None else {"signal": "kl", "above": bound}
    engine = LockstepEngine(models, mix(when, alpha, **named), RULES, 4)
    (found,) = engine.complete([prompt], 6)
    assert found == mixed(
        models,
        named,
        prompt,
        6,
        STOPS,
        unused=NO_TOKENS,
        alpha=alpha,
        rule=lambda p, _: bound is None or kl(p["expert"], p["amateur"]) > bound,
    )


# ---- one model after the other, or instead of it


def test_a_route_that_nothing_takes_is_the_small_model_and_one_that_all_take_the_large(
    models: dict[str, Any],
) -> None:
    small, large = alone(models[OWN]), alone(models["teacher"])
    assert small != large
    assert written_by(models, route(signal="entropy", above=BEYOND)) == small
    assert written_by(models, route(signal="entropy", above=-1.0)) == large
    assert written_by(models, route(signal="disagree", above=0.0)) == large


def test_tokens_come_from_the_model_they_were_routed_to(models: dict[str, Any]) -> None:
    pair = {OWN: models[OWN], "teacher": models["teacher"]}
    found = answers_by(models, route(signal="kl", above=2.8))
    assert set(tally(found).origins) == {OWN, "teacher"}
    for prompt, answered in zip(PROMPTS, found, strict=True):
        for step, (token, origin) in enumerate(zip(answered.completion, answered.origins, strict=True)):
            prefix = prompt + answered.completion[:step]
            assert mixed(pair, {origin: 1}, prefix, 1, STOPS, unused=NO_TOKENS) == (token,)
        assert answered.passes == {OWN: len(answered.completion), "teacher": len(answered.completion)}


def test_who_leads_no_answer_writes_nothing_and_who_leads_to_the_end_writes_all(
    models: dict[str, Any],
) -> None:
    assert written_by(models, lead(tokens=15, share=0.0)) == alone(models[OWN])
    for tokens in (None, TOKENS):
        led = answers_by(models, lead(tokens))
        assert [answered.completion for answered in led] == alone(models["teacher"])
        assert set(tally(led).passes) == {"teacher"}


@pytest.mark.parametrize("tokens", [1, 4])
def test_a_leader_writes_the_first_tokens_and_the_follower_goes_on(
    models: dict[str, Any], tokens: int
) -> None:
    led = alone(models["teacher"], tokens=tokens)
    for prompt, begun, answered in zip(PROMPTS, led, answers_by(models, lead(tokens)), strict=True):
        expected = begun
        if len(begun) == tokens and begun[-1] not in STOPS:
            (rest,) = alone(models[OWN], [prompt + begun], TOKENS - tokens)
            expected += rest
        assert answered.completion == expected
        own = len(expected) - len(begun)
        assert answered.origins == ("teacher",) * len(begun) + (OWN,) * own
        assert answered.passes == {"teacher": len(begun)} | ({OWN: own} if own else {})


def test_a_share_of_the_answers_is_led(models: dict[str, Any]) -> None:
    answer = lead(tokens=None, share=0.5)
    takes = [answer.leads(prompt) for prompt in PROMPTS]
    assert len(set(takes)) == 2
    expected = zip(takes, alone(models["teacher"]), alone(models[OWN]), strict=True)
    assert written_by(models, answer) == [led if taken else own for taken, led, own in expected]


# ---- rules over one model


def test_no_bias_leaves_the_base(models: dict[str, Any]) -> None:
    found = answers_by(models, StopBias(stop_bias=0.0))
    assert [answered.completion for answered in found] == alone(models[OWN])
    assert set(tally(found).origins) == {OWN}


def test_a_strong_bias_ends_answers_at_once_or_never(models: dict[str, Any]) -> None:
    at_once = answers_by(models, StopBias(stop_bias=100.0))
    assert all(len(a.completion) == 1 and a.completion[0] in STOPS for a in at_once)
    assert FORCED in tally(at_once).origins
    never = answers_by(models, StopBias(stop_bias=-100.0))
    assert all(len(answered.completion) == TOKENS for answered in never)


def test_an_answer_is_as_long_as_its_budget_says(models: dict[str, Any]) -> None:
    free = alone(models[OWN])
    assert min(map(len, free)) < 5
    assert max(map(len, free)) > 8
    for own, answered in zip(free, answers_by(models, budget(at_least=5, at_most=8)), strict=True):
        assert 5 <= len(answered.completion) <= 8
        assert answered.completion[-1] in STOPS
        if 5 <= len(own) <= 8:
            assert answered.completion == own
            assert set(answered.origins) == {OWN}
        else:
            # Up to where the budget has a say, and there it has.
            place = len(own) - 1 if len(own) < 5 else 7
            assert answered.completion[:place] == own[:place]
            assert answered.origins[place] == FORCED


def test_a_budget_that_asks_for_nothing_leaves_the_base(models: dict[str, Any]) -> None:
    assert written_by(models, budget(at_least=1)) == alone(models[OWN])
    unbounded = written_by(models, budget(at_least=TOKENS + 1))
    assert all(len(ids) == TOKENS and set(ids).isdisjoint(STOPS) for ids in unbounded)


def test_a_budget_needs_a_token_that_ends_an_answer(models: dict[str, Any]) -> None:
    rules = TokenRules((), (), 256, 64)
    with pytest.raises(RunError, match="no token that ends one"):
        LockstepEngine(models, budget(at_most=3), rules, 2).complete(PROMPTS, TOKENS)


# ---- given texts and votes, by any engine


@pytest.mark.parametrize("of_rules", [False, True])
def test_given_tokens_begin_every_answer_and_count_among_its_tokens(
    models: dict[str, Any], of_rules: bool
) -> None:
    engine = (
        LockstepEngine(models, Prefill(prefill="so"), RULES, 4)
        if of_rules
        else TransformersEngine(models[OWN], RULES, 4)
    )
    found = GivenEngine(engine, (20, 21)).answer(PROMPTS, TOKENS)
    rest = alone(models[OWN], [(*prompt, 20, 21) for prompt in PROMPTS], TOKENS - 2)
    assert [answered.completion for answered in found] == [(20, 21, *ids) for ids in rest]
    for answered in found:
        assert answered.origins == (GIVEN, GIVEN) + (OWN,) * (len(answered.completion) - 2)
        assert answered.passes == {OWN: len(answered.completion) - 2}
    assert GivenEngine(engine, ()).complete(PROMPTS, TOKENS) == alone(models[OWN])


def test_given_tokens_that_leave_no_room_are_cut_short(models: dict[str, Any]) -> None:
    engine = GivenEngine(TransformersEngine(models[OWN], RULES, 4), (20, 21, 22))
    assert engine.complete(PROMPTS, 2) == [(20, 21)] * len(PROMPTS)
    (answered,) = engine.answer(PROMPTS[:1], 3)
    assert answered == Answered((20, 21, 22), (GIVEN,) * 3)


def last(completion: Ids) -> str | None:
    """What a completion says: its last token, where that is even."""
    return str(completion[-1]) if completion and completion[-1] % 2 == 0 else None


@pytest.mark.parametrize("of_rules", [False, True])
def test_a_vote_takes_the_first_sample_of_the_majority_and_counts_them_all(
    models: dict[str, Any], of_rules: bool
) -> None:
    answer = Vote(vote=5)
    engine = (
        LockstepEngine(models, answer, RULES, 4) if of_rules else TransformersEngine(models[OWN], RULES, 4)
    )
    found = write_answers(engine, answer, PROMPTS, TOKENS, last)
    for prompt, answered in zip(PROMPTS, found, strict=True):
        samples = TransformersEngine(models[OWN], RULES, 4).complete(
            [prompt] * 5, TOKENS, 1.0, answer.seeds(prompt)
        )
        said = [last(sample) for sample in samples]
        counts = {word: said.count(word) for word in said if word is not None}
        best = max(counts.values(), default=0)
        winner = next((i for i, word in enumerate(said) if word and counts[word] == best), 0)
        assert answered.completion == samples[winner]
        assert answered.written == sum(map(len, samples)) == answered.passes[OWN]


def test_a_vote_of_one_is_one_sample(models: dict[str, Any]) -> None:
    engine = TransformersEngine(models[OWN], RULES, 4)
    found = write_answers(engine, Vote(vote=1), PROMPTS, TOKENS, last)
    seeds = [Vote(vote=1).seeds(prompt)[0] for prompt in PROMPTS]
    assert [answered.completion for answered in found] == engine.complete(PROMPTS, TOKENS, 1.0, seeds)


def test_any_other_answer_is_written_once(models: dict[str, Any]) -> None:
    engine = LockstepEngine(models, budget(at_least=2), RULES, 4)
    assert write_answers(engine, budget(at_least=2), PROMPTS, TOKENS, last) == engine.answer(PROMPTS, TOKENS)


# ---- models of different sizes, sampling, memory


def widened(model: Any, rows: int) -> Any:
    """The same model with another number of output rows, whose favourites are the last of them."""
    model.resize_token_embeddings(rows, mean_resizing=False)
    return model.requires_grad_(False)


def test_ids_that_one_of_the_models_has_no_row_for_are_never_chosen(tiny_model: Callable[..., Any]) -> None:
    models = {"expert": tiny_model(seed=5), "amateur": widened(tiny_model(seed=6), 48)}
    models["peer"] = widened(tiny_model(seed=7), 96)
    prompts = [tuple(token % 48 for token in prompt) for prompt in PROMPTS]
    found = LockstepEngine(models, mix(expert=1, amateur=-1, peer=0.5), RULES, 4).complete(prompts, TOKENS)
    assert max(map(max, found)) < 48
    assert found == [
        mixed(
            models,
            {"expert": 1, "amateur": -1, "peer": 0.5},
            prompt,
            TOKENS,
            STOPS,
            size=48,
            unused=tuple(token for token in NO_TOKENS if token < 48),
        )
        for prompt in prompts
    ]
    with pytest.raises(RunError, match="token 50, and the model has rows for tokens up to 47"):
        LockstepEngine(models, mix(expert=1, amateur=-1), RULES, 4).complete([(50,)], TOKENS)


def test_an_answer_ends_where_the_shortest_context_is_full(
    models: dict[str, Any], tiny_model: Callable[..., Any]
) -> None:
    short = tiny_model(seed=6)
    short.config.max_position_embeddings = 30
    endless = TokenRules((), NO_TOKENS, 256, 64)
    engine = LockstepEngine(models | {"amateur": short}, mix(expert=1, amateur=-1), endless, 4)
    found = engine.complete(PROMPTS, 40)
    assert {len(prompt) + len(ids) for prompt, ids in zip(PROMPTS, found, strict=True)} == {30}


@pytest.mark.parametrize("answer", KNOWN, ids=lambda answer: answer.label)
def test_samples_are_rows_own_and_repeat(models: dict[str, Any], answer: Answer) -> None:
    seeds = [11 * place for place in range(len(PROMPTS))]
    one, other = (
        LockstepEngine(models, answer, RULES, size).complete(PROMPTS, TOKENS, 1.0, seeds) for size in (3, 9)
    )
    assert one == other != written_by(models, answer)


def test_what_goes_on_after_a_leader_is_not_sampled_with_the_same_noise(models: dict[str, Any]) -> None:
    same = models | {"teacher": models[OWN]}
    engine = LockstepEngine(same, lead(tokens=1), RULES, 4)
    led = engine.complete(PROMPTS, TOKENS, 1.0, [3] * len(PROMPTS))
    plain = TransformersEngine(models[OWN], RULES, 4).complete(PROMPTS, TOKENS, 1.0, [3] * len(PROMPTS))
    assert [ids[:1] for ids in led] == [ids[:1] for ids in plain]
    assert led != plain


def test_rows_that_do_not_fit_into_memory_are_halved_for_all_models(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = mix(alpha=0.2, expert=1, amateur=-1)
    expected = answers_by(models, answer)
    real = models["amateur"].forward

    def forward(*arguments: Any, **options: Any) -> Any:
        if len(options["input_ids"]) > 2:
            raise torch.OutOfMemoryError
        return real(*arguments, **options)

    monkeypatch.setattr(models["amateur"], "forward", forward)
    engine = LockstepEngine(models, answer, RULES, 4)
    assert engine.answer(PROMPTS, TOKENS) == expected
    assert engine.batch_size == 2


def test_the_batch_size_is_found_for_all_models_together(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.sampling.engines.lockstep.rows_that_fit", lambda *_: 6)
    sizes: list[int] = []
    real = models["expert"].forward

    def forward(*arguments: Any, **options: Any) -> Any:
        sizes.append(len(options["input_ids"]))
        return real(*arguments, **options)

    monkeypatch.setattr(models["expert"], "forward", forward)
    engine = LockstepEngine(models, mix(expert=1, amateur=-1), RULES, "auto")
    found = engine.complete(PROMPTS, TOKENS)
    assert max(sizes) == 3
    assert found == written_by(models, mix(expert=1, amateur=-1))


def test_padding_is_counted_once_for_models_that_read_the_same(models: dict[str, Any]) -> None:
    padding = Padding()
    engine = LockstepEngine(models, mix(expert=1, amateur=-1), RULES, 1, padding)
    found = engine.complete(PROMPTS, TOKENS)
    needed = sum(len(prompt) + len(ids) - 1 for prompt, ids in zip(PROMPTS, found, strict=True))
    assert padding.computed == padding.needed == needed
