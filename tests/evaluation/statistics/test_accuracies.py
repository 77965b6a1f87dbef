"""Accuracies' intervals and pass@k equal slow, obvious references, and cover what they promise."""

from __future__ import annotations

from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from lrbench.evaluation.statistics import (
    Interval,
    bootstrap_interval,
    macro_average,
    pass_at_k,
    wilson_interval,
)

RNG_SEED = 20261


@st.composite
def counts_of_items(draw, largest=2000):
    n = draw(st.integers(1, largest))
    return draw(st.integers(0, n)), n


class TestWilsonInterval:
    @given(counts_of_items(), st.sampled_from([0.8, 0.95, 0.99]))
    def test_equals_scipy(self, counts, level):
        correct, n = counts
        expected = binomtest(correct, n).proportion_ci(level, method="wilson")
        interval = wilson_interval(correct, n, level)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)

    @given(counts_of_items())
    def test_its_bounds_are_the_rates_that_a_score_test_just_accepts(self, counts):
        correct, n = counts
        z = norm.ppf(0.975)
        for rate in vars(wilson_interval(correct, n)).values():
            if 0 < rate < 1:
                assert abs(correct / n - rate) == pytest.approx(z * np.sqrt(rate * (1 - rate) / n), abs=1e-9)

    @given(counts_of_items())
    def test_holds_the_accuracy_and_stays_between_nought_and_one(self, counts):
        correct, n = counts
        interval = wilson_interval(correct, n)
        assert correct / n in interval
        assert 0 <= interval.low < interval.high <= 1

    @pytest.mark.parametrize(("correct", "n"), [(0, 0), (-1, 5), (6, 5)])
    def test_refuses_counts_that_cannot_be(self, correct, n):
        with pytest.raises(ValueError, match=f"{correct} of {n} items is not a count of outcomes"):
            wilson_interval(correct, n)


class TestCoverage:
    """95% intervals hold the true accuracy 94 to 96 times in 100.

    An interval for a count can only jump, so at few items it covers a bit more or less than stated, by
    the rate. These are sizes and rates of the published benchmarks; what happens at few items is below.
    """

    @pytest.mark.parametrize(("n", "rate"), [(272, 0.26), (675, 0.35), (1319, 0.7)])
    @pytest.mark.parametrize("interval", [wilson_interval, bootstrap_interval])
    def test_at_the_sizes_of_benchmarks(self, interval, n, rate):
        drawn = np.random.default_rng(RNG_SEED).binomial(n, rate, size=2000)
        covered = {correct: rate in interval(correct, n) for correct in set(drawn.tolist())}
        assert 0.94 <= np.mean([covered[correct] for correct in drawn.tolist()]) <= 0.96

    @pytest.mark.parametrize(
        ("interval", "n", "least", "mean"),
        [
            (wilson_interval, 30, 0.93, 0.95),
            (wilson_interval, 100, 0.935, 0.95),
            (bootstrap_interval, 30, 0.75, 0.93),
        ],
    )
    def test_at_few_items_wilson_wanders_around_95_and_the_bootstrap_below(self, interval, n, least, mean):
        rates = np.linspace(0.05, 0.95, 181)
        chances = binom.pmf(np.arange(n + 1)[:, None], n, rates)
        held = np.array([[rate in one for rate in rates] for one in (interval(c, n) for c in range(n + 1))])
        coverage = (chances * held).sum(axis=0)
        assert coverage.min() >= least - 0.01
        assert coverage.mean() == pytest.approx(mean, abs=0.01)


class TestBootstrapInterval:
    @pytest.mark.parametrize(("correct", "n"), [(11, 20), (70, 100), (931, 1319)])
    def test_is_what_drawing_items_anew_approaches(self, correct, n):
        items = np.array([1] * correct + [0] * (n - correct))
        draws = np.random.default_rng(RNG_SEED).choice(items, size=(4000, n)).mean(axis=1)
        interval = bootstrap_interval(correct, n)
        assert (interval.low, interval.high) == pytest.approx(
            np.quantile(draws, [0.025, 0.975]), abs=1.01 / n
        )

    @given(counts_of_items(), st.sampled_from([0.8, 0.95, 0.99]))
    def test_equals_the_quantiles_of_scipys_binomial(self, counts, level):
        correct, n = counts
        rate = min(max(correct, 0.5), n - 0.5) / n
        low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], n, rate) / n
        interval = bootstrap_interval(correct, n, level)
        # Where rounding decides whether a step of the distribution reaches a quantile, either is right.
        assert interval.low == pytest.approx(min(low, correct / n), abs=1.01 / n)
        assert interval.high == pytest.approx(max(high, correct / n), abs=1.01 / n)

    @given(counts_of_items())
    def test_holds_the_accuracy_and_is_never_certain_of_a_few_items(self, counts):
        correct, n = counts
        interval = bootstrap_interval(correct, n)
        assert correct / n in interval
        assert 0 <= interval.low <= interval.high <= 1
        if n > 1:
            assert interval.low < interval.high

    @pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95])
    def test_refuses_a_level_that_is_none(self, level):
        with pytest.raises(ValueError, match=r"level .* is not between 0 and 1"):
            bootstrap_interval(5, 10, level)


