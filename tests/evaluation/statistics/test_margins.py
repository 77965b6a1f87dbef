"""Margins are tested exactly on a benchmark, and at most 5.5% of false equivalences come out anywhere."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln, xlogy

from lrbench.evaluation.statistics import (
    AverageDifference,
    BenchmarkDifference,
    DifferenceTest,
    Flips,
    SeedDifference,
    compare_averages,
    equivalence,
    mcnemar_p,
)
from lrbench.evaluation.statistics.score_intervals import average_limits, score_limits, score_statistic

RNG_SEED = 20262

tables = st.tuples(*[st.integers(0, 30)] * 4).filter(any).map(lambda cells: Flips(*cells))
margins = st.floats(-60, 60).map(lambda margin: round(margin, 2))


def mirrored(flips: Flips) -> Flips:
    return Flips(flips.lost, flips.won, flips.both, flips.neither)


def all_tables(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every (won, lost) of n items."""
    won, lost = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    possible = won + lost <= n
    return won[possible], lost[possible]


def chances(won: np.ndarray, lost: np.ndarray, n: int, winning: float, losing: float) -> np.ndarray:
    """The trinomial chance of each table."""
    rest = n - won - lost
    ways = gammaln(n + 1) - gammaln(won + 1) - gammaln(lost + 1) - gammaln(rest + 1)
    return np.exp(
        ways + xlogy(won, winning) + xlogy(lost, losing) + xlogy(rest, max(0.0, 1 - winning - losing))
    )


class TestScoreIntervals:
    @given(tables, st.floats(-0.9, 0.9))
    def test_the_likeliest_discordance_is_found(self, flips, difference):
        """The statistic's error is that of the likelihood's maximum among losing rates, by brute force."""
        losing = np.linspace(max(0.0, -difference), (1 - difference) / 2, 20_001)
        rest = flips.both + flips.neither
        likelihood = (
            xlogy(flips.won, losing + difference)
            + xlogy(flips.lost, losing)
            + xlogy(rest, np.maximum(1 - difference - 2 * losing, 0))
        )
        best = losing[np.argmax(likelihood)]
        error = np.sqrt(max(flips.n * (2 * best + difference - difference**2), 1e-12))
        gap = flips.won - flips.lost - flips.n * difference
        expected = gap / error
        found = float(score_statistic(flips.won, flips.lost, flips.n, difference))
        assert found == pytest.approx(expected, rel=2e-2, abs=1e-3)

    @given(tables, st.floats(0.1, 4))
    def test_the_limits_are_the_differences_that_many_errors_away(self, flips, z):
        low, high = score_limits(np.array([flips.won]), np.array([flips.lost]), np.array([flips.n]), z)
        assert -1 <= low[0] <= (flips.won - flips.lost) / flips.n <= high[0] <= 1
        for limit, expected in ((low[0], z), (high[0], -z)):
            if abs(limit) < 1 - 1e-6:
                found = float(score_statistic(flips.won, flips.lost, flips.n, limit))
                assert found == pytest.approx(expected, abs=1e-3)


