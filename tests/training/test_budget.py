"""A budget takes the first whole rollouts that fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import RunError
from lrbench.methods.ingredients import Ingredients
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples, rollout_bounds
from lrbench.training.budget import first_samples, learnt_problems

SFT = Ingredients.model_validate({"source": "solutions", "selector": "all", "target": "own_token"})


def with_lengths(lengths: list[int]) -> Samples:
    """Two rollouts a problem, of so many steps."""
    rollouts = [
        Rollout(f"p{index // 2}", index % 2, (1, 2), tuple(range(3, 3 + length)))
        for index, length in enumerate(lengths)
    ]
    return build_samples(rollouts, {}, SFT)


def test_without_limits_everything_is_learnt_from() -> None:
    samples = with_lengths([2, 3, 4])
    same = first_samples(samples, tuned_tokens=None, problems=None)
    assert len(same) == 9
    assert np.array_equal(same.targets.ids, samples.targets.ids)


def test_whole_rollouts_are_taken_until_the_next_would_be_too_much() -> None:
    samples = with_lengths([2, 3, 4, 1])
    assert [len(first_samples(samples, tuned_tokens=n, problems=None)) for n in (2, 4, 5, 8, 9, 10, 99)] == [
        2,
        2,
        5,
        5,
        9,
        10,
        10,
    ]


def test_problems_are_counted_where_something_is_learnt() -> None:
    samples = with_lengths([0, 0, 2, 3, 4, 1])
    one = first_samples(samples, tuned_tokens=None, problems=1)
    assert len(one) == 5
    assert learnt_problems(one, np.arange(len(one)) < 5) == 1
    both = first_samples(samples, tuned_tokens=2, problems=1)
    assert len(both) == 2


def test_a_limit_below_the_first_rollout_says_what_it_needs() -> None:
    with pytest.raises(RunError, match="tuned_tokens is 3, but the first rollout has 7 kept steps; allow at"):
        first_samples(with_lengths([7, 1]), tuned_tokens=3, problems=None)


def test_samples_without_a_step_stay_as_they_are() -> None:
    assert len(first_samples(with_lengths([]), tuned_tokens=3, problems=1)) == 0


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=12),
    st.integers(6, 40),
    st.integers(1, 8),
)
def test_what_is_learnt_is_a_beginning_of_the_samples_within_every_limit(
    lengths: list[int], tuned_tokens: int, problems: int
) -> None:
    samples = with_lengths(lengths)
    kept = first_samples(samples, tuned_tokens=tuned_tokens, problems=problems)
    count = len(kept)
    assert count <= tuned_tokens
    assert learnt_problems(kept, np.ones(count, dtype=bool)) <= problems
    assert np.array_equal(kept.rollout, samples.rollout[:count])
    assert np.array_equal(kept.targets.offsets, samples.targets.offsets[: count + 1])
    assert len(kept.targets.ids) == len(kept.targets.weights) == kept.targets.offsets[-1]
    larger = [int(bound) for bound in rollout_bounds(samples) if bound > count]
    if larger:
        learnt = np.arange(len(samples)) < larger[0]
        assert larger[0] > tuned_tokens or learnt_problems(samples, learnt) > problems
