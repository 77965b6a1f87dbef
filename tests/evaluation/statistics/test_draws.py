"""avg@k, pass@k and maj@k equal enumeration, their intervals are Wilson's with one draw, and cover."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.statistics.draws import SPREADS, coverage_of_draws
from lrbench.evaluation.statistics import (
    Estimate,
    Interval,
    average_at_k,
    draws_matrix,
    majority_at_k,
    mean_of_benchmarks,
    pass_at_k_of_items,
    wilson_interval,
)


@st.composite
def tables(draw, items=8, draws=5):
    shape = draw(st.integers(1, items)), draw(st.integers(1, draws))
    bits = draw(st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(bits).reshape(shape)


def both(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.interval.low, estimate.interval.high


class TestDrawsMatrix:
    def test_has_a_row_for_every_item_and_a_column_for_every_draw(self):
        assert draws_matrix(["101", "001"]).tolist() == [[True, False], [False, False], [True, True]]

    @pytest.mark.parametrize("draws", [[], [""], ["10", "1"]])
    def test_refuses_draws_of_nothing_or_of_other_items(self, draws):
        with pytest.raises(ValueError, match="every draw needs an outcome of the same items"):
            draws_matrix(draws)


class TestValues:
    @given(tables(), st.data())
    def test_pass_at_k_is_the_share_of_all_choices_of_k_draws_that_hold_a_right_one(self, right_NM, data):
        k = data.draw(st.integers(1, right_NM.shape[1]))
        chosen = [[any(choice) for choice in combinations(right_M.tolist(), k)] for right_M in right_NM]
        assert pass_at_k_of_items(right_NM, k).value == pytest.approx(np.mean(chosen))

    @given(tables())
    def test_of_one_are_all_the_share_right(self, right_NM):
        answers = [["a"] * right_NM.shape[1]] * len(right_NM)
        found = average_at_k(right_NM), pass_at_k_of_items(right_NM, 1), majority_at_k(right_NM, answers, 1)
        assert [one.value for one in found] == pytest.approx([right_NM.mean()] * 3)
        assert both(found[0]) == pytest.approx(both(found[1]))
        assert both(found[0]) == pytest.approx(both(found[2]))

    @given(tables(draws=7), st.data())
    def test_maj_at_k_is_the_vote_of_sets_that_follow_one_another(self, right_NM, data):
        k = data.draw(st.integers(1, right_NM.shape[1]))
        texts = st.sampled_from(["1", "2", "3", None])
        answers = [[data.draw(texts) for _ in right_M] for right_M in right_NM]
        won = []
        for right_M, said in zip(right_NM, answers, strict=True):
            for start in range(0, len(said) - k + 1, k):
                votes = Counter(said[start : start + k])
                del votes[None]
                # The most votes; of as many, the one seen first.
                best = max(votes, key=lambda text: (votes[text], -said.index(text, start)), default=None)
                won.append(right_M[said.index(best, start) if votes else start])
        assert majority_at_k(right_NM, answers, k).value == pytest.approx(np.mean(won))

    def test_a_tie_goes_to_the_answer_drawn_first(self):
        right_NM = np.array([[False, True, True, False]])
        assert majority_at_k(right_NM, [["7", "5", "5", "7"]], 4).value == 0.0
        assert majority_at_k(right_NM, [["5", "7", "7", "5"]], 4).value == 0.0
        assert majority_at_k(right_NM, [["7", "5", "5", "5"]], 4).value == 1.0

    def test_an_answer_that_cannot_be_read_has_no_vote(self):
        assert majority_at_k(np.array([[False, False, True]]), [[None, None, "5"]], 3).value == 1.0

    def test_refuses_more_than_were_drawn(self):
        right_NM = np.ones((3, 4), bool)
        with pytest.raises(ValueError, match="pass@5 cannot be estimated from 4 samples"):
            pass_at_k_of_items(right_NM, 5)
        with pytest.raises(ValueError, match="maj@5 cannot be estimated from 4 samples"):
            majority_at_k(right_NM, [["1"] * 4] * 3, 5)
        with pytest.raises(ValueError, match="every draw of every item needs an answer"):
            majority_at_k(right_NM, [["1"] * 3] * 3, 2)
        with pytest.raises(ValueError, match="at least one of each"):
            average_at_k(np.ones((0, 4)))


class TestIntervals:
    @given(st.lists(st.booleans(), min_size=1, max_size=300))
    def test_with_one_draw_are_wilsons_number_for_number(self, outcomes):
        right_NM = np.array(outcomes)[:, None]
        expected = wilson_interval(sum(outcomes), len(outcomes))
        assert average_at_k(right_NM).interval == expected
        assert pass_at_k_of_items(right_NM, 1).interval == expected
        assert majority_at_k(right_NM, [["7"]] * len(outcomes), 1).interval == expected

    @given(tables(items=40, draws=6), st.integers(2, 4))
    def test_that_count_items_do_not_care_how_often_the_same_draw_is_repeated(self, right_NM, times):
        """Draws that always agree say nothing new, which counting them as outcomes would not see."""
        alike_NM = np.repeat(right_NM[:, :1], times, axis=1)
        once, more = average_at_k(right_NM[:, :1]), average_at_k(alike_NM)
        assert more.value == once.value
        # The size of that many alike is estimated, and so its quantile is Student's.
        assert more.interval.low <= once.interval.low + 1e-12
        assert more.interval.high >= once.interval.high - 1e-12

    @given(tables(items=40, draws=6), st.data())
    def test_hold_the_value_and_stay_between_nought_and_one(self, right_NM, data):
        k = data.draw(st.integers(1, right_NM.shape[1]))
        groups = data.draw(st.lists(st.sampled_from("abc"), min_size=len(right_NM), max_size=len(right_NM)))
        for estimate in (pass_at_k_of_items(right_NM, k), average_at_k(right_NM, groups)):
            assert estimate.value in estimate.interval
            assert 0 <= estimate.interval.low < estimate.interval.high <= 1

    def test_shrink_with_draws_but_not_below_what_items_vary_by(self):
        generator = np.random.default_rng(1)
        rate_N1 = generator.beta(0.5, 0.5, size=(200, 1))
        widths = []
        for draws in (1, 8, 512):
            interval = average_at_k(generator.random((200, draws)) < rate_N1).interval
            widths.append(interval.high - interval.low)
        assert widths[0] > widths[1] > widths[2]
        # The standard deviation of Beta(1/2, 1/2) is 1 / sqrt(8), and 3.94 errors are the width.
        assert widths[2] == pytest.approx(3.94 / np.sqrt(8 * 200), rel=0.1)

    def test_of_all_right_say_no_more_than_the_items_do(self):
        assert average_at_k(np.ones((30, 64), bool)).interval == wilson_interval(30, 30)

    @pytest.mark.parametrize(
        ("items", "draws", "k", "mean", "spread"),
        [
            (100, 8, 1, 0.5, "bowl"),
            (100, 8, 1, 0.7, "hill"),
            (100, 8, 1, 0.5, "alike"),
            (30, 64, 1, 0.5, "bowl"),
        ],
    )
    def test_cover_what_they_promise(self, items, draws, k, mean, spread):
        assert 0.935 <= coverage_of_draws(items, draws, k, mean, SPREADS[spread]) <= 0.975

    @pytest.mark.parametrize(("items", "mean"), [(30, 0.5), (30, 0.9), (100, 0.9)])
    def test_of_pass_at_k_cover_at_least_what_they_promise(self, items, mean):
        assert coverage_of_draws(items, 8, 4, mean, SPREADS["bowl"]) >= 0.935


class TestMeanOfBenchmarks:
    def test_of_one_is_that_one(self):
        estimate = average_at_k(np.eye(4, 3))
        assert both(mean_of_benchmarks([estimate])) == pytest.approx(both(estimate))

    def test_of_like_ones_is_narrower_by_the_root_of_their_number(self):
        estimate = Estimate(0.5, Interval(0.4, 0.6))
        assert both(mean_of_benchmarks([estimate] * 4)) == pytest.approx((0.5, 0.45, 0.55))

    @settings(max_examples=50)
    @given(st.lists(tables(), min_size=1, max_size=5))
    def test_holds_the_mean_and_stays_between_nought_and_one(self, benchmarks):
        estimate = mean_of_benchmarks([average_at_k(right_NM) for right_NM in benchmarks])
        assert estimate.value == pytest.approx(np.mean([right_NM.mean() for right_NM in benchmarks]))
        assert 0 <= estimate.interval.low <= estimate.value <= estimate.interval.high <= 1

    def test_refuses_no_benchmark(self):
        with pytest.raises(ValueError, match="at least one benchmark"):
            mean_of_benchmarks([])