class TestPassAtK:
    @given(st.integers(1, 12), st.data())
    def test_equals_trying_every_choice_of_k_samples(self, n, data):
        correct, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
        samples = [True] * correct + [False] * (n - correct)
        chosen = [any(choice) for choice in combinations(samples, k)]
        assert pass_at_k(correct, n, k) == pytest.approx(sum(chosen) / len(chosen), abs=1e-12)

    @given(st.integers(1, 400), st.data())
    def test_grows_with_k_from_the_share_right_to_certainty(self, n, data):
        correct = data.draw(st.integers(1, n))
        values = [pass_at_k(correct, n, k) for k in sorted({1, (n + 1) // 2, n})]
        assert values[0] == pytest.approx(correct / n)
        assert values == sorted(values)
        assert values[-1] == 1.0

    def test_is_unbiased_where_the_chance_from_the_share_right_is_not(self):
        """Ten samples at a rate of 0.1: pass@5 is 1 - 0.9^5; with the share right as the rate it is less."""
        counts, chances = range(11), binom.pmf(range(11), 10, 0.1)
        truth = 1 - 0.9**5
        assert sum(chances * [pass_at_k(c, 10, 5) for c in counts]) == pytest.approx(truth)
        assert sum(chances * [1 - (1 - c / 10) ** 5 for c in counts]) < truth - 0.03

    @pytest.mark.parametrize(("correct", "n", "k"), [(3, 10, 0), (3, 10, 11)])
    def test_refuses_more_samples_than_there_are(self, correct, n, k):
        with pytest.raises(ValueError, match=f"pass@{k} cannot be estimated from 10 samples"):
            pass_at_k(correct, n, k)

    def test_refuses_counts_that_cannot_be(self):
        with pytest.raises(ValueError, match="11 of 10 items is not a count"):
            pass_at_k(11, 10, 1)


def quantile(values, weights, share):
    order = np.argsort(values)
    return np.asarray(values)[order][np.searchsorted(np.cumsum(np.asarray(weights)[order]), share)]


class TestMacroAverage:
    @given(st.lists(counts_of_items(), min_size=1, max_size=7))
    @settings(max_examples=30)
    def test_weighs_every_benchmark_the_same_and_holds_its_value(self, counts):
        estimate = macro_average(tuple(counts), resamples=200)
        assert estimate.value == pytest.approx(sum(correct / n for correct, n in counts) / len(counts))
        assert estimate.value in estimate.interval
        assert 0 <= estimate.interval.low <= estimate.interval.high <= 1

    @pytest.mark.parametrize("counts", [((3, 7), (4, 6)), ((2, 5), (6, 8), (1, 4)), ((11, 20),)])
    def test_is_the_bootstrap_that_enumerates_every_resample(self, counts):
        averages, weights = [], []
        for drawn in product(*(range(n + 1) for _, n in counts)):
            averages.append(sum(k / n for k, (_, n) in zip(drawn, counts, strict=True)) / len(counts))
            weights.append(
                prod(
                    comb(n, k) * (c / n) ** k * (1 - c / n) ** (n - k)
                    for k, (c, n) in zip(drawn, counts, strict=True)
                )
            )
        interval = macro_average(counts, resamples=40_000).interval
        # A sampled quantile may fall on either side of a jump of the exact distribution.
        for bound, share in ((interval.low, 0.025), (interval.high, 0.975)):
            nearby = (quantile(averages, weights, share - 0.003), quantile(averages, weights, share + 0.003))
            assert nearby[0] - 1e-9 <= bound <= nearby[1] + 1e-9

    def test_equals_drawing_items_one_by_one(self):
        counts = ((30, 60), (45, 50), (10, 80))
        generator = np.random.default_rng(RNG_SEED)
        items = [np.array([1] * correct + [0] * (n - correct)) for correct, n in counts]
        draws = [
            np.mean([generator.choice(outcomes, size=len(outcomes)).mean() for outcomes in items])
            for _ in range(4000)
        ]
        interval = macro_average(counts).interval
        assert (interval.low, interval.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.004)

    def test_never_calls_all_right_certain(self):
        interval = macro_average(((20, 20), (20, 20))).interval
        assert interval.low < 0.99
        assert interval.high == 1.0

    def test_gives_the_same_numbers_every_time(self):
        macro_average.cache_clear()
        first = macro_average(((30, 60), (45, 50)))
        macro_average.cache_clear()
        assert macro_average(((30, 60), (45, 50))) == first

    def test_refuses_no_benchmark(self):
        with pytest.raises(ValueError, match="at least one benchmark"):
            macro_average(())

    def test_refuses_a_benchmark_without_items(self):
        with pytest.raises(ValueError, match="at least one item is needed"):
            macro_average(((3, 5), (0, 0)))

    def test_covers_the_true_average_about_95_times_in_100(self):
        generator = np.random.default_rng(RNG_SEED)
        truth, sizes = np.array([0.52, 0.71, 0.9, 0.33, 0.64]), np.array([100, 60, 100, 150, 80])
        runs = 1000
        covered = sum(
            truth.mean()
            in macro_average(
                tuple(zip(generator.binomial(sizes, truth).tolist(), sizes.tolist(), strict=True)),
                resamples=1000,
                seed=run,
            ).interval
            for run in range(runs)
        )
        assert 0.93 <= covered / runs <= 0.97


def test_an_interval_holds_its_ends():
    assert 0.2 in Interval(0.2, 0.4)
    assert 0.4 in Interval(0.2, 0.4)
    assert 0.41 not in Interval(0.2, 0.4)
