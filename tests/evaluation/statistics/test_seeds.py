"""Seeds, reruns and items are told apart, intervals over seeds cover, and what is unknown is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from experiments.statistics.seeds import World as World7
from lrbench.evaluation.statistics import (
    Pool,
    SeedDifference,
    equivalence,
    macro_average,
    mean_over_seeds,
    pool_runs,
    two_sided_p,
    wilson_interval,
)
from lrbench.evaluation.statistics.seed_differences import error_within, errors_within
from lrbench.evaluation.statistics.seeds import variance

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


def test_p_of_many_tests_at_once_is_that_of_each_alone():
    generator = np.random.default_rng(RNG_SEED)
    arms = [
        texts((generator.random((seeds, 1, 60)) < 0.4 + 0.05 * seeds).astype(int)) for seeds in (1, 2, 3, 4)
    ]
    groups = [f"group {item % 12}" for item in range(60)]
    tests = [
        SeedDifference([first], [second], pool, groups=own)
        for first in arms[1:]
        for second in arms
        if first is not second
        for pool in (None, Pool(0.0004, 6, 3))
        for own in (None, [groups])
    ]
    assert two_sided_p(tests) == [test.compared().p for test in tests]
    assert two_sided_p([]) == []


class TestSeedDifference:
    @staticmethod
    def pair(world: World, seeds: int, sizes: tuple[int, ...] = (300,), skill: float = 0.2, reruns: int = 1):
        eases = [world.ease(n) for n in sizes]
        return SeedDifference(
            *([texts(world.arm(ease, seeds, reruns, own)) for ease in eases] for own in (skill, 0.0))
        )

    def test_is_the_mean_difference_in_points_of_all_seeds(self):
        first, second = [[["1100"], ["1110"]]], [[["1000"], ["0110"], ["1110"]]]
        test = SeedDifference(first, second)
        assert test.difference == pytest.approx(100 * (5 / 8 - 6 / 12))
        assert test.seeds == (2, 3)
        assert all(part >= 0 for part in test.variances)

    def test_is_the_rule_by_hand(self):
        """Two seeds against three, a pool that varies more than they do."""
        generator = np.random.default_rng(RNG_SEED)
        arms = [generator.random((seeds, 60)) < 0.6 for seeds in (2, 3)]
        pool = Pool(variance=0.02, freedom=8, arms=5)
        test = SeedDifference(*([texts(arm[:, None, :])] for arm in arms), pool)
        means = [arm.mean(axis=1) for arm in arms]
        assert sum(m.var(ddof=1) / len(m) for m in means) < 0.02 * (1 / 2 + 1 / 3)
        assert test.variances[1] == pytest.approx(1e4 * 0.02 * (1 / 2 + 1 / 3))
        assert test.freedom == 8 / 2 + 1
        z = norm.ppf(0.975)
        reach = np.sqrt(student.ppf(0.975, 5) ** 2 * test.variances[1] + z**2 * test.variances[0])
        assert test.interval().high - test.difference == pytest.approx(reach)

    def test_takes_the_two_arms_own_variance_where_that_is_larger(self):
        arms = [
            [["1" * 90 + "0" * 10], ["1" * 20 + "0" * 80]],
            [["1" * 50 + "0" * 50], ["1" * 52 + "0" * 48]],
        ]
        quiet = Pool(variance=1e-4, freedom=20, arms=20)
        alone, pooled = SeedDifference([arms[0]], [arms[1]]), SeedDifference([arms[0]], [arms[1]], quiet)
        assert pooled.variances == alone.variances
        assert (alone.freedom, pooled.freedom) == (2, 11)

    def test_of_one_seed_against_several_lets_the_one_vary_like_the_others(self):
        several, one = [[["1" * 60 + "0" * 40], ["1" * 50 + "0" * 50]]], [[["1" * 40 + "0" * 60]]]
        test = SeedDifference(several, one)
        assert test.variances[1] == pytest.approx(1e4 * 0.005 * (1 / 2 + 1))
        assert SeedDifference(several, one, fixed=(False, True)).variances[1] == pytest.approx(
            1e4 * 0.005 / 2
        )

    def test_says_of_the_runs_too_whether_they_differ(self):
        found = SeedDifference(
            [[["1" * 95 + "0" * 5], ["1" * 60 + "0" * 40]]], [[["0" * 100], ["0" * 60 + "1" * 40]]]
        )
        compared = found.compared()
        assert (compared.verdict, compared.runs.verdict) == ("inconclusive", "separated")
        assert compared.interval == found.interval()
        assert compared.runs.interval.low > 0

    def test_more_seeds_say_more(self):
        widths = []
        for seeds in (2, 3, 10):
            world = World(seed=0.3)
            intervals = [self.pair(world, seeds).interval() for _ in range(20)]
            widths.append(np.mean([interval.high - interval.low for interval in intervals]))
        assert widths == sorted(widths, reverse=True)

    def test_a_baseline_without_seeds_has_one_run(self):
        world = World(seed=0.1)
        ease = world.ease(200)
        base = texts(world.arm(ease, 1, 1))
        test = SeedDifference([texts(world.arm(ease, 3, 1, 1.5))], [base], fixed=(False, True))
        assert test.p_above(0) < 0.05
        assert 0 not in test.interval()
        with pytest.raises(ValueError, match="nothing is random has one run"):
            SeedDifference([base * 3], [base * 3], fixed=(False, True))

    @given(st.integers(2, 4), st.integers(1, 4), st.integers(2, 30), st.randoms(), st.floats(-40, 40))
    @settings(max_examples=60, deadline=None)
    def test_turns_around_and_its_p_values_are_its_interval(self, seeds, others, n, random, margin):
        first, second = (
            [[["".join(random.choice("01") for _ in range(n))] for _ in range(count)]]
            for count in (seeds, others)
        )
        pool = random.choice([None, Pool(0.01, 6, 6)])
        there, back = SeedDifference(first, second, pool), SeedDifference(second, first, pool)
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
        [(0.5, 3, (300,), 0.975), (0.5, 3, (100, 60, 80), 0.975), (0.05, 5, (300,), 0.985)],
    )
    def test_covers_at_least_94_times_in_100_but_for_chance(self, seed, seeds, sizes, most):
        world = World(seed=seed, chance=0.3)
        truth = 100 * (world.accuracy(0.2) - world.accuracy(0.0))
        covered = [truth in self.pair(world, seeds, sizes).interval() for _ in range(1000)]
        assert 0.94 - 2 * (0.06 * 0.94 / 1000) ** 0.5 <= np.mean(covered) <= most

    def test_is_called_equivalent_at_the_margin_at_most_55_times_in_1000(self):
        world = World(seed=0.1, chance=0.3)
        margin = 100 * (world.accuracy(0.3) - world.accuracy(0.0))
        false = [equivalence(self.pair(world, 3, (400,), 0.3), margin).equivalent for _ in range(1000)]
        assert 0.005 <= np.mean(false) <= 0.06

    def test_refuses_one_run_and_arms_that_do_not_fit(self):
        with pytest.raises(ValueError, match="one seed of each arm says nothing of seeds"):
            SeedDifference([[["10"]]], [[["11"]]])
        with pytest.raises(ValueError, match="other numbers of benchmarks or items"):
            SeedDifference([[["10"], ["10"]]], [[["110"], ["101"]]])
        with pytest.raises(ValueError, match="at least one benchmark"):
            SeedDifference([], [])


class TestPool:
    @given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), max_size=6))
    def test_is_the_mean_of_the_variances_by_their_freedom(self, arms):
        pool = pool_runs(arms)
        several = [arm for arm in arms if len(arm) > 1]
        if not several:
            assert pool is None
            return
        weights = [len(arm) - 1 for arm in several]
        expected = np.average([np.var(arm, ddof=1) for arm in several], weights=weights)
        assert pool.variance == pytest.approx(expected, abs=1e-12)
        assert (pool.freedom, pool.arms) == (sum(weights), len(several))


class TestRuleForFewSeeds:
    """The table of docs/statistics.md, with fewer draws: `python -m experiments.statistics.seeds`."""

    DRAWS = 500

    @pytest.mark.parametrize(("arms", "seeds"), [(3, 2), (6, 2), (6, 3)])
    def test_any_of_seven_benchmarks_is_separated_by_chance_at_most_5_times_in_100(self, arms, seeds):
        world = World7("differing", arms, seeds, over_arms=0.6, over_benchmarks=0.4)
        benchmarks, averages = world.separated(0.0, seed=4, draws=self.DRAWS)
        monte_carlo = 2 * (0.05 * 0.95 / self.DRAWS) ** 0.5
        assert benchmarks.any(axis=1).mean() <= 0.05 + monte_carlo
        assert averages.mean() <= 0.05 + monte_carlo

    def test_two_seeds_find_10_points_in_9_of_10(self):
        benchmarks, _ = World7("alike", 6, 2).separated(0.1, seed=5, draws=self.DRAWS)
        assert benchmarks[:, 0].mean() >= 0.9

    def test_an_arm_of_one_seed_and_an_untrained_one_err_no_more(self):
        for change in ({"second_runs": 1}, {"base": True}, {"by_rate": True}):
            world = World7("differing", 6, 3, over_arms=0.6, over_benchmarks=0.4, **change)
            benchmarks, _ = world.separated(0.0, seed=6, draws=self.DRAWS)
            assert benchmarks.any(axis=1).mean() <= 0.075


class TestGroups:
    """Items that come in groups count by group, over seeds as for one run."""

    def runs(self, generator, seeds, sizes, correlation, shift=0.0, luck=0.0):
        """Outcomes [S, N] of a benchmark whose groups have rates of their own."""
        spread = 1 / correlation - 1
        rate_N = np.repeat(generator.beta(0.6 * spread, 0.4 * spread, size=len(sizes)), sizes)
        luck_S1 = generator.normal(0, luck, size=(seeds, 1)) if luck else 0.0
        chance_SN = generator.random((seeds, len(rate_N)))
        return rate_N, chance_SN < np.clip(rate_N + shift + luck_S1, 0, 1)

    @pytest.fixture
    def names(self):
        return np.repeat(np.arange(60), 10).astype(str).tolist()

    def test_each_in_a_group_of_its_own_they_are_items(self):
        generator = np.random.default_rng(RNG_SEED)
        first, second = (generator.random((2, 3, 1, 80)) < np.array([[[[0.7]]], [[[0.5]]]])).astype(int)
        alone = [str(place) for place in range(80)]
        plain, grouped = (mean_over_seeds([texts(first)], groups) for groups in (None, [alone]))
        assert grouped.value == pytest.approx(plain.value)
        assert grouped.spread.items == pytest.approx(plain.spread.items)
        # Eighty groups are estimated with Student's quantile.
        assert grouped.interval.low == pytest.approx(plain.interval.low, abs=0.005)
        there = SeedDifference([texts(first)], [texts(second)])
        here = SeedDifference([texts(first)], [texts(second)], groups=[alone])
        assert here.difference == pytest.approx(there.difference)
        assert here.variances == pytest.approx(there.variances)

    @given(st.integers(2, 4), st.integers(0, 10**6))
    @settings(max_examples=30, deadline=None)
    def test_copies_of_items_say_nothing_new(self, copies, seed):
        generator = np.random.default_rng(seed)
        first, second = (generator.random((2, 2, 1, 40)) < 0.6).astype(int)
        groups = [str(place) for place in range(40)]
        once = SeedDifference([texts(first)], [texts(second)], groups=[groups])
        tiled = [[texts(np.tile(one, copies))] for one in (first, second)]
        more = SeedDifference(*tiled, groups=[groups * copies])
        assert more.variances == pytest.approx(once.variances, rel=0.05)
        assert more.p_above(0) == pytest.approx(once.p_above(0), abs=0.02)

    def test_their_mean_over_seeds_is_covered(self, names):
        generator, held, alone = np.random.default_rng(RNG_SEED), 0, 0
        for _ in range(400):
            _, right = self.runs(generator, 3, np.full(60, 10), 0.3)
            outcomes = texts(right[:, None].astype(int))
            held += 0.6 in mean_over_seeds([outcomes], [names]).interval
            alone += 0.6 in mean_over_seeds([outcomes]).interval
        assert held / 400 >= 0.93
        assert alone / 400 < 0.8

    def test_equal_arms_are_seldom_separated(self, names):
        generator, found, alone = np.random.default_rng(RNG_SEED), 0, 0
        for _ in range(100):
            tilt_N = np.repeat(generator.choice([-0.15, 0.15], size=60), 10)
            arms = []
            for sign in (1, -1):
                right = generator.random((2, 600)) < np.clip(0.5 + sign * tilt_N, 0, 1)
                arms.append([texts(right[:, None].astype(int))])
            found += SeedDifference(*arms, groups=[names]).compared().runs.p < 0.05
            alone += SeedDifference(*arms).compared().runs.p < 0.05
        assert found / 100 <= 0.1
        assert alone / 100 > 0.15


@given(st.lists(st.floats(0, 1), min_size=2, max_size=700))
def test_the_variance_is_numpys_bit_for_bit(values: list[float]) -> None:
    assert variance(np.array(values)) == np.var(values, ddof=1)


@pytest.mark.parametrize("fewest", [None, 6])
def test_the_errors_of_one_gap_are_those_of_many_bit_for_bit(fewest):
    rng = np.random.default_rng(0)
    for freedom in (1.0, 3.0, 40.0):
        gaps = np.abs(rng.normal(0, 0.05, 5))
        part, alone, run_part = rng.random(3) * 1e-3
        together = errors_within(gaps, (part, alone), run_part, freedom, fewest)
        each = [error_within(float(gap), (part, alone), run_part, freedom, fewest) for gap in gaps]
        assert together.tolist() == each
