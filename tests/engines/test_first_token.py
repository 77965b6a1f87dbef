"""One model or the other writes all of an answer, by what the own model thinks of its first token."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lrbench.methods.answers import OWN, Route
from tests.engines.lockstep import BEYOND, NO_TOKENS, PROMPTS, alone, answers_by
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
