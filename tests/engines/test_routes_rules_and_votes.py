"""One model after the other, rules over one, given texts and votes: at their limits equal to one model."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lrbench.errors import RunError
from lrbench.methods.answers import (
    OWN,
    Force,
    Prefill,
    StopBias,
    Vote,
)
from lrbench.sampling.engines.answered import FORCED, GIVEN, Answered, tally
from lrbench.sampling.engines.base import Decoding, TokenRules
from lrbench.sampling.engines.given import GivenEngine
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.engines.voting import write_answers
from tests.engines.lockstep import (
    BEYOND,
    NO_TOKENS,
    PROMPTS,
    RULES,
    STOPS,
    TOKENS,
    alone,
    answers_by,
    budget,
    last,
    lead,
    route,
    written_by,
)
from tests.oracles.mixing import mixed

pytestmark = pytest.mark.usefixtures("refilled")


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


def test_a_token_is_forced_in_place_of_another_at_the_first_places_of_an_answer(
    models: dict[str, Any],
) -> None:
    usual = Counter(token for completion in alone(models[OWN]) for token in completion if token not in STOPS)
    unwanted, wanted = (token for token, _ in usual.most_common(2))
    changes = {str(unwanted): str(wanted)}
    forced = 0
    for first in (1, 2, None):
        for prompt, answered in zip(
            PROMPTS, answers_by(models, Force(force=changes, first=first)), strict=True
        ):
            written: list[int] = []
            for token, origin in zip(answered.completion, answered.origins, strict=True):
                (own,) = alone(models[OWN], [(*prompt, *written)], tokens=1)[0]
                open_yet = first is None or sum(each in (unwanted, wanted) for each in written) < first
                expected = wanted if own == unwanted and open_yet else own
                assert token == expected
                assert origin == (OWN if token == own else FORCED)
                forced += origin == FORCED
                written.append(token)
    assert forced > 5


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
            [prompt] * 5, TOKENS, Decoding(1.0), answer.seeds(prompt)
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
    sampled = engine.complete(PROMPTS, TOKENS, Decoding(1.0), seeds)
    assert [answered.completion for answered in found] == sampled


def test_any_other_answer_is_written_once(models: dict[str, Any]) -> None:
    engine = LockstepEngine(models, budget(at_least=2), RULES, 4)
    assert write_answers(engine, budget(at_least=2), PROMPTS, TOKENS, last) == engine.answer(PROMPTS, TOKENS)
