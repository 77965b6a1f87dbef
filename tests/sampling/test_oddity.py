"""A target is odd where it prefers what its writer hardly ever writes after the token before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lrbench.methods.targets import Targets
from lrbench.sampling.oddity import ODD_BELOW, Habits, favourites, without
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples

answers = st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=6)


def written(completions: list[list[int]]) -> list[Rollout]:
    return [Rollout(f"p{place}", 0, (9,), tuple(ids)) for place, ids in enumerate(completions)]


def samples_of(rollouts: list[Rollout], preferred: list[int]) -> Samples:
    """Every step is kept, and prefers one token to another one."""
    places = [(place, step) for place, rollout in enumerate(rollouts) for step in range(rollout.steps)]
    count = len(places)
    targets = Targets(
        offsets=2 * np.arange(count + 1),
        ids=np.array([each for token in preferred[:count] for each in (7, token)], dtype=np.int32),
        weights=np.tile(np.array([0.25, 0.75], dtype=np.float32), count),
    )
    rollout, step = (np.array([place[side] for place in places], dtype=np.int32) for side in (0, 1))
    return Samples(rollouts, rollout, step, np.zeros(count, dtype=np.float32), targets)


@given(answers, st.data())
def test_the_share_is_counted_over_all_rollouts_at_the_same_place(
    completions: list[list[int]], data: st.DataObject
) -> None:
    habits = Habits.of(written(completions))
    before = data.draw(st.integers(-1, 5))
    token = data.draw(st.integers(0, 5))
    at_place = [
        ids[step]
        for ids in completions
        for step in range(len(ids))
        if (ids[step - 1] if step else -1) == before
    ]
    expected = at_place.count(token) / max(1, len(at_place))
    assert habits.share(np.array([before]), np.array([token])) == expected


def test_steps_that_prefer_what_is_never_written_there_are_left_out() -> None:
    rollouts = written([[1, 2, 3], [1, 3]])
    # The second step of the first answer prefers 3 after 1, which the second answer has.
    samples = samples_of(rollouts, [1, 3, 1, 2, 3])
    assert favourites(samples.targets).tolist() == [1, 3, 1, 2, 3]
    odd = Habits.of(rollouts).odd(samples)
    assert odd.tolist() == [False, False, True, True, False]
    left = without(samples, odd)
    assert list(zip(left.rollout.tolist(), left.step.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 1)]
    assert favourites(left.targets).tolist() == [1, 3, 3]
    assert np.diff(left.targets.offsets).tolist() == [2, 2, 2]


def test_what_is_written_less_than_once_in_a_thousand_times_is_odd() -> None:
    for times, is_odd in ((1000, False), (1001, True)):
        rollouts = written([[1, 2]] * (times - 1) + [[1, 3]])
        samples = samples_of(rollouts[:1], [1, 3])
        assert Habits.of(rollouts).odd(samples).tolist() == [False, is_odd]
    assert ODD_BELOW == 0.001


def test_without_any_step_nothing_is_odd() -> None:
    nothing = samples_of(written([[]]), [])
    assert Habits.of([]).odd(nothing).tolist() == []
    assert len(without(nothing, np.zeros(0, dtype=bool))) == 0
