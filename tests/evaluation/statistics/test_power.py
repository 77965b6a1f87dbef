"""Planned numbers of items keep their promise: the exact test separates as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from lrbench.evaluation.statistics import (
    items_to_separate,
    mcnemar_p,
    mcnemar_power,
    smallest_detectable_difference,
)

RNG_SEED = 20264


class TestPower:
    @pytest.mark.parametrize(
        ("n", "discordance", "difference"), [(25, 0.4, 20), (40, 0.2, 10), (60, 0.1, 0), (30, 1.0, 60)]
    )
    def test_is_the_chance_of_every_separating_table_added_up(self, n, discordance, difference):
        winning = (1 + difference / 100 / discordance) / 2
        expected = sum(
            binom.pmf(flips, n, discordance) * binom.pmf(won, flips, winning)
            for flips in range(n + 1)
            for won in range(flips + 1)
            if mcnemar_p(won, flips - won) < 0.05
        )
        assert mcnemar_power(n, discordance, difference) == pytest.approx(expected, abs=1e-9)

    def test_is_how_often_simulated_runs_are_separated(self):
        drawn = np.random.default_rng(RNG_SEED).multinomial(1319, [0.09, 0.06, 0.85], 2000).tolist()
        separated = np.mean([mcnemar_p(won, lost) < 0.05 for won, lost, _ in drawn])
        assert mcnemar_power(1319, 0.15, 3.0) == pytest.approx(separated, abs=0.025)

    @pytest.mark.parametrize("n", [30, 100, 500, 1319])
    @pytest.mark.parametrize("discordance", [0.02, 0.1, 0.3, 0.6])
    def test_equal_models_are_separated_at_most_5_times_in_100(self, n, discordance):
        """The type-I error of McNemar's mid-p, not simulated but counted."""
        assert mcnemar_power(n, discordance, 0.0) <= 0.05

    @pytest.mark.parametrize(
        ("n", "discordance", "difference", "exact"),
        # The power of the exact test, simulated.
        [(100, 0.1, 7, 0.51), (272, 0.1, 5, 0.70), (500, 0.1, 4, 0.78)],
    )
    def test_more_is_found_than_by_the_exact_test(self, n, discordance, difference, exact):
        assert mcnemar_power(n, discordance, difference) > exact + 0.03

    def test_in_simulation_too(self):
        drawn = np.random.default_rng(RNG_SEED).multinomial(500, [0.08, 0.08, 0.84], 2000).tolist()
        assert np.mean([mcnemar_p(won, lost) < 0.05 for won, lost, _ in drawn]) <= 0.055

    def test_refuses_a_difference_larger_than_all_flips(self):
        with pytest.raises(ValueError, match=r"12 points apart takes more flips than 0.1 of the items"):
            mcnemar_power(100, 0.1, 12)

    @pytest.mark.parametrize(("n", "discordance"), [(0, 0.1), (10, 0.0), (10, 1.1)])
    def test_refuses_what_cannot_be(self, n, discordance):
        with pytest.raises(ValueError, match="cannot be planned with"):
            mcnemar_power(n, discordance, 0)


class TestSmallestDetectableDifference:
    @given(st.integers(20, 2000), st.floats(0.05, 0.6))
    @settings(max_examples=30, deadline=None)
    def test_has_the_power_it_is_for(self, n, discordance):
        found = smallest_detectable_difference(n, discordance)
        if found is None:
            assert mcnemar_power(n, discordance, 100 * discordance) < 0.8
        else:
            assert mcnemar_power(n, discordance, found) == pytest.approx(0.8, abs=1e-3)

    def test_at_gsm8k_is_three_points_so_that_the_published_14_tenths_are_out_of_reach(self):
        assert smallest_detectable_difference(1319, 0.15) == pytest.approx(2.98, abs=0.05)

    def test_five_items_detect_nothing(self):
        assert smallest_detectable_difference(5, 0.3) is None

    @pytest.mark.parametrize("power", [0, 1, 80])
    def test_refuses_a_power_that_is_none(self, power):
        with pytest.raises(ValueError, match=r"power .* is not between 0 and 1"):
            smallest_detectable_difference(100, 0.2, power)


class TestItemsToSeparate:
    @pytest.mark.parametrize(("difference", "discordance"), [(1.4, 0.15), (3, 0.1), (-10, 0.3), (20, 0.2)])
    def test_is_enough_and_hardly_less_is_not(self, difference, discordance):
        n = items_to_separate(difference, discordance)
        assert mcnemar_power(n, discordance, difference) >= 0.8
        assert mcnemar_power(n - 1, discordance, difference) < 0.8
        assert mcnemar_power(int(0.9 * n), discordance, difference) < 0.8

    def test_is_near_the_normal_formula_at_many_items(self):
        """Connor (1987)."""
        d, delta = 0.15, 0.014
        normal = (norm.ppf(0.975) * d**0.5 + norm.ppf(0.8) * (d - delta**2) ** 0.5) ** 2 / delta**2
        assert items_to_separate(1.4, 0.15) == pytest.approx(normal, rel=0.01)

    def test_no_difference_is_never_separated(self):
        assert items_to_separate(0, 0.2) is None
        assert items_to_separate(0.001, 0.2) is None