class TestBenchmarkDifference:
    def test_every_table_of_few_items_is_counted_as_the_slow_way_counts_it(self):
        """The largest chance, over discordance rates, of all tables whose score is no higher."""
        n, margin = 12, 0.1
        won, lost = all_tables(n)
        scores = score_statistic(won, lost, n, margin)
        for seen in range(0, len(won), 7):
            flips = Flips(int(won[seen]), int(lost[seen]), 0, n - int(won[seen] + lost[seen]))
            extreme = scores <= scores[seen] + 1e-9
            everywhere = max(
                chances(won, lost, n, losing + margin, losing)[extreme].sum()
                for losing in np.linspace(0, (1 - margin) / 2, 200)
            )
            # Rates that the data contradict are left out, at a price of one in a million.
            p = BenchmarkDifference(flips).p_below(100 * margin)
            assert p <= everywhere + 1.1e-6
            if flips.discordance > margin:
                losing = (flips.discordance - margin) / 2
                likely = chances(won, lost, n, losing + margin, losing)[extreme].sum()
                # Rates are tried on a grid.
                assert p >= likely - 5e-4

    @pytest.mark.parametrize(("n", "margin"), [(12, 5.0), (30, 2.0), (30, 10.0), (60, 5.0)])
    def test_a_true_difference_at_the_margin_is_called_smaller_at_most_5_times_in_100(self, n, margin):
        """Exactly, over every discordance there can be, where the plain score test errs up to 7%."""
        won, lost = all_tables(n)
        hopeful = score_statistic(won, lost, n, margin / 100) < -1.2
        p = np.ones(len(won))
        p[hopeful] = [
            BenchmarkDifference(Flips(w, lo, 0, n - w - lo)).p_below(margin)
            for w, lo in zip(won[hopeful].tolist(), lost[hopeful].tolist(), strict=True)
        ]
        for losing in [0.0, *np.geomspace(1e-3, (1 - margin / 100) / 2, 60)]:
            chance = chances(won, lost, n, losing + margin / 100, losing)
            assert chance[p <= 0.05].sum() <= 0.05
            assert chance[p <= 0.025].sum() <= 0.025

    @pytest.mark.parametrize(("n", "winning", "losing"), [(100, 0.18, 0.1), (300, 0.08, 0.06)])
    def test_covers_the_true_difference_94_to_96_times_in_100(self, n, winning, losing):
        drawn = np.random.default_rng(RNG_SEED).multinomial(n, [winning, losing, 1 - winning - losing], 2000)
        truth = 100 * (winning - losing)
        held = {}
        for won, lost, rest in {tuple(table) for table in drawn.tolist()}:
            test = BenchmarkDifference(Flips(won, lost, 0, rest))
            held[won, lost] = min(test.p_above(truth), test.p_below(truth)) > 0.025
        assert 0.94 <= np.mean([held[won, lost] for won, lost, _ in drawn.tolist()]) <= 0.96

    @given(tables, margins)
    @settings(max_examples=50, deadline=None)
    def test_turns_around_when_the_models_change_places(self, flips, margin):
        there, back = BenchmarkDifference(flips), BenchmarkDifference(mirrored(flips))
        assert there.difference == -back.difference
        assert there.p_above(margin) == back.p_below(-margin)
        assert there.interval().low == pytest.approx(-back.interval().high, abs=1e-9)

    @given(tables)
    @settings(max_examples=30, deadline=None)
    def test_the_interval_is_where_the_p_values_turn(self, flips):
        test = BenchmarkDifference(flips)
        interval = test.interval(0.9)
        assert test.difference in interval
        # The largest p over all rates of flips is not quite monotone: past the end it may rise a little.
        if interval.low > -100:
            assert test.p_above(interval.low - 0.01) <= 0.05 + 0.002
        if interval.high < 100:
            assert test.p_below(interval.high + 0.01) <= 0.05 + 0.002

    @given(tables)
    def test_is_at_nought_the_mcnemar_test_of_the_boards(self, flips):
        test = BenchmarkDifference(flips)
        two_sided = min(1, 2 * min(test.p_above(0), test.p_below(0)))
        assert two_sided == pytest.approx(mcnemar_p(flips.won, flips.lost), abs=1e-12)

    def test_is_near_that_at_the_smallest_margins(self):
        for won, lost in ((60, 20), (20, 60), (30, 28), (22, 10)):
            test = BenchmarkDifference(Flips(won, lost, 300, 120))
            assert test.p_above(1e-6) == pytest.approx(test.p_above(0), abs=0.02)

    def test_knows_that_equal_outcomes_on_few_items_show_little(self):
        """No flip in 100 items: with a true difference of 3 points that happens once in 21 times."""
        test = BenchmarkDifference(Flips(0, 0, 60, 40))
        assert test.p_below(3) == pytest.approx(0.97**100, abs=1e-5)
        assert not equivalence(test, 1).equivalent
        assert equivalence(test, 4).equivalent

    @pytest.mark.parametrize("margin", [100.0, 250.0])
    def test_margins_that_no_difference_exceeds(self, margin):
        test = BenchmarkDifference(Flips(9, 1, 3, 3))
        assert (test.p_below(margin), test.p_above(margin)) == (0.0, 1.0)
        assert BenchmarkDifference(Flips(5, 0, 0, 0)).p_below(100) == 1.0

    @pytest.mark.parametrize("flips", [Flips(0, 0, 0, 0), Flips(-1, 0, 3, 3)])
    def test_refuses_tables_that_cannot_be(self, flips):
        with pytest.raises(ValueError, match=r"items is not a count|negative count"):
            BenchmarkDifference(flips)


