"""The statistics equal slow, obvious references, and keep their promises in simulation."""

from __future__ import annotations

from itertools import chain, combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from lrbench.evaluation.statistics import (
    Flips,
    bootstrap_difference,
    compare_averages,
    compare_benchmark,
    compare_benchmarks,
    count_flips,
    holm,
    largest_average_p,
    mcnemar_p,
)

RNG_SEED = 20261


@st.composite
def paired_outcomes(draw):
    n = draw(st.integers(0, 40))
    return tuple("".join(draw(st.lists(st.sampled_from("01"), min_size=n, max_size=n))) for _ in range(2))


class TestCountFlips:
    @given(paired_outcomes())
    def test_counts_each_item_in_one_cell(self, outcomes):
        pairs = list(zip(*outcomes, strict=True))
        assert count_flips(*outcomes) == Flips(
            won=pairs.count(("1", "0")),
            lost=pairs.count(("0", "1")),
            both=pairs.count(("1", "1")),
            neither=pairs.count(("0", "0")),
        )

    def test_refuses_outcomes_of_different_items(self):
        with pytest.raises(ValueError, match="outcomes of 3 and 2 items cannot be paired"):
            count_flips("101", "10")


class TestMcNemar:
    @given(st.integers(0, 11), st.integers(0, 11))
    @settings(max_examples=50)
    def test_equals_trying_every_way_the_flips_could_have_gone(self, won, lost):
        flipped = min(won + lost, 12)
        won = min(won, flipped)
        lost = flipped - won
        ways = [abs(2 * sum(way) - flipped) for way in product([0, 1], repeat=flipped)]
        # What is as one-sided as the data counts half.
        expected = sum((way > abs(won - lost)) + (way == abs(won - lost)) / 2 for way in ways) / len(ways)
        if won == lost:
            expected = 1.0
        assert mcnemar_p(won, lost) == pytest.approx(expected, abs=1e-12)

    @given(st.integers(0, 500), st.integers(0, 500))
    def test_equals_the_two_sided_binomial_test_less_half_the_chance_of_the_data(self, won, lost):
        expected = 1.0
        if won != lost:
            expected = binomtest(won, won + lost).pvalue - binom.pmf(won, won + lost, 0.5)
        assert mcnemar_p(won, lost) == pytest.approx(expected, rel=1e-9)

    @given(st.integers(0, 500), st.integers(0, 500))
    def test_does_not_care_who_comes_first(self, won, lost):
        assert mcnemar_p(won, lost) == mcnemar_p(lost, won)


class TestHolm:
    @given(st.lists(st.floats(0, 1), max_size=6))
    def test_is_the_closed_test_over_all_subsets_with_bonferroni(self, p_values):
        indices = range(len(p_values))
        subsets = list(
            chain.from_iterable(combinations(indices, size) for size in range(1, len(p_values) + 1))
        )
        expected = [
            max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in subsets if i in s) for i in indices
        ]
        assert holm(p_values) == pytest.approx(expected)


class TestCompareBenchmark:
    def test_says_the_difference_in_points_with_mcnemars_mid_p(self):
        comparison = compare_benchmark(Flips(won=15, lost=5, both=60, neither=20))
        assert comparison.difference == pytest.approx(10.0)
        assert comparison.p == mcnemar_p(15, 5)
        assert 10.0 in comparison.interval

    def test_calls_the_published_gsm8k_pair_a_tie_even_when_its_flips_are_few(self):
        """70.6 against 69.2 at n = 1319 is 18 items; with 200 flips that is noise."""
        comparison = compare_benchmark(Flips(won=109, lost=91, both=822, neither=297))
        assert not comparison.separated
        assert 0.0 in comparison.interval

    @given(st.tuples(*[st.integers(0, 60)] * 4).filter(any))
    def test_turns_around_when_the_models_change_places(self, cells):
        won, lost, both, neither = cells
        there = compare_benchmark(Flips(won, lost, both, neither))
        back = compare_benchmark(Flips(lost, won, both, neither))
        assert back.difference == pytest.approx(-there.difference)
        assert (back.interval.low, back.interval.high) == pytest.approx(
            (-there.interval.high, -there.interval.low)
        )
        assert back.p == there.p
        assert -100 <= there.interval.low <= there.interval.high <= 100

    def test_refuses_no_items(self):
        with pytest.raises(ValueError, match="at least one item is needed"):
            compare_benchmark(Flips(0, 0, 0, 0))

    def test_covers_the_true_difference_and_seldom_separates_equals(self):
        generator = np.random.default_rng(RNG_SEED)
        runs, n = 2000, 100
        draws = generator.multinomial(n, [0.18, 0.10, 0.5, 0.22], size=runs).tolist()
        covered = sum(8.0 in compare_benchmark(Flips(*cells)).interval for cells in draws)
        assert 0.935 <= covered / runs <= 0.97
        equals = generator.multinomial(n, [0.15, 0.15, 0.5, 0.2], size=runs).tolist()
        assert sum(compare_benchmark(Flips(*cells)).separated for cells in equals) / runs <= 0.055


