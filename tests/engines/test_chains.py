"""One model plans, another one answers: with nothing planned it is the one that answers, by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from lrbench.errors import RunError
from lrbench.methods.answers import OWN, majority
from lrbench.sampling.engines.answered import GIVEN, tally
from lrbench.sampling.engines.base import Decoding, TokenRules
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.engines.lockstep import (
    NO_TOKENS,
    PROMPTS,
    RULES,
    SPEECH,
    STOPS,
    TOKENS,
    Ids,
    alone,
    answers_by,
    chain,
    last,
    spelt,
    written_by,
)

pytestmark = pytest.mark.usefixtures("refilled")
# What closes a question in the tests that have it closed.
CLOSING = (50, 51)


@pytest.fixture(scope="module")
def silent(models: dict[str, Any], tiny_model: Any) -> dict[str, Any]:
    """The models, and one that ends all that it is asked to write: tokens are alike to it, and 1 is first."""
    model = tiny_model(seed=3)
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    return models | {"silent": model}


def planned(models: dict[str, Any], prompts: list[Ids], tokens: int) -> list[Ids]:
    """What the teacher plans, without what ends it."""
    return [
        tuple(token for token in plan if token not in STOPS)
        for plan in alone(models["teacher"], prompts, tokens)
    ]


@pytest.mark.parametrize("settings", [{}, {"place": "answer"}, {"ask": "30 31"}, {"tell": "30 {plan}"}])
def test_a_planner_that_writes_nothing_leaves_who_answers_alone(
    silent: dict[str, Any], settings: dict[str, Any]
) -> None:
    found = answers_by(silent, chain("silent", OWN, **settings))
    assert [answered.completion for answered in found] == alone(silent[OWN])
    for answered in found:
        count = len(answered.completion)
        assert answered.origins == (OWN,) * count
        assert answered.passes == {OWN: count, "silent": 1}
        assert answered.written == count + 1


def test_a_plan_stands_in_the_question_as_the_template_has_it(models: dict[str, Any]) -> None:
    closed = replace(SPEECH, closing=CLOSING)
    prompts = [prompt + CLOSING for prompt in PROMPTS]
    answer = chain("teacher", OWN, ask="20 21", tell="30 {plan} 31", tokens=5)
    found = LockstepEngine(models, answer, RULES, 4, speech=closed).answer(prompts, TOKENS)
    asked = [(*prompt, 20, 21, *CLOSING) for prompt in PROMPTS]
    plans = planned(models, asked, 5)
    assert any(plans)
    told = [
        (*prompt, 30, *plan, 31, *CLOSING) if plan else prompt + CLOSING
        for prompt, plan in zip(PROMPTS, plans, strict=True)
    ]
    assert [answered.completion for answered in found] == alone(models[OWN], told)
    assert set(tally(found).origins) == {OWN}
    for answered, plan in zip(found, plans, strict=True):
        assert answered.passes[OWN] == len(answered.completion)
        assert len(plan) <= answered.passes["teacher"] == answered.written - len(answered.completion)


def test_an_answer_may_begin_with_its_plan(models: dict[str, Any]) -> None:
    found = answers_by(models, chain("teacher", OWN, place="answer", tell="30 {plan} 31", tokens=4))
    for prompt, plan, answered in zip(PROMPTS, planned(models, PROMPTS, 4), found, strict=True):
        begun = (30, *plan, 31) if plan else ()
        (rest,) = alone(models[OWN], [prompt + begun], TOKENS - len(begun))
        assert answered.completion == begun + rest
        who = (GIVEN, *("teacher",) * len(plan), GIVEN) if plan else ()
        assert answered.origins == who + (OWN,) * len(rest)


def test_a_plan_that_fills_the_answer_is_cut_where_that_is_full(models: dict[str, Any]) -> None:
    endless = TokenRules((), NO_TOKENS, 256, 64)
    answer = chain("teacher", OWN, place="answer", tell="30 {plan} 31")
    found = LockstepEngine(models, answer, endless, 4, speech=SPEECH).answer(PROMPTS, TOKENS)
    assert {len(answered.completion) for answered in found} == {TOKENS}
    assert set(tally(found).origins) == {GIVEN, "teacher"}


def test_a_plan_leaves_half_of_the_context(models: dict[str, Any]) -> None:
    narrow = TokenRules((), NO_TOKENS, 30, 64)
    engine = LockstepEngine(models, chain("teacher", OWN), narrow, 4, speech=SPEECH)
    for prompt, answered in zip(PROMPTS, engine.answer(PROMPTS, 40), strict=True):
        planned_tokens = answered.passes["teacher"]
        assert planned_tokens == (30 - len(prompt)) // 2
        assert len(answered.completion) == 30 - len(prompt) - planned_tokens


def test_a_prompt_that_ends_otherwise_cannot_be_added_to(models: dict[str, Any]) -> None:
    closed = replace(SPEECH, closing=CLOSING)
    engine = LockstepEngine(models, chain("teacher", OWN, ask="20"), RULES, 4, speech=closed)
    with pytest.raises(RunError, match="nobody can say where the question ends"):
        engine.answer(PROMPTS, TOKENS)


# ---- until another model agrees


def test_one_round_without_agreement_is_the_chain_or_what_alone_has_an_answer(
    models: dict[str, Any],
) -> None:
    found = answers_by(models, chain("teacher", OWN, tokens=3, agree={"by": "peer", "rounds": 1}))
    chained, other = written_by(models, chain("teacher", OWN, tokens=3)), alone(models["peer"])
    for answered, one, another in zip(found, chained, other, strict=True):
        assert answered.completion == (another if last(one) is None and last(another) is not None else one)


def test_who_agrees_with_itself_ends_at_once(silent: dict[str, Any]) -> None:
    answer = chain("silent", OWN, agree={"by": OWN, "rounds": 4})
    told = replace(SPEECH, read=spelt)
    found = LockstepEngine(silent, answer, RULES, 4, speech=told).answer(PROMPTS, TOKENS)
    assert [answered.completion for answered in found] == alone(silent[OWN])
    assert all(answered.passes["silent"] == 1 for answered in found)


def halves(completion: Ids) -> str | None:
    """What a completion says where two say the same half of the time: whether it is of odd length."""
    return None if completion[-1] == STOPS[0] else str(len(completion) % 2)


def test_rounds_end_with_the_first_in_which_both_say_the_same(models: dict[str, Any]) -> None:
    answer = chain("teacher", OWN, tokens=3, agree={"by": "peer", "rounds": 3})
    assert answer.agree is not None
    told = replace(SPEECH, read=halves)
    found = LockstepEngine(models, answer, RULES, 4, speech=told).answer(PROMPTS, TOKENS)
    once = LockstepEngine(models, chain("teacher", OWN, tokens=3), RULES, 1, speech=told)
    other = TransformersEngine(models["peer"], RULES, 1)
    rounds = []
    for prompt, answered in zip(PROMPTS, found, strict=True):
        written: list[Ids] = []
        took = 0
        for number, (one_seed, other_seed) in enumerate(answer.agree.seeds(n, prompt) for n in range(3)):
            decoding = Decoding(1.0) if number else Decoding()
            (one,) = once.answer([prompt], TOKENS, decoding, [one_seed])
            written += [one.completion, *other.complete([prompt], TOKENS, decoding, [other_seed])]
            took += one.written + len(written[-1])
            agree = halves(written[-1]) is not None and halves(written[-1]) == halves(written[-2])
            if agree:
                break
        rounds.append(number)
        expected = written[-2] if agree else written[majority(list(map(halves, written)))]
        assert (answered.completion, answered.written) == (expected, took)
    assert len(set(rounds)) > 1
