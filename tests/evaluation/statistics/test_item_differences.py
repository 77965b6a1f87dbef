"""Sign flips equal enumeration, one draw is McNemar's, and equal models are seldom separated."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_1samp

from experiments.statistics.draws import errors_of_difference
from lrbench.evaluation.statistics import (
    BenchmarkDifference,
    DrawsDifference,
    PairedDraws,
    compare_average,
    compare_averages,
    compare_benchmark,
    count_flips,
    difference_test,
    equivalence,
    mcnemar_p,
    sign_flip_p,
)

RNG_SEED = 20266


@st.composite
def pairs(draw, least=1, items=12, first=3, second=4):
    shape = draw(st.integers(least, items)), draw(st.integers(1, first)), draw(st.integers(1, second))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    both = [generator.random((shape[0], draws)) < 0.6 for draws in shape[1:]]
    groups = draw(st.none() | st.just([f"g{number // 2}" for number in range(shape[0])]))
    return PairedDraws(*both, groups)


def turned(pair: PairedDraws) -> PairedDraws:
    return PairedDraws(pair.second, pair.first, pair.groups)


class TestSignFlips:
    @given(st.lists(st.integers(-9, 9), min_size=1, max_size=10))
    def test_are_every_way_of_turning_them_around_with_half_of_as_far_a_sum(self, differences):
        sums = [
            abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
            for signs in product((-1, 1), repeat=len(differences))
        ]
        total = abs(sum(differences))
        expected = np.mean([(one > total) + (one == total) / 2 for one in sums]) if total else 1.0
        assert sign_flip_p(np.array(differences)) == pytest.approx(expected)
        # Numbers that are not whole are enumerated.
        assert sign_flip_p(np.array(differences) / 7) == pytest.approx(expected)

    @given(st.integers(0, 300), st.integers(0, 300))
    def test_of_single_flips_are_mcnemars_mid_p(self, won, lost):
        differences = np.repeat([1, -1, 0], [won, lost, 5])
        assert sign_flip_p(differences) == pytest.approx(mcnemar_p(won, lost), rel=1e-9, abs=1e-12)

    @given(st.lists(st.integers(-9, 9), min_size=1, max_size=40), st.integers(2, 5))
    def test_do_not_care_for_the_unit_nor_for_the_side(self, differences, unit):
        once = sign_flip_p(np.array(differences))
        assert sign_flip_p(unit * np.array(differences)) == pytest.approx(once)
        assert sign_flip_p(-np.array(differences)) == pytest.approx(once)

    def test_drawn_are_near_scipys(self):
        differences = np.random.default_rng(RNG_SEED).normal(0.25, 1, size=60)
        found = permutation_test(
            (differences,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1
        ).pvalue
        assert sign_flip_p(differences) == pytest.approx(found, abs=0.015)
        assert sign_flip_p(differences) == sign_flip_p(differences)

    def test_drawn_and_counted_agree(self):
        differences = np.random.default_rng(RNG_SEED).integers(-8, 11, size=80)
        assert sign_flip_p(differences / 1.0) == pytest.approx(sign_flip_p(differences), abs=0.015)


class TestOneDraw:
    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
    def test_is_compared_as_flips_are_number_for_number(self, outcomes):
        first, second = np.array(outcomes).T
        flips = count_flips(*("".join("01"[int(bit)] for bit in one) for one in (first, second)))
        pair = PairedDraws(first[:, None], second[:, None])
        assert compare_average([pair]) == compare_benchmark(flips)
        assert difference_test([pair]) == BenchmarkDifference(flips)
        # Items that stand for themselves are no groups.
        alone = PairedDraws(first[:, None], second[:, None], [str(place) for place in range(len(first))])
        assert compare_average([alone]) == compare_benchmark(flips)

    def test_of_averages_too(self):
        generator = np.random.default_rng(RNG_SEED)
        tables = [generator.random((2, n, 1)) < 0.7 for n in (50, 80)]
        flips = [
            count_flips(*("".join("01"[bit] for bit in one[:, 0].astype(int)) for one in both))
            for both in tables
        ]
        assert compare_average([PairedDraws(*both) for both in tables]) == compare_averages(tuple(flips))

    def test_by_the_general_way_has_the_same_p(self):
        generator = np.random.default_rng(RNG_SEED)
        first, second = generator.random((2, 300, 1)) < np.array([[[0.75]], [[0.65]]])
        pair = PairedDraws(first, second)
        assert DrawsDifference((pair,)).p == pytest.approx(compare_average([pair]).p)
        # Agresti and Min's interval and Student's agree where items are many.
        there, here = DrawsDifference((pair,)).interval(), compare_average([pair]).interval
        assert (there.low, there.high) == pytest.approx((here.low, here.high), abs=0.2)


class TestDrawsDifference:
    @given(pairs(least=6, items=40))
    def test_without_groups_is_students_test_of_the_items_mean_differences(self, pair):
        pair = PairedDraws(pair.first, pair.second)
        each = pair.first.mean(axis=1) - pair.second.mean(axis=1)
        assume(np.count_nonzero(each) >= 5)
        assume(np.std(each) > 0)
        found, expected = DrawsDifference((pair,)), ttest_1samp(each, 0.03, alternative="less")
        assert found.difference == pytest.approx(100 * each.mean(), abs=1e-9)
        assert found.p_below(3.0) == pytest.approx(expected.pvalue)
        interval = ttest_1samp(each, 0).confidence_interval(0.95)
        assert found.interval().low == pytest.approx(max(-100, 100 * interval.low))

    @given(st.lists(pairs(), min_size=1, max_size=3))
    @settings(max_examples=50)
    def test_turns_around_when_the_models_change_places(self, benchmarks):
        there, back = DrawsDifference(tuple(benchmarks)), DrawsDifference(tuple(map(turned, benchmarks)))
        assert back.difference == pytest.approx(-there.difference)
        assert back.p == pytest.approx(there.p)
        assert back.interval().low == pytest.approx(-there.interval().high)
        assert back.p_above(2.0) == pytest.approx(there.p_below(-2.0))

    @given(pairs(least=2))
    def test_repeating_every_draw_changes_nothing(self, pair):
        again = PairedDraws(np.tile(pair.first, 2), np.tile(pair.second, 3), pair.groups)
        once, more = DrawsDifference((pair,)), DrawsDifference((again,))
        assert more.p == pytest.approx(once.p)
        assert more.interval().high == pytest.approx(once.interval().high)

    @given(pairs(least=4))
    def test_copies_of_items_in_groups_say_nothing_new(self, pair):
        pair = PairedDraws(pair.first, pair.second)
        groups = [str(place) for place in range(pair.n)] * 3
        copied = PairedDraws(np.tile(pair.first, (3, 1)), np.tile(pair.second, (3, 1)), groups)
        assert DrawsDifference((copied,)).p == pytest.approx(DrawsDifference((pair,)).p)

    def test_on_the_side_of_nought_agrees_with_the_test(self):
        generator = np.random.default_rng(RNG_SEED)
        pair = PairedDraws(generator.random((60, 4)) < 0.7, generator.random((60, 8)) < 0.5)
        test = DrawsDifference((pair,))
        assert test.difference > 0
        assert test.p_above(0) == pytest.approx(test.p / 2)
        assert test.p_above(0) + test.p_below(0) == pytest.approx(1)
        found = equivalence(test, 60)
        assert found.equivalent == (found.interval.low >= -60 and found.interval.high <= 60)

    def test_of_models_that_always_agree_is_no_certain_nought(self):
        found = compare_average([PairedDraws(np.ones((30, 64), bool), np.ones((30, 64), bool))])
        assert found.p == 1.0
        assert found.interval.high > 10
        assert found.verdict == "inconclusive"

    def test_of_one_group_separates_nothing(self):
        pair = PairedDraws(np.ones((50, 2), bool), np.zeros((50, 2), bool), ["a"] * 50)
        assert not compare_average([pair]).separated

    def test_refuses_what_cannot_be_paired(self):
        with pytest.raises(ValueError, match="draws of 3 and 2 items cannot be paired"):
            PairedDraws(np.ones((3, 2)), np.ones((2, 2)))
        with pytest.raises(ValueError, match="at least one of each"):
            PairedDraws(np.ones((0, 2)), np.ones((0, 2)))
        with pytest.raises(ValueError, match="3 items have 1 groups"):
            PairedDraws(np.ones((3, 2)), np.ones((3, 2)), ["a"])
        with pytest.raises(ValueError, match="at least one benchmark"):
            compare_average([])


class TestErrors:
    @pytest.mark.parametrize(
        ("items", "draws", "group", "between"),
        [(30, 8, 1, 0.0), (30, 8, 1, 0.3), (100, 8, 1, 0.3), (1000, 1, 10, 0.3), (300, 4, 10, 0.3)],
    )
    def test_equal_models_are_separated_5_times_in_100_and_the_interval_covers(
        self, items, draws, group, between
    ):
        separated, held = errors_of_difference(items, draws, group, between, sets=800)
        assert 0.03 <= separated <= 0.07
        assert 0.93 <= held <= 0.97

    def test_where_mcnemar_over_draws_separates_them_far_more_often(self):
        """The reason for all this: draws of one item are no items."""
        generator, separated = np.random.default_rng(RNG_SEED), 0
        for _ in range(300):
            rate_N1 = generator.choice([0.2, 0.8], size=(2, 60, 1))
            first, second = (generator.random((60, 16)) < rate for rate in rate_N1)
            won, lost = int(np.sum(first & ~second)), int(np.sum(~first & second))
            separated += mcnemar_p(won, lost) < 0.05
        assert separated / 300 > 0.2
