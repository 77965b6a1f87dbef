"""Selectors and targets are exact filters over stored scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.methods.readings import PAIR
from lrbench.methods.selectors import Kl
from lrbench.methods.targets import Targets, contrast, own_token, plausible
from tests.oracles import scoring as oracle
from tests.sampling.strategies import distributions, scores_of

alphas = st.floats(0.05, 1.0)


def as_mappings(targets: Targets) -> list[dict[int, float]]:
    return [
        dict(zip(targets.ids[a:b].tolist(), targets.weights[a:b].tolist(), strict=True))
        for a, b in zip(targets.offsets[:-1], targets.offsets[1:], strict=True)
    ]


@given(distributions(), st.floats(0, 3))
def test_steps_are_kept_where_kl_exceeds_beta(
    steps: list[tuple[np.ndarray, np.ndarray]], beta: float
) -> None:
    scores = scores_of(steps, 0.05)
    assert Kl(beta=beta).keep({PAIR: scores}).tolist() == [kl > np.float32(beta) for kl in scores.kl]


@given(distributions(), alphas)
def test_targets_equal_the_definition(steps: list[tuple[np.ndarray, np.ndarray]], alpha: float) -> None:
    scores = scores_of(steps, 0.05)
    kept = np.ones(len(steps), dtype=bool)
    for found, (expert, amateur) in zip(as_mappings(contrast(scores, kept, alpha)), steps, strict=True):
        p, q = np.exp(expert.astype(np.float64)).tolist(), np.exp(amateur.astype(np.float64)).tolist()
        # At the threshold itself float32 and float64 may disagree; compare where they do not.
        if {t for t, v in enumerate(p) if abs(v - alpha * max(p)) < 1e-6 * max(p)}:
            continue
        expected = oracle.contrast(p, q, alpha)
        assert found.keys() == expected.keys()
        assert found == pytest.approx(expected, abs=1e-5)


@given(distributions(), alphas)
def test_storing_more_than_needed_changes_nothing(
    steps: list[tuple[np.ndarray, np.ndarray]], alpha: float
) -> None:
    wide, narrow = scores_of(steps, 0.05), scores_of(steps, alpha)
    kept = np.ones(len(steps), dtype=bool)
    left, right = contrast(wide, kept, alpha), contrast(narrow, kept, alpha)
    np.testing.assert_array_equal(left.offsets, right.offsets)
    np.testing.assert_array_equal(left.ids, right.ids)
    np.testing.assert_array_equal(left.weights, right.weights)


@given(distributions(), alphas, st.data())
def test_dropping_a_step_leaves_the_other_targets_alone(
    steps: list[tuple[np.ndarray, np.ndarray]], alpha: float, data: st.DataObject
) -> None:
    scores = scores_of(steps, 0.05)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps))))
    everything = as_mappings(contrast(scores, np.ones(len(steps), dtype=bool), alpha))
    assert as_mappings(contrast(scores, kept, alpha)) == [everything[index] for index in np.flatnonzero(kept)]


@given(distributions(), alphas)
def test_targets_are_distributions(steps: list[tuple[np.ndarray, np.ndarray]], alpha: float) -> None:
    targets = contrast(scores_of(steps, 0.05), np.ones(len(steps), dtype=bool), alpha)
    for weights in as_mappings(targets):
        assert sum(weights.values()) == pytest.approx(1, abs=1e-5)
        assert min(weights.values()) >= 0


@given(distributions())
def test_alpha_1_keeps_only_the_experts_first_choice(steps: list[tuple[np.ndarray, np.ndarray]]) -> None:
    scores = scores_of(steps, 0.05)
    assert plausible(scores, 1.0).sum() == len(steps)
    targets = contrast(scores, np.ones(len(steps), dtype=bool), 1.0)
    assert targets.ids.tolist() == scores.top1_expert.tolist()


def test_the_contrast_prefers_what_the_amateur_finds_unlikely() -> None:
    expert = np.log(np.array([0.5, 0.4, 0.1], dtype=np.float32))
    amateur = np.log(np.array([0.8, 0.1, 0.1], dtype=np.float32))
    (target,) = as_mappings(contrast(scores_of([(expert, amateur)], 0.05), np.array([True]), 0.2))
    ratio = {0: 0.5 / 0.8, 1: 0.4 / 0.1, 2: 0.1 / 0.1}
    assert target == pytest.approx({t: r / sum(ratio.values()) for t, r in ratio.items()}, abs=1e-6)


def test_no_kept_step_gives_no_target() -> None:
    expert = np.full(3, -math.log(3), dtype=np.float32)
    assert len(contrast(scores_of([(expert, expert)], 0.05), np.array([False]), 0.2)) == 0


def test_the_own_token_has_all_weight() -> None:
    assert as_mappings(own_token(np.array([4, 9], dtype=np.int32))) == [{4: 1.0}, {9: 1.0}]