class TestCompareBenchmarks:
    def test_adjusts_over_the_benchmarks_compared(self):
        flips = {"a": Flips(20, 5, 50, 25), "b": Flips(12, 6, 50, 32), "c": Flips(6, 6, 60, 28)}
        together = compare_benchmarks(flips)
        assert [c.p for c in together.values()] == [mcnemar_p(20, 5), mcnemar_p(12, 6), 1.0]
        assert [c.p_adjusted for c in together.values()] == holm([c.p for c in together.values()])

    def test_can_make_a_tie_of_what_is_separated_alone(self):
        flips = {name: Flips(14, 4, 50, 32) for name in "abcdefg"}
        assert compare_benchmark(flips["a"]).separated
        assert not any(comparison.separated for comparison in compare_benchmarks(flips).values())

    def test_of_nothing_is_nothing(self):
        assert compare_benchmarks({}) == {}


class TestCompareAverages:
    def test_is_the_sign_flip_test_that_enumerates_every_flip(self):
        flips = (Flips(3, 1, 4, 2), Flips(4, 0, 2, 4), Flips(1, 2, 1, 1))
        signs = [[1 / table.n] * (table.won + table.lost) for table in flips]
        weights = [weight for benchmark in signs for weight in benchmark]
        value = sum((table.won - table.lost) / table.n for table in flips)
        sums = [sum(s * w for s, w in zip(way, weights, strict=True)) for way in product([-1, 1], repeat=11)]
        expected = np.mean([abs(total) >= abs(value) - 1e-12 for total in sums])
        assert compare_averages(flips, resamples=40_000).p == pytest.approx(expected, abs=0.01)

    def test_is_the_bootstrap_that_draws_pairs_one_by_one(self):
        flips = (Flips(20, 8, 50, 22), Flips(9, 11, 20, 10))
        generator = np.random.default_rng(RNG_SEED)
        items = [np.repeat([1, -1, 0], [t.won, t.lost, t.both + t.neither]) for t in flips]
        draws = [
            100 * np.mean([generator.choice(table, size=len(table)).mean() for table in items])
            for _ in range(4000)
        ]
        comparison = compare_averages(flips)
        assert comparison.difference == pytest.approx(100 * (0.12 - 0.04) / 2)
        assert (comparison.interval.low, comparison.interval.high) == pytest.approx(
            np.quantile(draws, [0.025, 0.975]), abs=0.6
        )

    def test_of_one_benchmark_agrees_with_mcnemar(self):
        flips = Flips(18, 7, 40, 35)
        exact = binomtest(18, 25).pvalue
        assert compare_averages((flips,)).p == pytest.approx(exact, abs=0.005)

    def test_of_equal_outcomes_is_a_tie_that_is_not_certain(self):
        comparison = compare_averages((Flips(0, 0, 50, 50), Flips(0, 0, 1, 0)))
        assert comparison.difference == 0
        assert comparison.p == 1.0
        assert comparison.interval.low < 0 < comparison.interval.high

    @given(st.lists(st.tuples(*[st.integers(0, 40)] * 4).filter(any), min_size=1, max_size=5))
    @settings(max_examples=40, deadline=None)
    def test_never_exceeds_what_bounds_its_p_without_drawing(self, cells):
        flips = tuple(Flips(*table) for table in cells)
        assert compare_averages(flips, resamples=2000).p <= largest_average_p(flips, resamples=2000) + 0.03

    def test_refuses_no_benchmark(self):
        with pytest.raises(ValueError, match="at least one benchmark"):
            compare_averages(())

    def test_covers_the_true_difference_and_seldom_separates_equals(self):
        generator = np.random.default_rng(RNG_SEED)
        runs, sizes = 500, [100, 50, 80]
        cells = np.array([[0.2, 0.12, 0.4, 0.28], [0.1, 0.1, 0.6, 0.2], [0.25, 0.15, 0.3, 0.3]])
        truth = 100 * (cells[:, 0] - cells[:, 1]).mean()
        equal = cells.copy()
        equal[:, :2] = cells[:, :2].mean(axis=1, keepdims=True)

        def draw(rates, run):
            tables = generator.multinomial(sizes, rates).tolist()
            return compare_averages(tuple(Flips(*table) for table in tables), resamples=500, seed=run)

        covered = sum(truth in draw(cells, run).interval for run in range(runs))
        assert 0.925 <= covered / runs <= 0.975
        assert sum(draw(equal, run).separated for run in range(runs)) / runs <= 0.075


class TestBootstrapDifference:
    def test_is_the_interval_of_the_compared_averages(self):
        flips = (Flips(20, 8, 50, 22), Flips(9, 11, 20, 10))
        estimate = bootstrap_difference(flips)
        comparison = compare_averages(flips)
        assert estimate.value == comparison.difference == pytest.approx(100 * (0.12 - 0.04) / 2)
        assert estimate.interval == comparison.interval

    def test_covers_the_true_difference_94_to_96_times_in_100(self):
        n, cells = 1319, [0.08, 0.07, 0.6, 0.25]
        generator = np.random.default_rng(RNG_SEED)
        tables = [Flips(*table) for table in generator.multinomial(n, cells, size=2000).tolist()]
        truth = 100 * (cells[0] - cells[1])
        covered = [
            truth in bootstrap_difference((table,), resamples=1000, seed=run).interval
            for run, table in enumerate(tables)
        ]
        assert 0.94 <= np.mean(covered) <= 0.96

    def test_refuses_no_benchmark(self):
        with pytest.raises(ValueError, match="at least one benchmark"):
            bootstrap_difference(())
