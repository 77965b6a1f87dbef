"""Published rates are compared as what they are: two samples of which nothing is known to be shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.evaluation.statistics import (
    Flips,
    compare_benchmark,
    compare_independent,
    mcnemar_p,
    published_correct,
)

RNG_SEED = 20263


@st.composite
def counts(draw):
    n = draw(st.integers(1, 400))
    return draw(st.integers(0, n)), n


class TestPublishedPair:
    """GSM8K, 70.6 against 69.2 at n = 1319."""

    FIRST, SECOND = published_correct(70.6, 1319), published_correct(69.2, 1319)

    def test_the_rates_stand_for_whole_items(self):
        assert (self.FIRST, self.SECOND) == (931, 913)
        assert [round(100 * correct / 1319, 1) for correct in (931, 913)] == [70.6, 69.2]

    def test_is_not_separated(self):
        comparison = compare_independent(self.FIRST, 1319, self.SECOND, 1319)
        assert not comparison.separated
        assert comparison.difference == pytest.approx(1.4, abs=0.05)
        assert comparison.interval.low < -2
        assert comparison.interval.high > 4.8
        assert comparison.p == pytest.approx(0.445, abs=0.001)

    def test_pairing_would_separate_it_only_if_at_most_82_items_had_flipped(self):
        most = max(flipped for flipped in range(18, 400, 2) if mcnemar_p(*self.cells(flipped)) < 0.05)
        assert most == 82
        assert not compare_benchmark(Flips(*self.cells(100), 840, 379)).separated

    @staticmethod
    def cells(flipped: int) -> tuple[int, int]:
        return (flipped + 18) // 2, (flipped - 18) // 2


class TestCompareIndependent:
    @given(counts(), counts())
    @settings(max_examples=40, deadline=None)
    def test_the_interval_is_newcombes_in_statsmodels(self, first, second):
        from statsmodels.stats.proportion import confint_proportions_2indep

        expected = confint_proportions_2indep(*first, *second, method="newcomb")
        interval = compare_independent(*first, *second).interval
        assert (interval.low, interval.high) == pytest.approx([100 * bound for bound in expected], abs=1e-9)

    @given(counts(), counts())
    @settings(max_examples=40, deadline=None)
    def test_p_is_pearsons_chi_squared(self, first, second):
        from scipy.stats import chi2_contingency

        table = np.array([[first[0], first[1] - first[0]], [second[0], second[1] - second[0]]])
        expected = chi2_contingency(table, correction=False).pvalue if table.sum(axis=0).all() else 1.0
        assert compare_independent(*first, *second).p == pytest.approx(expected, abs=1e-9)

    @given(counts(), counts())
    def test_turns_around_when_the_two_change_places(self, first, second):
        there, back = compare_independent(*first, *second), compare_independent(*second, *first)
        assert there.difference == pytest.approx(-back.difference)
        assert (there.interval.low, there.p) == (pytest.approx(-back.interval.high), pytest.approx(back.p))
        assert there.difference in there.interval

    def test_covers_the_true_difference_94_to_96_times_in_100_and_seldom_separates_equals(self):
        generator = np.random.default_rng(RNG_SEED)
        first, second = generator.binomial(1319, 0.70, 2000), generator.binomial(500, 0.65, 2000)
        covered = [
            5.0 in compare_independent(a, 1319, b, 500).interval
            for a, b in zip(first.tolist(), second.tolist(), strict=True)
        ]
        assert 0.94 <= np.mean(covered) <= 0.96
        equal = generator.binomial(1319, 0.7, (2000, 2)).tolist()
        assert np.mean([compare_independent(a, 1319, b, 1319).separated for a, b in equal]) <= 0.055

    def test_refuses_counts_and_rates_that_cannot_be(self):
        with pytest.raises(ValueError, match="6 of 5 items is not a count"):
            compare_independent(6, 5, 1, 5)
        for percent, n in ((101, 10), (-1, 10), (50, 0), (float("nan"), 10)):
            with pytest.raises(ValueError, match="is not an accuracy"):
                published_correct(percent, n)