class TestAverageDifference:
    SUITE = (Flips(20, 8, 50, 22), Flips(9, 11, 20, 10), Flips(3, 2, 80, 15))

    def test_of_one_benchmark_is_its_score_interval(self):
        interval = AverageDifference((self.SUITE[0],)).interval()
        low, high = score_limits(np.array([20]), np.array([8]), np.array([100]), 1.959964)
        assert (interval.low, interval.high) == pytest.approx((100 * low[0], 100 * high[0]), abs=1e-4)

    def test_is_near_the_bootstrap_of_the_same_flips(self):
        interval, bootstrap = AverageDifference(self.SUITE).interval(), compare_averages(self.SUITE).interval
        assert (interval.low, interval.high) == pytest.approx((bootstrap.low, bootstrap.high), abs=1.0)

    @given(st.lists(tables, min_size=1, max_size=5).map(tuple), margins)
    @settings(max_examples=20, deadline=None)
    def test_turns_around_and_its_p_values_are_its_interval(self, flips, margin):
        test = AverageDifference(flips)
        back = AverageDifference(tuple(map(mirrored, flips)))
        assert test.difference == pytest.approx(-back.difference)
        assert test.p_above(margin) == pytest.approx(back.p_below(-margin), abs=1e-9)
        interval = test.interval(0.9)
        if min(abs(margin - interval.low), abs(margin - interval.high)) > 1e-6:
            assert (test.p_above(margin) <= 0.05) == (margin < interval.low)
            assert (test.p_below(margin) <= 0.05) == (margin > interval.high)

    @pytest.mark.parametrize("losing", [0.06, 0.12])
    def test_covers_the_true_difference_94_to_96_times_in_100(self, losing):
        sizes = [1319, 500, 272, 675]
        low, high = average_limits(*draws(sizes, losing, 0.02), 1.959964)
        assert 0.94 <= np.mean((low <= 0.02) & (high >= 0.02)) <= 0.96

    def test_covers_more_than_that_where_benchmarks_are_small(self):
        low, high = average_limits(*draws([30] * 7, 0.1, 0.02), 1.959964)
        assert 0.95 <= np.mean((low <= 0.02) & (high >= 0.02)) <= 0.99

    @pytest.mark.parametrize(
        ("sizes", "flips"), [([500] * 7, 0.02), ([100] * 7, 0.15), ([1319, 5000, 272, 675], 0.06)]
    )
    def test_flips_all_one_way_are_called_above_their_difference_no_more_often_than_said(self, sizes, flips):
        """The distances of the limits added apart erred up to 5.7 times in 100 instead of 2.5."""
        low, high = average_limits(*draws(sizes, 0.0, flips), 1.959964)
        monte_carlo = 3 * (0.025 * 0.975 / 2000) ** 0.5
        assert np.mean(low > flips) <= 0.025 + monte_carlo
        assert np.mean(high < flips) <= 0.025 + monte_carlo

    def test_refuses_no_benchmark(self):
        with pytest.raises(ValueError, match="at least one benchmark"):
            AverageDifference(())


