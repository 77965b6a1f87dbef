"""Seeds set against a published rate: the seeds' variance counts, and p says what the interval says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.evaluation.statistics import compare_independent, mean_over_seeds, wilson_interval
from lrbench.results.studies.measures import _FromPublished


def seed_outcomes(rates, n):
    draws = np.random.default_rng(0).random((len(rates), n))
    return tuple(
        "".join("1" if draw < rate else "0" for draw in row) for rate, row in zip(rates, draws, strict=True)
    )


@settings(max_examples=40)
@given(st.lists(st.floats(0.02, 0.98), min_size=2, max_size=4), st.integers(20, 200), st.integers(0, 300))
def test_p_is_below_5_percent_where_the_interval_leaves_out_nought(rates, n, correct):
    comparison = _FromPublished(seed_outcomes(rates, n), correct, 300).comparison()
    low, high = comparison.interval.low, comparison.interval.high
    assert low <= comparison.difference <= high
    assert 0 <= comparison.p <= 1
    if min(abs(low), abs(high)) > 1e-6:
        assert (comparison.p < 0.05) == (not low <= 0 <= high)


def test_the_interval_combines_those_of_both_sides():
    outcomes = seed_outcomes([0.5, 0.6, 0.7], 400)
    comparison = _FromPublished(outcomes, 900, 1319).comparison()
    mean = mean_over_seeds([[[one] for one in outcomes]])
    rate, around = 900 / 1319, wilson_interval(900, 1319)
    down = np.hypot(mean.value - mean.interval.low, around.high - rate)
    up = np.hypot(mean.interval.high - mean.value, rate - around.low)
    assert comparison.difference == pytest.approx(100 * (mean.value - rate))
    assert comparison.interval.low == pytest.approx(100 * (mean.value - rate - down))
    assert comparison.interval.high == pytest.approx(100 * (mean.value - rate + up))


def test_seeds_that_scatter_separate_less_than_their_items_alone_would():
    outcomes = seed_outcomes([0.5, 0.6, 0.7], 1319)
    mean = round(sum(one.count("1") for one in outcomes) / 3)
    assert compare_independent(mean, 1319, 931, 1319).p < 1e-6
    assert _FromPublished(outcomes, 931, 1319).comparison().p > 0.05
