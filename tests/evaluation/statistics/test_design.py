"""Planned designs keep their promise: sign flips separate as often as the power says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from lrbench.evaluation.statistics import (
    COMPETITION,
    Design,
    PairedDraws,
    compare_average,
    design_of,
    smallest_detectable_difference,
)

RNG_SEED = 20267


class TestPower:
    @given(st.integers(5, 500), st.integers(1, 64), st.floats(0.02, 0.4), st.floats(0, 20))
    def test_is_statsmodels_for_a_paired_t_test(self, items, draws, between, difference):
        design = Design(items, draws, between, within=0.1)
        deviation = 100 * np.sqrt(between**2 + 2 * 0.1 / draws)
        expected = TTestPower().power(difference / deviation, items, 0.05)
        # Far out statsmodels has no number.
        assert design.power(difference) == pytest.approx(np.nan_to_num(expected, nan=1.0), abs=1e-6)

    @pytest.mark.parametrize("design", [replace(COMPETITION, draws=8), Design(120, 4, 0.2, 0.14)])
    def test_is_how_often_simulated_models_are_separated(self, design):
        generator, separated, runs = np.random.default_rng(RNG_SEED), 0, 400
        gain = design.smallest_detectable_difference() / 100
        for _ in range(runs):
            # Two-point rates: p (1 - p) is 1/4 less the squared distance from a half.
            distance = np.sqrt(0.25 - design.within - design.between**2 / 4)
            middle_N = 0.5 + generator.choice([-1, 1], size=design.items) * distance
            either_N = generator.choice([-0.5, 0.5], size=design.items) * design.between
            rates_N = middle_N + either_N + gain / 2, middle_N - either_N - gain / 2
            shape = design.items, design.draws
            pair = PairedDraws(
                *(generator.random(shape) < np.clip(rate_N, 0, 1)[:, None] for rate_N in rates_N)
            )
            separated += compare_average([pair]).separated
        assert separated / runs == pytest.approx(0.8, abs=0.07)

    @given(st.integers(4, 400), st.floats(0, 30))
    def test_groups_whose_items_are_alike_count_once(self, groups, difference):
        """But for the degrees of freedom, copies of items are no items."""
        once = Design(groups, 4, 0.2, 0.1)
        copied = Design(5 * groups, 4, 0.2, 0.1, group=5, correlation=1.0)
        assert copied.error == pytest.approx(once.error)
        assert copied.power(difference) == pytest.approx(once.power(difference))

    @pytest.mark.parametrize(("items", "difference"), [(2, 100.0), (5000, 100.0), (30, 0.0)])
    def test_is_a_chance_however_large_the_difference(self, items, difference):
        power = Design(items, 64, 0.1, 0.1).power(difference)
        assert 0.05 - 1e-9 <= power <= 1.0


class TestSmallestDetectableDifference:
    def test_of_thirty_problems_and_64_draws_is_nine_points(self):
        """What most comparisons on such sets claim is less."""
        assert COMPETITION.smallest_detectable_difference() == pytest.approx(9.0, abs=0.1)

    def test_falls_with_draws_but_not_below_what_items_vary_by(self):
        found = [
            replace(COMPETITION, draws=draws).smallest_detectable_difference() for draws in (1, 8, 64, 10**6)
        ]
        assert found == sorted(found, reverse=True)
        assert found[-1] > 8

    def test_with_one_draw_is_near_mcnemars(self):
        """Discordance 15% at n = 1319; a t test of so many flips is McNemar's."""
        design = Design(1319, 1, between=0.0, within=0.075)
        assert design.smallest_detectable_difference() == pytest.approx(
            smallest_detectable_difference(1319, 0.15), rel=0.02
        )

    def test_is_infinite_where_nothing_is_enough(self):
        assert Design(2, 1, 0.3, 0.25).smallest_detectable_difference() == float("inf")

    @pytest.mark.parametrize("power", [0, 1, 80])
    def test_refuses_a_power_that_is_none(self, power):
        with pytest.raises(ValueError, match="is not between 0 and 1"):
            COMPETITION.smallest_detectable_difference(power)


class TestPilot:
    def test_tells_what_items_vary_by_from_what_draws_do(self):
        generator = np.random.default_rng(RNG_SEED)
        middle_N1 = generator.uniform(0.3, 0.7, size=(3000, 1))
        either_N1 = generator.choice([-0.1, 0.1], size=(3000, 1))
        found = design_of(
            PairedDraws(
                generator.random((3000, 8)) < middle_N1 + either_N1, generator.random((3000, 4)) < middle_N1
            )
        )
        assert found.between == pytest.approx(0.1, abs=0.02)
        assert found.within == pytest.approx(0.25 - 0.4**2 / 12 - 0.005, abs=0.01)

    def test_takes_several_draws(self):
        with pytest.raises(ValueError, match="two draws of two items"):
            design_of(PairedDraws(np.ones((5, 1)), np.ones((5, 2))))


@pytest.mark.parametrize(
    "wrong", [{"draws": 0}, {"group": 20}, {"between": -1}, {"within": 0.3}, {"correlation": 1.5}]
)
def test_a_design_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"are no design|cannot be"):
        replace(COMPETITION, **wrong)
