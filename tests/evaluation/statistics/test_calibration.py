"""Calibration is measured as slow references measure it; simulated forecasters are told for what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from experiments.statistics.draws import coverage_of_calibration, forecasts
from lrbench.evaluation.statistics import area_under_curve, calibration

RNG_SEED = 20268

pairs = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.55, 0.8, 0.9, 1.0]), st.booleans()),
    min_size=1,
    max_size=40,
)


def measured(found, groups=None):
    confidences, right = zip(*found, strict=True)
    return calibration(confidences, right, groups)


class TestError:
    @given(pairs)
    def test_is_the_mean_distance_of_bins_by_their_size(self, found):
        bins = {}
        for confidence, right in found:
            place = next(place for place in range(10) if confidence <= (place + 1) / 10)
            bins.setdefault(place, []).append((confidence, right))
        distances = [
            len(b) * abs(np.mean([c for c, _ in b]) - np.mean([r for _, r in b])) for b in bins.values()
        ]
        result = measured(found)
        assert result.error.value == pytest.approx(sum(distances) / len(found), abs=1e-12)
        assert [one.n for one in result.bins] == [len(bins[place]) for place in sorted(bins)]
        assert sum(one.n for one in result.bins) == result.n == len(found)
        assert all(one.low - 1e-9 <= one.confidence <= one.high + 1e-9 for one in result.bins)

    @given(pairs)
    def test_its_interval_holds_it_and_is_the_same_every_time(self, found):
        result = measured(found)
        assert result.error.value in result.error.interval
        assert 0 <= result.error.interval.low <= result.error.interval.high <= 1
        assert measured(found) == result


class TestBrier:
    @given(pairs)
    def test_is_the_mean_squared_distance(self, found):
        assert measured(found).brier.value == pytest.approx(np.mean([(c - r) ** 2 for c, r in found]))


class TestArea:
    @given(pairs)
    def test_is_the_share_of_pairs_that_are_in_order_with_ties_half(self, found):
        right = [c for c, r in found if r]
        wrong = [c for c, r in found if not r]
        result = measured(found).area
        if not right or not wrong:
            assert result is None
        else:
            ordered = [(a > b) + (a == b) / 2 for a in right for b in wrong]
            assert result.value == pytest.approx(np.mean(ordered))
            assert result.value == pytest.approx(mannwhitneyu(right, wrong).statistic / len(ordered))
            assert result.value in result.interval

    def test_its_size_is_that_of_delongs_variance(self):
        """DeLong, DeLong and Clarke-Pearson (1988), by every pair; the interval is Wilson's at it."""
        generator = np.random.default_rng(RNG_SEED)
        confidence = np.round(generator.random(200), 2)
        right = generator.random(200) < confidence
        ordered = (confidence[right][:, None] > confidence[~right]) + 0.5 * (
            confidence[right][:, None] == confidence[~right]
        )
        variance = (
            ordered.mean(axis=1).var(ddof=1) / right.sum() + ordered.mean(axis=0).var(ddof=1) / (~right).sum()
        )
        found = area_under_curve(confidence, right)
        reach = (found.interval.high - found.interval.low) / 2
        assert reach == pytest.approx(1.97 * np.sqrt(variance), rel=0.03)

    def test_of_forecasts_that_know_everything_is_one_and_not_certain(self):
        found = calibration([0.9] * 5 + [0.1] * 5, [True] * 5 + [False] * 5).area
        assert found.value == 1.0
        assert found.interval.low < 0.7

    def test_copies_of_forecasts_in_groups_say_nothing_new(self):
        generator = np.random.default_rng(RNG_SEED)
        confidence = generator.random(100)
        right = generator.random(100) < confidence
        once = calibration(confidence, right)
        copied = calibration(np.tile(confidence, 4), np.tile(right, 4), list(range(100)) * 4)
        for name in ("error", "brier", "area"):
            one, more = getattr(once, name), getattr(copied, name)
            assert more.value == pytest.approx(one.value)
            assert more.interval.low == pytest.approx(one.interval.low, abs=0.01)
            assert more.interval.high == pytest.approx(one.interval.high, abs=0.01)


class TestForecasters:
    def test_a_perfect_one_passes_and_one_that_is_too_sure_does_not(self):
        generator = np.random.default_rng(RNG_SEED)
        results = {}
        for kind in ("perfect", "overconfident", "constant"):
            confidence, chance = forecasts(kind, 2000, generator)
            results[kind] = calibration(confidence, generator.random(2000) < chance)
        assert results["perfect"].error.interval.low == 0.0
        assert results["perfect"].error.value <= results["perfect"].error_of_calibrated
        sure = results["overconfident"]
        assert sure.error.interval.low > 0.1
        assert all(one.confidence > one.right for one in sure.bins if one.n > 50)
        # Too sure and just as well ordered: the area does not see it.
        assert sure.area.value > 0.75
        constant = results["constant"]
        assert [one.n for one in constant.bins] == [2000]
        assert constant.error.value == pytest.approx(0.15, abs=0.03)
        assert constant.area.value == 0.5

    @pytest.mark.parametrize("kind", ["perfect", "overconfident", "constant"])
    def test_intervals_cover_what_they_promise(self, kind):
        error, brier, area, passes = coverage_of_calibration(kind, 100, 120)
        assert error >= 0.9
        assert 0.89 <= brier <= 1
        assert area >= 0.89
        assert passes >= 0.89 if kind == "perfect" else passes < 0.3


@pytest.mark.parametrize(("confidences", "right"), [([], []), ([0.5], [True, False])])
def test_refuses_what_are_no_forecasts(confidences, right):
    with pytest.raises(ValueError, match="are no forecasts"):
        calibration(confidences, right)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_refuses_what_is_no_confidence(confidence):
    with pytest.raises(ValueError, match="a number from 0 to 1"):
        calibration([confidence], [True])
