"""One model or the other writes all of an answer, by what the own model thinks of its first token."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lrbench.methods.answers import OWN, Route
from tests.engines.lockstep import BEYOND, NO_TOKENS, PROMPTS, Ids, alone, answers_by, spelt
from tests.oracles.mixing import read as distribution_of

pytestmark = pytest.mark.usefixtures("refilled")


def by_first(**rule: Any) -> Route:
    return Route.model_validate({"route": {"to": "teacher", "first": rule}})


@pytest.mark.parametrize("signal", ["log_p", "entropy"])
def test_a_first_token_that_no_rule_takes_leaves_the_small_model_and_one_that_all_take_gives_the_large(
    models: dict[str, Any], signal: str
) -> None:
    small, large = alone(models[OWN]), alone(models["teacher"])
    never, always = (answers_by(models, by_first(signal=signal, above=bound)) for bound in (BEYOND, -BEYOND))
    assert [answered.completion for answered in never] == small
    assert [answered.completion for answered in always] == large
    for answered, name in zip(never + always, [OWN] * len(never) + ["teacher"] * len(always), strict=True):
        count = len(answered.completion)
        assert answered.origins == (name,) * count
        assert answered.passes == ({OWN: count + 1} if name == OWN else {OWN: 1, "teacher": count})
        assert answered.written == count


@pytest.mark.parametrize("signal", ["log_p", "entropy"])
def test_answers_go_by_the_distribution_of_their_first_token(models: dict[str, Any], signal: str) -> None:
    values = []
    for prompt in PROMPTS:
        p = [value for value in distribution_of(models[OWN], prompt, 64, NO_TOKENS) if value > 0]
        values.append(math.log(max(p)) if signal == "log_p" else -sum(x * math.log(x) for x in p))
    bound = sorted(values)[len(values) // 2] - 1e-4
    found = answers_by(models, by_first(signal=signal, below=bound))
    expected = ["teacher" if value < bound else OWN for value in values]
    assert [answered.origins[0] for answered in found] == expected
    assert set(expected) == {OWN, "teacher"}


def by_nearest(own: list[str], other: list[str], k: int) -> Route:
    return Route.model_validate({"route": {"to": "teacher", "nearest": {"own": own, "other": other, "k": k}}})


def test_a_question_is_nearest_to_itself(models: dict[str, Any]) -> None:
    texts = [spelt(prompt) for prompt in PROMPTS]
    found = answers_by(models, by_nearest(texts[::2], texts[1::2], k=1))
    assert [answered.origins[0] for answered in found] == [(OWN, "teacher")[n % 2] for n in range(len(texts))]
    own, other = alone(models[OWN]), alone(models["teacher"])
    expected = [(own, other)[n % 2][n] for n in range(len(texts))]
    assert [answered.completion for answered in found] == expected


@pytest.mark.parametrize("k", [2, 3])
def test_most_of_the_nearest_decide_and_of_as_many_the_own_model_writes(
    models: dict[str, Any], k: int
) -> None:
    questions: list[Ids] = [(place, 30, place + 1) for place in range(9, 21)]
    answer = by_nearest([spelt(q) for q in questions[:6]], [spelt(q) for q in questions[6:]], k=k)

    def logs(prompt: Ids) -> list[float]:
        p = distribution_of(models[OWN], prompt, 64, NO_TOKENS)
        return [math.log(value) for token, value in enumerate(p) if token not in NO_TOKENS]

    expected = []
    for prompt in PROMPTS:
        here = logs(prompt)
        away = [math.dist(here, logs(question)) for question in questions]
        nearest = sorted(range(len(questions)), key=lambda place, away=away: away[place])[:k]
        expected.append("teacher" if sum(place >= 6 for place in nearest) * 2 > k else OWN)
    assert [answered.origins[0] for answered in answers_by(models, answer)] == expected
    assert set(expected) == {OWN, "teacher"}
