"""Mixtures of models, contrastive decoding first: as defined, and at their limits one model alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lrbench.methods.answers import (
    Mix,
)
from lrbench.methods.targets import contrast
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.engines.answered import tally
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.policies import Mixing, Setting
from lrbench.sampling.engines.rows import Row
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from tests.engines.lockstep import (
    BEYOND,
    NO_TOKENS,
    PROMPTS,
    RULES,
    SEEDS,
    STOPS,
    TOKENS,
    Ids,
    alone,
    answers_by,
    mix,
    written_by,
)
from tests.oracles.mixing import mixed
from tests.oracles.scoring import kl

pytestmark = pytest.mark.usefixtures("refilled")


def contrasted(models: dict[str, Any], rule: Callable[[Any, int], bool]) -> list[Any]:
    """The oracle's contrastive decoding of the prompts, where the rule holds of distributions and step."""
    pair = {name: models[name] for name in ("expert", "amateur")}
    weights = {"expert": 1, "amateur": -1}
    return [
        mixed(pair, weights, prompt, TOKENS, STOPS, unused=NO_TOKENS, alpha=0.2, rule=rule)
        for prompt in PROMPTS
    ]


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
    expected = contrasted(models, lambda p, _: kl(p["expert"], p["amateur"]) > bound)
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
    expected = contrasted(models, lambda _, step: step < 2)
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
