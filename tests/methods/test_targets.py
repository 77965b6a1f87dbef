"""Targets besides the contrast: flat, soft of a model, and weighted parts of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.readings import PAIR
from lrbench.methods.targets import Contrast, Mixture, OwnToken, Plausible, Soft, Target, Targets
from lrbench.sampling.scores import Scores
from tests.sampling.strategies import distributions, scores_of

Steps = list[tuple[NDArray[Any], NDArray[Any]]]


def learnt(target: Target, scores: Scores) -> Targets:
    """What the target is at all steps of `scores`, where every rollout wrote the expert's first choice."""
    kept = np.ones(len(scores), dtype=bool)
    return target.completed(0.2).distributions(scores.top1_expert, kept, {PAIR: scores})


def same(first: Targets, second: Targets) -> bool:
    return (
        np.array_equal(first.offsets, second.offsets)
        and np.array_equal(first.ids, second.ids)
        and np.allclose(first.weights, second.weights, atol=1e-6)
    )


def mixture(*parts: dict[str, Any]) -> Target:
    written = {"source": "greedy", "selector": "all", "target": list(parts)}
    return Ingredients.model_validate(written).target


@given(distributions(), distributions())
def test_a_flat_target_is_the_same_whatever_the_amateur_thinks(steps: Steps, others: Steps) -> None:
    count = min(len(steps), len(others))
    swapped = [(expert, amateur) for (expert, _), (_, amateur) in zip(steps, others, strict=False)]
    first, second = (learnt(Plausible(), scores_of(each, 0.05)) for each in (steps[:count], swapped))
    assert same(first, second)
    assert np.allclose(np.add.reduceat(first.weights, first.offsets[:-1]), 1, atol=1e-6)


@given(distributions())
def test_a_soft_target_at_temperature_1_is_the_models_own_distribution(steps: Steps) -> None:
    # Stored down to next to nothing, so that what is left out does not count.
    scores = scores_of(steps, 1e-4)
    found = learnt(Soft(use="soft", temperature=1.0), scores)
    for place, (expert, _) in enumerate(steps):
        span = slice(found.offsets[place], found.offsets[place + 1])
        own = np.exp(expert.astype(np.float64))[found.ids[span]]
        assert found.weights[span] == pytest.approx(own / own.sum(), abs=1e-6)


@given(distributions(), st.sampled_from([0.5, 2.0]))
def test_a_temperature_sharpens_or_flattens(steps: Steps, temperature: float) -> None:
    scores = scores_of(steps, 0.05)
    found = learnt(Soft(use="soft", temperature=temperature), scores)
    for place, (expert, _) in enumerate(steps):
        span = slice(found.offsets[place], found.offsets[place + 1])
        powered = np.exp(expert.astype(np.float64) / temperature)[found.ids[span]]
        assert found.weights[span] == pytest.approx(powered / powered.sum(), abs=1e-6)


@given(distributions(), st.integers(1, 4))
def test_the_likeliest_tokens_are_taken_and_the_rest_is_said(steps: Steps, top_k: int) -> None:
    scores = scores_of(steps, 1e-4)
    target = Soft(use="soft", top_k=top_k)
    found, lost = learnt(target, scores), target.lost({PAIR: scores})
    for place, (expert, _) in enumerate(steps):
        span = slice(found.offsets[place], found.offsets[place + 1])
        stored = np.sort(expert[scores.support_ids[scores.offsets[place] : scores.offsets[place + 1]]])[::-1]
        assert sorted(expert[found.ids[span]], reverse=True) == stored[:top_k].tolist()
        assert lost[place] == pytest.approx(1 - np.exp(stored[:top_k].astype(np.float64)).sum(), abs=1e-5)


@given(distributions())
def test_as_many_tokens_as_are_stored_are_all_of_them(steps: Steps) -> None:
    scores = scores_of(steps, 0.05)
    assert same(learnt(Soft(use="soft", top_k=10**6), scores), learnt(Soft(use="soft"), scores))


@given(distributions())
def test_two_equal_parts_are_one_with_their_weights_summed(steps: Steps) -> None:
    scores = scores_of(steps, 0.05)
    twice = mixture(
        {"use": "own_token", "weight": 0.5},
        {"use": "soft", "of": "expert", "weight": 0.3},
        {"use": "soft", "of": "expert", "weight": 0.2},
    )
    once = mixture({"use": "own_token", "weight": 0.5}, {"use": "soft", "of": "expert", "weight": 0.5})
    assert same(learnt(twice, scores), learnt(once, scores))


@given(distributions(), st.floats(0.01, 0.99))
def test_a_mixture_is_the_weighted_sum_of_its_parts(steps: Steps, share: float) -> None:
    scores = scores_of(steps, 0.05)
    found = learnt(
        mixture({"use": "own_token", "weight": share}, {"use": "contrast", "weight": 1 - share}), scores
    )
    parts = [(learnt(OwnToken(), scores), share), (learnt(Contrast(), scores), 1 - share)]
    for place in range(len(steps)):
        expected: dict[int, float] = {}
        for part, weight in parts:
            span = slice(part.offsets[place], part.offsets[place + 1])
            for token, value in zip(part.ids[span].tolist(), part.weights[span].tolist(), strict=True):
                expected[token] = expected.get(token, 0.0) + weight * value
        span = slice(found.offsets[place], found.offsets[place + 1])
        assert found.ids[span].tolist() == sorted(expected)
        assert dict(zip(found.ids[span].tolist(), found.weights[span].tolist(), strict=True)) == (
            pytest.approx(expected, abs=1e-6)
        )


def test_what_is_written_comes_back_from_a_dump() -> None:
    for target in ("contrast", {"use": "soft", "of": "m", "top_k": 5}, [{"use": "own_token", "weight": 1.0}]):
        written = {"source": "greedy", "selector": "kl", "target": target}
        read = Ingredients.model_validate(written)
        assert Ingredients.model_validate(read.model_dump(mode="json")) == read
    assert isinstance(mixture({"use": "own_token"}), Mixture)


def test_todays_targets_have_the_identity_they_had_as_strings() -> None:
    assert OwnToken().identity == {"target": "own_token"}
    assert Contrast().completed(0.3).identity == {"target": "contrast", "alpha": 0.3}


@given(distributions(), st.sampled_from([0.5, 1.0, 2.0]))
def test_what_is_not_stored_of_a_model_is_one_outcome_more(steps: Steps, temperature: float) -> None:
    scores = scores_of(steps, 0.2)
    target = mixture(
        {"use": "own_token", "weight": 0.25},
        {"use": "soft", "of": "expert", "temperature": temperature, "weight": 0.75},
    )
    kept = np.ones(len(scores), dtype=bool)
    found = target.outcomes(scores.top1_expert, kept, {PAIR: scores})
    assert target.own_share == 0.25
    for place, (expert, _) in enumerate(steps):
        span = slice(found.offsets[place], found.offsets[place + 1])
        p = np.exp(expert.astype(np.float64))[found.ids[span]]
        powers = np.append(p, max(0.0, 1 - p.sum())) ** (1 / temperature)
        expected = 0.75 * powers[:-1] / powers.sum() + 0.25 * (found.ids[span] == scores.top1_expert[place])
        # The rest is known to rounding of what is stored, which a high temperature makes much of.
        assert found.weights[span] == pytest.approx(expected, abs=3e-3 if temperature > 1 else 1e-5)
