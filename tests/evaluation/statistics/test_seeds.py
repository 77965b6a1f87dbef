"""Seeds, reruns and items are told apart, intervals over seeds cover, and what is unknown is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lrbench.evaluation.statistics import (
    SeedDifference,
    equivalence,
    macro_average,
    mean_over_seeds,
    wilson_interval,
)

RNG_SEED = 20265


def texts(outcomes_SRN: np.ndarray) -> list[list[str]]:
    return [["".join("01"[int(bit)] for bit in run) for run in seed] for seed in outcomes_SRN]


class World:
    """Arms that answer an item right when its ease, the seed's and the rerun's luck and chance add up.

    Standard deviations: 1 for the ease of items, `seed` and `rerun` for luck, `chance` for what differs
    between runs item by item.
    """

    def __init__(self, seed: float = 0.0, rerun: float = 0.0, chance: float = 0.5) -> None:
        self.seed, self.rerun, self.chance = seed, rerun, chance
        self.generator = np.random.default_rng(RNG_SEED)

    def ease(self, items: int) -> np.ndarray:
        return self.generator.normal(size=items)

    def arm(self, ease_N: np.ndarray, seeds: int, reruns: int, skill: float = 0.0) -> np.ndarray:
        draw = self.generator.normal
        luck = self.seed * draw(size=(seeds, 1, 1)) + self.rerun * draw(size=(seeds, reruns, 1))
        noise = self.chance * draw(size=(seeds, reruns, len(ease_N)))
        return (ease_N + skill + luck + noise > 0).astype(float)

    def accuracy(self, skill: float = 0.0) -> float:
        return float(norm.cdf(skill / np.sqrt(1 + self.seed**2 + self.rerun**2 + self.chance**2)))


class TestMeanOverSeeds:
    def test_of_one_run_is_the_accuracy_with_wilsons_interval_and_says_what_is_unknown(self):
        mean = mean_over_seeds([[["1" * 70 + "0" * 30]]])
        assert (mean.value, mean.interval) == (0.7, wilson_interval(70, 100))
        assert (mean.spread.seeds, mean.spread.reruns) == (None, None)
        assert mean.spread.items == pytest.approx(np.sqrt(0.7 * 0.3 / 99))
        assert mean.notes == (
            "one seed: how much other seeds would differ is unknown and not in the interval",
            "one rerun: how much a repetition would differ is unknown and not in the interval",
        )

    def test_of_one_run_on_several_benchmarks_is_the_macro_average(self):
        mean = mean_over_seeds([[["1" * 30 + "0" * 30]], [["1" * 45 + "0" * 5]]])
        assert (mean.value, mean.interval) == (
            pytest.approx(0.7),
            macro_average(((30, 60), (45, 50))).interval,
        )

    def test_of_one_seed_run_three_times_knows_reruns_and_not_seeds(self):
        world = World(rerun=0.3)
        mean = mean_over_seeds([texts(world.arm(world.ease(400), 1, 3))])
        assert mean.spread.seeds is None
        assert mean.spread.reruns > 0
        assert mean.notes == (
            "one seed: how much other seeds would differ is unknown and not in the interval",
        )

    def test_of_three_seeds_run_once_counts_reruns_as_seeds(self):
        world = World(seed=0.3)
        mean = mean_over_seeds([texts(world.arm(world.ease(400), 3, 1))])
        assert mean.spread.seeds > 0
        assert mean.spread.reruns is None
        assert mean.notes == (
            "one rerun of each seed: what repetitions add is unknown and counted as the seeds'",
        )

    def test_of_three_seeds_run_twice_knows_all(self):
        world = World(seed=0.3, rerun=0.1)
        mean = mean_over_seeds([texts(world.arm(world.ease(400), 3, 2))])
        assert (mean.seeds, mean.reruns, mean.notes) == (3, 2, ())
        assert None not in (mean.spread.seeds, mean.spread.reruns)

    def test_tells_seeds_from_reruns_from_items(self):
        """Accuracies of one seed differ by about 0.08, of its reruns by about 0.04, both apart from items."""
        spreads = []
        world = World(seed=0.25, rerun=0.12, chance=0.6)
        for _ in range(60):
            spreads.append(mean_over_seeds([texts(world.arm(world.ease(500), 4, 3))]).spread)
        unlimited = norm.pdf(0) / np.sqrt(1 + 0.6**2)
        rms = [
            np.sqrt(np.mean([getattr(s, part) ** 2 for s in spreads]))
            for part in ("seeds", "reruns", "items")
        ]
        assert rms[0] == pytest.approx(0.25 * unlimited, rel=0.15)
        assert rms[1] == pytest.approx(0.12 * unlimited, rel=0.15)
        assert rms[2] == pytest.approx(np.sqrt(0.25 / 500), rel=0.05)

    def test_equals_the_textbook_table_of_mean_squares(self):
        """Three seeds of four items by hand: mean squares of items, seeds and what is left."""
        values = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], dtype=float)
        mean = mean_over_seeds([texts(values[:, None, :])])
        rest = values - values.mean(0) - values.mean(1)[:, None] + values.mean()
        left = (rest**2).sum() / (3 - 1) / (4 - 1)
        between = 4 * values.mean(axis=1).var(ddof=1)
        assert mean.value == pytest.approx(9 / 12)
        assert mean.spread.seeds == pytest.approx(np.sqrt(max(0, between - left) / 4))

    @given(
        st.integers(1, 4),
        st.integers(1, 3),
        st.lists(st.integers(1, 12), min_size=1, max_size=3),
        st.randoms(),
    )
    @settings(max_examples=60, deadline=None)
    def test_whatever_the_shape_the_interval_holds_the_mean_and_no_order_matters(
        self, seeds, reruns, sizes, random
    ):
        def outcomes(n):
            return [
                ["".join(random.choice("01") for _ in range(n)) for _ in range(reruns)] for _ in range(seeds)
            ]

        benchmarks = [outcomes(n) for n in sizes]
        mean = mean_over_seeds(benchmarks)
        assert mean.value in mean.interval
        assert 0 <= mean.interval.low < mean.interval.high <= 1
        again = mean_over_seeds([[seed[::-1] for seed in benchmark[::-1]] for benchmark in benchmarks])
        assert (again.value, again.interval.low, again.interval.high) == pytest.approx(
            (mean.value, mean.interval.low, mean.interval.high)
        )

    def test_is_never_certain_because_all_runs_agree(self):
        interval = mean_over_seeds([[["1" * 50]] * 3]).interval
        assert interval.low < 0.95
        assert interval.high == 1.0

    @pytest.mark.parametrize(
        ("seed", "chance", "seeds", "most"),
        # What seeds add is most of it, next to nothing, or as much as the items: there it covers more.
        [(0.6, 0.5, 3, 0.96), (0.6, 0.5, 5, 0.96), (0.01, 0.2, 5, 0.965), (0.06, 0.5, 5, 0.98)],
    )
    def test_covers_94_to_96_times_in_100_where_one_part_dominates_and_more_between(
        self, seed, chance, seeds, most
    ):
        world = World(seed=seed, chance=chance)
        truth = world.accuracy(0.4)
        covered = [
            truth in mean_over_seeds([texts(world.arm(world.ease(300), seeds, 1, 0.4))]).interval
            for _ in range(2000)
        ]
        assert 0.94 <= np.mean(covered) <= most

    @pytest.mark.parametrize(
        "outcomes",
        [[["10"], ["1"]], [["10", "11"], ["10"]], [[""]], [[]], []],
        ids=["items", "reruns", "no item", "no rerun", "no seed"],
    )
    def test_refuses_runs_of_other_items_or_other_numbers_of_reruns(self, outcomes):
        with pytest.raises(ValueError, match="every seed needs the same number of reruns"):
            mean_over_seeds([outcomes])

    def test_refuses_benchmarks_with_other_seeds_and_no_benchmark(self):
        with pytest.raises(ValueError, match="differ in their numbers of seeds"):
            mean_over_seeds([[["10"]], [["10"], ["11"]]])
        with pytest.raises(ValueError, match="at least one benchmark"):
            mean_over_seeds([])


class TestSeedDifference:
    @staticmethod
    def pair(world: World, seeds: int, sizes: tuple[int, ...] = (300,), skill: float = 0.2, reruns: int = 1):
        eases = [world.ease(n) for n in sizes]
        return SeedDifference(
            *([texts(world.arm(ease, seeds, reruns, own)) for ease in eases] for own in (skill, 0.0))
        )

    def test_is_the_mean_difference_in_points_of_all_seeds(self):
        first, second = [[["1100"], ["1110"]]], [[["1000"], ["0110"]]]
        assert SeedDifference(first, second).difference == pytest.approx(25.0)

    def test_knows_its_parts(self):
        test = self.pair(World(seed=0.2), 3)
        assert test.seeds == 3
        assert test.spread.reruns is None
        assert len(test.notes) == 1
        assert all(part >= 0 for part in test.variances)

    def test_reruns_of_one_seed_speak_of_that_seed_alone(self):
        test = self.pair(World(rerun=0.2), 1, reruns=3)
        assert test.spread.seeds is None
        assert test.notes == (
            "one seed: how much other seeds would differ is unknown and not in the interval",
        )

    def test_more_seeds_say_more(self):
        widths = []
        for seeds in (2, 3, 10):
            world = World(seed=0.3)
            intervals = [self.pair(world, seeds).interval() for _ in range(20)]
            widths.append(np.mean([interval.high - interval.low for interval in intervals]))
        assert widths == sorted(widths, reverse=True)

    def test_a_baseline_without_seeds_is_the_same_in_every_run(self):
        world = World(seed=0.1)
        ease = world.ease(200)
        base = texts(world.arm(ease, 1, 1))[0]
        test = SeedDifference([texts(world.arm(ease, 3, 1, 1.5))], [[base] * 3])
        assert test.p_above(0) < 0.05
        assert 0 not in test.interval()

    @given(st.integers(2, 4), st.integers(2, 30), st.randoms(), st.floats(-40, 40))
    @settings(max_examples=60, deadline=None)
    def test_turns_around_and_its_p_values_are_its_interval(self, seeds, n, random, margin):
        first, second = (
            [[["".join(random.choice("01") for _ in range(n))] for _ in range(seeds)]] for _ in range(2)
        )
        there, back = SeedDifference(first, second), SeedDifference(second, first)
        assert there.p_above(margin) == pytest.approx(back.p_below(-margin), abs=1e-9)
        interval = there.interval(0.9)
        assert there.difference in interval
        if interval.low > -99 and abs(margin - interval.low) > 1e-6:
            assert (there.p_above(margin) <= 0.05) == (margin < interval.low)
        if interval.high < 99 and abs(margin - interval.high) > 1e-6:
            assert (there.p_below(margin) <= 0.05) == (margin > interval.high)

    def test_identical_arms_differ_by_nothing_known_for_certain(self):
        outcomes = [[["1" * 50 + "0" * 50]] * 3]
        interval = SeedDifference(outcomes, outcomes).interval()
        assert -5 < interval.low < 0 < interval.high < 5

    @pytest.mark.parametrize(
        ("seed", "seeds", "sizes", "most"),
        [(0.5, 3, (300,), 0.96), (0.5, 3, (100, 60, 80), 0.96), (0.05, 5, (300,), 0.985)],
    )
    def test_covers_94_to_96_times_in_100_where_seeds_dominate_and_more_between(
        self, seed, seeds, sizes, most
    ):
        world = World(seed=seed, chance=0.3)
        truth = 100 * (world.accuracy(0.2) - world.accuracy(0.0))
        covered = [truth in self.pair(world, seeds, sizes).interval() for _ in range(2000)]
        assert 0.94 <= np.mean(covered) <= most

    def test_is_called_equivalent_at_the_margin_at_most_55_times_in_1000(self):
        world = World(seed=0.1, chance=0.3)
        margin = 100 * (world.accuracy(0.3) - world.accuracy(0.0))
        false = [equivalence(self.pair(world, 3, (400,), 0.3), margin).equivalent for _ in range(2000)]
        assert 0.01 <= np.mean(false) <= 0.055

    def test_refuses_one_run_and_arms_that_do_not_fit(self):
        with pytest.raises(ValueError, match="one run of each arm says nothing of seeds"):
            SeedDifference([[["10"]]], [[["11"]]])
        with pytest.raises(ValueError, match="other numbers of benchmarks, seeds, reruns or items"):
            SeedDifference([[["10"], ["10"]]], [[["110"], ["101"]]])
        with pytest.raises(ValueError, match="at least one benchmark"):
            SeedDifference([], [])