def draws(sizes: list[int], losing: float, difference: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """won, lost and n of 2000 suites, [2000, K]."""
    shares = [losing + difference, losing, 1 - 2 * losing - difference]
    cells = np.random.default_rng(RNG_SEED).multinomial(sizes, shares, size=(2000, len(sizes)))
    return cells[..., 0], cells[..., 1], np.array(sizes)


class TestEquivalence:
    """Two models that are as far apart as the margin are called equivalent at most 5.5 times in 100.

    Where flips are few relative to the margin, so that equivalence can be shown at all: elsewhere the
    two tests together err less than either, down to never.
    """

    @pytest.mark.parametrize(
        ("n", "margin", "losing"),
        [(30, 15.0, 0.01), (100, 5.0, 0.0), (100, 10.0, 0.03), (500, 3.0, 0.01), (1319, 2.0, 0.01)],
    )
    def test_on_a_benchmark(self, n, margin, losing):
        shares = [losing + margin / 100, losing, 1 - 2 * losing - margin / 100]
        drawn = np.random.default_rng(RNG_SEED).multinomial(n, shares, 2000).tolist()
        shown = {
            (won, lost): equivalent(BenchmarkDifference(Flips(won, lost, 0, rest)), margin)
            for won, lost, rest in {tuple(table) for table in drawn}
        }
        false = np.mean([shown[won, lost] for won, lost, _ in drawn])
        assert false <= 0.055
        # It is a test and not a refusal.
        assert false >= 0.02

    @pytest.mark.parametrize(
        ("sizes", "margin", "losing"),
        [
            ([20, 20], 10.0, 0.02),
            ([40] * 3, 8.0, 0.03),
            ([100] * 7, 4.0, 0.03),
            ([1319, 500, 272, 675], 3.0, 0.03),
        ],
    )
    def test_on_an_average(self, sizes, margin, losing):
        low, high = average_limits(*draws(sizes, losing, margin / 100), 1.644854)
        assert np.mean((high < margin / 100) & (low > -margin / 100)) <= 0.055

    def test_is_what_the_90_percent_interval_within_the_margin_says(self):
        found = equivalence(BenchmarkDifference(Flips(30, 28, 700, 242)), 3)
        assert found.equivalent
        assert (found.margin, found.difference) == (3, pytest.approx(0.2))
        assert -3 < found.interval.low < 0.2 < found.interval.high < 3
        assert found.p == max(found.p_above, found.p_below) <= 0.05

    def test_not_separated_is_not_equivalent(self):
        """4 points apart on 100 items: McNemar sees nothing, and nothing shows that they are equal."""
        flips = Flips(14, 10, 50, 26)
        assert mcnemar_p(14, 10) > 0.4
        assert not equivalence(BenchmarkDifference(flips), 5).equivalent
        assert not equivalence(AverageDifference((flips, flips)), 5).equivalent

    def test_separated_can_be_equivalent(self):
        """Half a point, resolved by many items, is within one point all the same."""
        test = BenchmarkDifference(Flips(120, 60, 9000, 2820))
        assert mcnemar_p(120, 60) < 0.001
        assert equivalence(test, 1).equivalent

    @pytest.mark.parametrize("margin", [0, -1.0])
    def test_refuses_a_margin_that_nothing_lies_within(self, margin):
        with pytest.raises(ValueError, match="has to be above 0"):
            equivalence(BenchmarkDifference(Flips(1, 1, 1, 1)), margin)


def equivalent(test: BenchmarkDifference, margin: float) -> bool:
    return test.p_below(margin) <= 0.05 and test.p_above(-margin) <= 0.05


def test_the_chance_of_no_flip_is_what_the_exact_test_says_it_is():
    """Twenty items, none flipped: under a margin of 10 points that takes 0.9^20, whatever else flips."""
    assert BenchmarkDifference(Flips(0, 0, 12, 8)).p_below(10) == pytest.approx(
        comb(20, 0) * 0.9**20, abs=1e-5
    )


all_margins = st.floats(-100, 100, exclude_min=True, exclude_max=True)
outcomes = st.text("01", min_size=8, max_size=8)
runs = st.lists(st.tuples(outcomes, outcomes), min_size=2, max_size=5)


def over_seeds(pairs: list[tuple[str, str]]) -> SeedDifference:
    return SeedDifference([[[first] for first, _ in pairs]], [[[second] for _, second in pairs]])


smooth_tests = st.one_of(
    st.lists(tables, min_size=1, max_size=4).map(lambda flips: AverageDifference(tuple(flips))),
    runs.map(over_seeds),
)
any_tests = st.one_of(tables.map(BenchmarkDifference), smooth_tests)


class TestAnyMargin:
    """A difference is above what lies below it, and not above what lies above it, however far the margin."""

    @given(any_tests, all_margins)
    @settings(max_examples=150, deadline=None)
    def test_never_both_above_and_below(self, test: DifferenceTest, margin: float):
        assert test.p_above(margin) + test.p_below(margin) >= 1 - 1e-9

    @given(any_tests, all_margins)
    @settings(max_examples=150, deadline=None)
    def test_no_margin_on_the_other_side_of_the_difference_is_rejected(self, test, margin):
        p = test.p_below(margin) if margin < test.difference else test.p_above(margin)
        assert p >= 0.25

    @given(smooth_tests, all_margins, all_margins)
    @settings(max_examples=150, deadline=None)
    def test_p_falls_as_the_margin_recedes(self, test, one, other):
        low, high = sorted((one, other))
        assert test.p_below(high) <= test.p_below(low) + 1e-9
        assert test.p_above(low) <= test.p_above(high) + 1e-9

    @given(smooth_tests, all_margins)
    @settings(max_examples=150, deadline=None)
    def test_p_and_the_interval_decide_alike(self, test, margin):
        interval = test.interval()
        if min(abs(margin - interval.low), abs(margin - interval.high)) > 1e-3:
            assert (test.p_above(margin) <= 0.025) == (margin < interval.low)
            assert (test.p_below(margin) <= 0.025) == (margin > interval.high)

    @given(tables, all_margins)
    @settings(max_examples=150, deadline=None)
    def test_the_exact_p_and_its_interval_decide_alike(self, flips, margin):
        """Apart from a hair at the limits: the counts are whole, so the exact p is not quite monotone."""
        test = BenchmarkDifference(flips)
        narrow, wide = test.interval(0.85), test.interval(0.99)
        if margin < wide.low - 0.01:
            assert test.p_above(margin) <= 0.025 < test.p_below(margin)
        elif margin > wide.high + 0.01:
            assert test.p_below(margin) <= 0.025 < test.p_above(margin)
        elif margin in narrow:
            assert min(test.p_above(margin), test.p_below(margin)) > 0.025

    @pytest.mark.parametrize("margin", [-99.0, -20.0, -5.0, 5.0, 20.0, 99.0])
    def test_few_flips_of_many_are_below_large_margins_and_not_above_them(self, margin):
        """5 won and 3 lost of 1000: no discordance that they allow holds a difference of 5 points."""
        test = BenchmarkDifference(Flips(5, 3, 600, 392))
        shown = test.p_below(margin) < 0.001, test.p_above(margin) < 0.001
        assert shown == (margin > 0, margin < 0)
