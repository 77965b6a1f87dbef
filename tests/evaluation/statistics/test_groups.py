"""Intervals that count groups equal slow references, reduce to today's without groups, and cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from experiments.statistics.draws import coverage_of_groups
from lrbench.evaluation.statistics import mean_of, mean_share, ratio, share_of, wilson_interval
from lrbench.evaluation.statistics.effective_size import effective_size, least_size, mean_variance

labels = st.sampled_from("abcdefgh")


@st.composite
def grouped_values(draw, least=2):
    groups = draw(st.lists(labels, min_size=least, max_size=40))
    values = draw(
        st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=len(groups), max_size=len(groups))
    )
    return np.array(values), groups


class TestVariance:
    @given(grouped_values())
    def test_is_that_of_an_intercept_with_errors_clustered_by_group(self, found):
        values, groups = found
        assume(len(set(groups)) > 1)
        fit = OLS(values, np.ones(len(values))).fit()
        codes = np.unique(groups, return_inverse=True)[1]
        robust = fit.get_robustcov_results("cluster", groups=codes, use_correction=True)
        # Of a single parameter its correction for few clusters is G / (G - 1).
        assert mean_variance(values, groups) == pytest.approx(float(robust.cov_params()[0, 0]), abs=1e-12)

    @given(grouped_values())
    def test_without_groups_is_that_of_a_mean(self, found):
        values, _ = found
        assert mean_variance(values) == pytest.approx(values.var(ddof=1) / len(values))
        each = [str(number) for number in range(len(values))]
        assert mean_variance(values, each) == pytest.approx(mean_variance(values))


class TestEffectiveSize:
    @pytest.mark.parametrize(("groups", "size"), [("aabbcc", 3), ("aaaa", 1), ("abcd", 4), ("aaab", 1.6)])
    def test_is_at_least_that_of_groups_whose_items_are_alike(self, groups, size):
        assert least_size(len(groups), list(groups)) == pytest.approx(size)

    def test_is_the_number_of_outcomes_that_vary_as_much(self):
        """Of 1000 items in groups of 10 correlated by 0.3 it is 1000 / (1 + 9 x 0.3)."""
        share, design_effect = 0.7, 1 + 9 * 0.3
        variance = share * (1 - share) / 1000 * design_effect
        found = effective_size(share, variance, items=1000, units=100, least=100, most=1000)
        assert found.size == pytest.approx(1000 / design_effect)
        assert found.freedom == 99

    @given(st.floats(0.01, 0.99), st.floats(1e-6, 0.2), st.integers(2, 50))
    def test_stays_within_what_is_certain(self, share, variance, units):
        found = effective_size(share, variance, items=100, units=units, least=20, most=100)
        assert 20 <= found.size <= 100


class TestMeanShare:
    @given(st.lists(st.booleans(), min_size=1, max_size=300))
    def test_of_outcomes_without_groups_is_wilsons_number_for_number(self, outcomes):
        expected = wilson_interval(sum(outcomes), len(outcomes))
        assert mean_share(np.array(outcomes, float)).interval == expected
        assert mean_share(np.array(outcomes, float), list(range(len(outcomes)))).interval == expected
        assert share_of(outcomes).interval == expected

    @given(st.lists(st.booleans(), min_size=12, max_size=60), st.integers(2, 10))
    def test_copies_of_items_say_nothing_new(self, outcomes, copies):
        values, groups = np.repeat(outcomes, copies).astype(float), np.repeat(range(len(outcomes)), copies)
        once = wilson_interval(sum(outcomes), len(outcomes))
        found = mean_share(values, groups.tolist()).interval
        # As wide, or wider by Student's quantile.
        assert found.low <= once.low + 1e-9
        assert found.high >= once.high - 1e-9
        assert found.high - found.low <= 1.2 * (once.high - once.low)

    @given(grouped_values(least=1))
    def test_holds_the_value_whatever_the_order_and_the_names_of_groups(self, found):
        values, groups = found
        estimate = mean_share(values, groups)
        assert estimate.value in estimate.interval
        order = np.random.default_rng(0).permutation(len(values))
        again = mean_share(values[order], [groups[place].upper() for place in order])
        assert (again.interval.low, again.interval.high) == pytest.approx(
            (estimate.interval.low, estimate.interval.high)
        )

    def test_one_group_is_one_outcome(self):
        assert mean_share(np.array([1.0, 0.0, 1.0]), ["a"] * 3).interval.high > 0.95

    @pytest.mark.parametrize("correlation", [0.01, 0.1, 0.3, 0.5])
    def test_covers_where_wilsons_covers_as_little_as_60_times_in_100(self, correlation):
        counted, alone = coverage_of_groups(np.full(100, 10), 0.7, correlation)
        assert 0.935 <= counted <= 0.965
        if correlation == 0.3:
            assert alone < 0.75

    def test_covers_over_the_subjects_of_a_benchmark(self):
        counted, alone = coverage_of_groups(np.full(18, 60), 0.7, 0.1)
        assert 0.93 <= counted <= 0.97
        assert alone < 0.65

    def test_refuses_other_numbers_of_groups_and_what_is_no_share(self):
        with pytest.raises(ValueError, match="3 items have 2 groups"):
            mean_share(np.ones(3), ["a", "b"])
        with pytest.raises(ValueError, match="values from 0 to 1"):
            mean_share(np.array([0.5, 1.5]))
        with pytest.raises(ValueError, match="at least one item"):
            mean_share(np.array([]))


class TestRatio:
    @given(st.lists(st.floats(-50, 50), min_size=2, max_size=30))
    def test_over_ones_is_a_mean_with_students_interval(self, values):
        from scipy.stats import t

        found, error = mean_of(values), np.std(values, ddof=1) / np.sqrt(len(values))
        reach = t.ppf(0.975, len(values) - 1) * error
        assert found.value == pytest.approx(np.mean(values), abs=1e-9)
        assert (found.interval.low, found.interval.high) == pytest.approx(
            (np.mean(values) - reach, np.mean(values) + reach), abs=1e-6
        )

    def test_of_log_likelihoods_counts_items_and_not_tokens(self):
        """Simulated: the loss of a text's tokens has a part that all of them share."""
        generator, truth, held = np.random.default_rng(5), 2.0, 0
        for _ in range(1000):
            tokens = generator.integers(20, 200, size=80)
            shared = generator.normal(truth, 0.5, size=80)
            nats = shared * tokens + generator.normal(size=80) * np.sqrt(tokens)
            held += truth in ratio(nats, tokens).interval
        assert 0.93 <= held / 1000 <= 0.97

    def test_of_one_item_tells_no_interval(self):
        assert ratio([4.0], [2.0]).interval.high == np.inf
        assert ratio([4.0], [2.0]).value == 2.0

    @pytest.mark.parametrize(
        ("above", "below"), [([], []), ([1.0], [0.0]), ([1.0], [1.0, 2.0]), ([1.0], [-1.0])]
    )
    def test_refuses_what_is_no_ratio(self, above, below):
        with pytest.raises(ValueError, match="a ratio needs an item"):
            ratio(above, below)
        with pytest.raises(ValueError, match="finite"):
            ratio([np.nan], [1.0])


class TestTokensAfterFirstRight:
    def test_counts_what_follows_in_the_answers_that_are_right_somewhere(self):
        from lrbench.evaluation.statistics import tokens_after_first_right

        found = tokens_after_first_right([100, 50, 80], [40, None, 80])
        assert found is not None
        assert found.value == 30.0
        assert tokens_after_first_right([100, 50], [None, None]) is None

    def test_refuses_an_answer_that_is_right_after_its_end(self):
        from lrbench.evaluation.statistics import tokens_after_first_right

        with pytest.raises(ValueError, match="after its end"):
            tokens_after_first_right([10], [11])
