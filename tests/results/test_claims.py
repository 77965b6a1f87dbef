"""Claims are supported, refuted, undecided or unmeasured by what the rows hold, and the words say which."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from lrbench.evaluation.statistics import (
    AverageDifference,
    BenchmarkDifference,
    Flips,
    SeedDifference,
    equivalence,
    holm,
    mcnemar_p,
    pool_runs,
)
from lrbench.recipe.claims import parse_claim
from lrbench.results.board import build_boards
from lrbench.results.claims import judge_claims, judge_recipe
from lrbench.results.claims.budgets import match_budgets
from lrbench.results.claims.in_words import budget_label, claim_lines, claim_sentence
from lrbench.results.claims.matching import by_point
from lrbench.results.records import Costs, RecipeRecord
from lrbench.results.rendering.documents import boards_to_markdown
from lrbench.results.rendering.terminal import show_boards
from tests.results.conftest import make_score

TWO = ("chain", "vary")


def outcomes(won: int, lost: int, both: int, neither: int) -> tuple[str, str]:
    """Two models' outcomes on the same items, with this paired table."""
    return (
        "1" * won + "0" * lost + "1" * both + "0" * neither,
        "0" * won + "1" * lost + "1" * both + "0" * neither,
    )


@pytest.fixture
def rows(score_record, arm_record):
    """Rows from `{arm: outcomes}`, or from `{(arm, seed): {benchmark: outcomes}}`, and arms' costs."""

    def build(results, costs=None, **changes):
        scores, arms = [], []
        for key, measured in results.items():
            arm, seed = key if isinstance(key, tuple) else (key, 0)
            if isinstance(measured, str):
                measured = {"chain": measured}
            benchmarks = changes.get("benchmarks") or tuple(measured)
            scores += [
                score_record(name, paper, arm=arm, seed=seed, **(changes | {"benchmarks": benchmarks}))
                for name, paper in measured.items()
            ]
            if costs is not None:
                arms.append(arm_record(arm, seed=seed, costs=costs[arm]))
        (board,) = build_boards(arms, scores)
        return board.rows

    return build


def judge(text, rows, *others, run="lrbench run recipes/quickstart.yaml"):
    return judge_claims([parse_claim(claim) for claim in (text, *others)], rows, run)[0]


@pytest.fixture
def far_apart(rows):
    """lightr 12 points above sft on 500 items: 80 won, 20 lost."""
    lightr, sft = outcomes(80, 20, 250, 150)
    return rows({"sft": sft, "lightr": lightr})


class TestAbove:
    def test_is_supported_where_the_interval_lies_above_the_margin(self, far_apart):
        judgement = judge("lightr > sft on chain by 5", far_apart)
        evidence = judgement.evidence
        assert judgement.verdict == "supported"
        assert evidence.difference == pytest.approx(12.0)
        assert evidence.interval == BenchmarkDifference(Flips(80, 20, 250, 150)).interval()
        assert evidence.interval.low > 5
        assert (evidence.n, evidence.seeds, evidence.level) == (500, (0,), 0.95)
        assert evidence.needed is None
        assert evidence.test.startswith("exact unconditional test")

    def test_is_refuted_where_the_interval_lies_below_the_margin(self, far_apart):
        judgement = judge("lightr > sft on chain by 20", far_apart)
        assert judgement.verdict == "refuted"
        assert judgement.evidence.interval.high < 20
        assert judge("sft > lightr on chain", far_apart).verdict == "refuted"

    @pytest.mark.parametrize(
        ("claim", "verdict"),
        [
            ("lightr > sft on chain by 5", "refuted"),
            ("lightr < sft on chain by 5", "refuted"),
            ("lightr > sft on chain by 20", "refuted"),
            ("lightr == sft on chain within 5", "supported"),
        ],
    )
    def test_nearly_equal_arms_are_above_no_large_margin_either_way(self, rows, claim, verdict):
        first, second = outcomes(5, 3, 600, 392)
        assert judge(claim, rows({"lightr": first, "sft": second})).verdict == verdict

    def test_is_underpowered_in_between_and_says_what_would_decide(self, far_apart):
        judgement = judge("lightr > sft on chain by 10", far_apart)
        detectable = judgement.evidence.detectable
        expected = f"n 500, 1 seed could separate {detectable:.1f} points from the margin with power 0.8"
        assert f"  {expected}" in claim_lines(judgement)
        assert 0 < detectable < 12
        decided = claim_lines(judge("lightr > sft on chain by 5", far_apart))
        assert not any("could separate" in line for line in decided)
        assert judgement.verdict == "underpowered"
        assert 10 in judgement.evidence.interval
        assert judgement.evidence.needed.items > 500
        assert judgement.evidence.needed.seeds is None

    def test_below_is_above_with_the_arms_exchanged(self, far_apart):
        below, above = (
            judge("sft < lightr on chain by 5", far_apart),
            judge("lightr > sft on chain by 5", far_apart),
        )
        assert below.verdict == above.verdict == "supported"
        assert below.evidence.difference == -above.evidence.difference
        assert below.evidence.interval.high == pytest.approx(-above.evidence.interval.low)
        assert (below.evidence.p_supported, below.evidence.p_refuted) == (
            above.evidence.p_supported,
            above.evidence.p_refuted,
        )

    @given(
        st.tuples(*[st.integers(0, 60)] * 4).filter(any),
        st.sampled_from([0, 2, 10, 50, 90]),
        st.sampled_from("><"),
    )
    @settings(max_examples=40, deadline=None)
    def test_alone_its_verdict_is_what_its_interval_says(self, cells, margin, relation):
        first, second = outcomes(*cells)
        judgement = judge(f"lightr {relation} sft on chain by {margin}", made_rows(lightr=first, sft=second))
        interval = judgement.evidence.interval
        above = (interval.low, interval.high) if relation == ">" else (-interval.high, -interval.low)
        if margin == 0:
            # There the boards' own test decides, which is a little less careful than the interval's.
            won, lost = (cells[0], cells[1]) if relation == ">" else (cells[1], cells[0])
            separated = mcnemar_p(cells[0], cells[1]) <= 0.05
            expected = ("supported" if won > lost else "refuted") if separated else "underpowered"
            assert judgement.verdict == expected
        # The interval is found to a thousandth of a point.
        elif min(abs(bound - margin) for bound in above) > 0.01:
            expected = (
                "supported" if above[0] > margin else "refuted" if above[1] < margin else "underpowered"
            )
            assert judgement.verdict == expected

    def test_on_average_combines_the_benchmarks(self, rows):
        chain, vary = outcomes(60, 10, 20, 10), outcomes(40, 10, 20, 10)
        pair = rows(
            {"lightr": {"chain": chain[0], "vary": vary[0]}, "sft": {"chain": chain[1], "vary": vary[1]}}
        )
        judgement = judge("lightr > sft on average by 20", pair)
        expected = AverageDifference((Flips(60, 10, 20, 10), Flips(40, 10, 20, 10)))
        assert judgement.verdict == "supported"
        assert judgement.evidence.difference == expected.difference
        assert judgement.evidence.interval == expected.interval()
        assert judgement.evidence.n == 180


class TestEqual:
    def test_is_supported_only_where_equivalence_is_shown(self, rows):
        lightr, sft = outcomes(12, 10, 700, 278)
        judgement = judge("lightr == sft on chain within 2", rows({"lightr": lightr, "sft": sft}))
        shown = equivalence(BenchmarkDifference(Flips(12, 10, 700, 278)), 2)
        assert judgement.verdict == "supported"
        assert judgement.evidence.p_one_sided == (shown.p_above, shown.p_below)
        assert (judgement.evidence.level, judgement.evidence.interval) == (0.9, shown.interval)
        assert claim_sentence(judgement) == "lightr matches sft on chain, within 2 points"

    def test_a_tie_is_no_equivalence(self, rows):
        lightr, sft = outcomes(9, 8, 50, 33)
        judgement = judge("lightr == sft on chain within 2", rows({"lightr": lightr, "sft": sft}))
        assert judgement.verdict == "underpowered"
        assert judgement.evidence.needed.items > 1000
        assert not any("matches" in line for line in claim_lines(judgement))

    def test_is_refuted_where_the_difference_lies_outside(self, far_apart):
        judgement = judge("lightr == sft on chain within 5", far_apart)
        assert judgement.verdict == "refuted"
        assert claim_sentence(judgement) == (
            "lightr does not match sft on chain: they are more than 5 points apart"
        )
        assert judge("sft == lightr on chain within 5", far_apart).verdict == "refuted"

    def test_what_is_needed_decides_it(self, rows):
        """Grown to the items asked for, flips in proportion, the claim is decided."""
        claim = "lightr == sft on chain within 3"
        cells = (9, 8, 50, 33)
        small = judge(claim, rows(dict(zip(("lightr", "sft"), outcomes(*cells), strict=True))))
        factor = -(-small.evidence.needed.items // 100)
        grown = outcomes(*(cell * factor for cell in cells))
        assert judge(claim, rows(dict(zip(("lightr", "sft"), grown, strict=True)))).verdict == "supported"


class TestFamily:
    def test_holm_is_over_all_claims_that_were_made(self, rows):
        lightr, sft = outcomes(28, 14, 100, 58)
        pair = rows({"lightr": lightr, "sft": sft})
        claim = "lightr > sft on chain"
        alone = judge(claim, pair)
        assert alone.verdict == "supported"
        among = judge(claim, pair, "lightr > sft on chain by 1", "lightr > sft on chain by 2")
        raw = [2 * BenchmarkDifference(Flips(28, 14, 100, 58)).p_above(margin) for margin in (0, 1, 2)]
        assert among.evidence.p_supported == pytest.approx(holm(raw)[0])
        assert among.verdict == "underpowered"
        assert among.family == 3

    def test_an_unmeasured_claim_counts_so_that_measuring_it_takes_nothing_back(self, rows):
        lightr, sft = outcomes(28, 14, 100, 58)
        pair = rows({"lightr": lightr, "sft": sft})
        alone, among = (
            judge("lightr > sft on chain", pair, *others) for others in ((), ("neither < sft on chain",))
        )
        assert among.evidence.p_supported == pytest.approx(2 * alone.evidence.p_supported)

    def test_no_claims_give_no_judgements(self, far_apart):
        assert judge_claims([], far_apart) == ()

    def test_false_claims_are_supported_at_most_5_times_in_100_among_three(self):
        """Three claims of equal arms on three benchmarks, 300 families of them."""
        generator = np.random.default_rng(20266)
        claims = [parse_claim(f"lightr > sft on {name}") for name in ("chain", "formal", "vary")]
        false = 0
        for _ in range(300):
            first, second = (
                {
                    name: "".join(generator.choice(["0", "1"], size=60).tolist())
                    for name in ("chain", "formal", "vary")
                }
                for _ in range(2)
            )
            judged = judge_claims(claims, made_rows(lightr=first, sft=second))
            false += any(judgement.verdict == "supported" for judgement in judged)
        # Supporting takes one of the two sides of a 5% test, and all three share it.
        assert false / 300 <= 0.03


class TestUnmeasured:
    def test_an_arm_without_results_is_named_with_what_to_run(self, far_apart):
        judgement = judge("lightr > neither on chain", far_apart)
        assert (judgement.verdict, judgement.evidence) == ("unmeasured", None)
        assert judgement.missing == ("neither has no result",)
        assert claim_lines(judgement) == [
            "unmeasured: lightr > neither on chain",
            "  lightr and neither are not both measured on chain",
            "  neither has no result",
            "  run: lrbench run recipes/quickstart.yaml",
        ]

    def test_a_benchmark_that_one_arm_lacks_is_named(self, rows):
        partial = rows(
            {"lightr": {"chain": "1100", "vary": "1100"}, "sft": {"chain": "1100"}}, benchmarks=TWO
        )
        assert judge("lightr > sft on chain", partial).verdict == "underpowered"
        for where in ("vary", "average"):
            judgement = judge(f"lightr > sft on {where}", partial)
            assert judgement.missing == ("sft has no result on vary (seed 0)",)

    def test_no_rows_at_all(self):
        judgement = judge("lightr > sft on chain", [])
        assert judgement.missing == ("lightr has no result", "sft has no result")

    def test_arms_without_a_common_seed_are_two_runs_like_any_others(self, rows):
        parted = rows({("lightr", 0): {"chain": "1100"}, ("sft", 1): {"chain": "1000"}})
        judgement = judge("lightr > sft on chain", parted)
        assert judgement.verdict == "underpowered"
        assert "lightr has seed 0, sft seed 1" in judgement.evidence.notes

    def test_other_items_are_not_compared(self, score_record):
        scores = [
            score_record("chain", "1100", arm="lightr", benchmarks=("chain",)),
            score_record("chain", "1000", arm="sft", benchmarks=("chain",), items_hash="other"),
        ]
        (board,) = build_boards([], scores)
        judgement = judge("lightr > sft on chain", board.rows)
        assert judgement.missing == ("lightr and sft answered different items of chain",)


class TestSeeds:
    @pytest.fixture
    def three_seeds(self, rows):
        generator = np.random.default_rng(20267)
        ease = generator.normal(size=400)
        results = {}
        for seed in range(3):
            for arm, skill in (("base", 0.0), ("sft", 0.5), ("lightr", 1.0)):
                noise = 0.0 if arm == "base" else generator.normal(size=400) * 0.3
                bits = ease + skill + noise > 0
                results[arm, seed] = {"chain": "".join("01"[int(bit)] for bit in bits)}
        return rows(results)

    def test_several_seeds_are_compared_over_seeds(self, three_seeds):
        judgement = judge("lightr > sft on chain by 3", three_seeds)
        papers = {(row.arm, row.seed): row.cells["chain"].score.paper for row in three_seeds}
        expected = SeedDifference(
            *([[[papers[arm, seed]] for seed in range(3)]] for arm in ("lightr", "sft")),
            pool=pool_runs(
                [[papers[arm, seed].count("1") / 400 for seed in range(3)] for arm in ("sft", "lightr")]
            ),
        )
        assert judgement.verdict == "supported"
        assert judgement.evidence.seeds == (0, 1, 2)
        assert judgement.evidence.interval == expected.interval()
        assert judgement.evidence.notes == (
            "these runs differ (p <0.001); how much a seed changes is estimated from 2 arms",
        )
        assert "all seeds of both" in judgement.evidence.test

    def test_an_undecided_claim_says_how_many_items_or_seeds(self, three_seeds):
        margin = judge("lightr > sft on chain", three_seeds).evidence.difference - 1
        judgement = judge(f"lightr > sft on chain by {margin:.2f}", three_seeds)
        assert judgement.verdict == "underpowered"
        needed = judgement.evidence.needed
        assert (needed.items or 401) > 400
        assert (needed.seeds or 4) > 3

    def test_so_many_seeds_decide(self, rows):
        """Four seeds that differ by points: the same pattern, repeated as often as asked for, decides."""

        def seeds(count):
            results = {}
            for seed in range(count):
                results["sft", seed] = {"chain": "0" * 500 + "1" * 500}
                right = (20, 60, 40, 80)[seed % 4]
                results["lightr", seed] = {"chain": "1" * right + "0" * (500 - right) + "1" * 500}
            return rows(results)

        few = judge("lightr > sft on chain by 2", seeds(4))
        assert few.verdict == "underpowered"
        assert few.evidence.needed.seeds is not None
        assert judge("lightr > sft on chain by 2", seeds(few.evidence.needed.seeds)).verdict == "supported"

    def test_the_base_is_the_same_for_every_seed(self, three_seeds):
        once = [row for row in three_seeds if row.arm != "base" or row.seed == 1]
        judgement = judge("lightr > base on chain", once)
        assert judgement.verdict == "supported"
        assert judgement.evidence.seeds == (0, 1, 2)

    @pytest.mark.parametrize("lacking", [[2], [1, 2]])
    def test_all_seeds_of_both_count_and_not_the_common_ones_alone(self, three_seeds, lacking):
        without = [row for row in three_seeds if row.arm != "sft" or row.seed not in lacking]
        evidence = judge("lightr > sft on chain", without).evidence
        means = {
            arm: np.mean([row.value("chain") for row in without if row.arm == arm])
            for arm in ("lightr", "sft")
        }
        assert evidence.difference == pytest.approx(100 * (means["lightr"] - means["sft"]))
        assert evidence.seeds == (0, 1, 2)
        assert evidence.notes[1].startswith("lightr has seeds 0, 1, 2, sft seed")

    def test_a_seed_without_a_result_is_left_out_and_said(self, rows):
        papers = {"chain": "1100" * 20, "vary": "1000" * 20}
        results = {(arm, seed): papers for arm in ("lightr", "sft") for seed in (0, 1)}
        partial = rows(results | {("lightr", 2): {"chain": "1100" * 20}}, benchmarks=TWO)
        notes = judge("lightr > sft on average", partial).evidence.notes
        assert notes[-1] == "left out, since not measured on all of it: seed 2"

    def test_one_seed_says_that_others_are_unknown(self, far_apart):
        judgement = judge("lightr > sft on chain", far_apart)
        assert judgement.evidence.notes == ("one seed: how other seeds would compare is unknown",)

    def test_rows_of_several_recipes_or_experts_are_refused(self, score_record):
        for change in ({"recipe": "other"}, {"expert_weights": "files:other"}):
            scores = [
                score_record("chain", "1100", arm="lightr", benchmarks=("chain",)),
                score_record("chain", "1100", arm="sft", benchmarks=("chain",), **change),
            ]
            (board,) = build_boards([], scores)
            with pytest.raises(ValueError, match="one expert and one recipe"):
                judge("lightr > sft on chain", board.rows)


class TestSweeps:
    @pytest.fixture
    def swept(self, score_record):
        scores = [score_record("chain", "1000", arm="sft", benchmarks=("chain",))]
        for alpha, paper in ((0.1, "1100"), (0.2, "1110")):
            scores.append(
                score_record(
                    "chain",
                    paper,
                    benchmarks=("chain",),
                    arm_id=f"lightr-{alpha}",
                    point={"divergence.alpha": alpha},
                )
            )
        (board,) = build_boards([], scores)
        return board.rows

    def test_every_point_has_its_own_rows_and_those_it_does_not_change(self, swept):
        found = {
            point["divergence.alpha"]: sorted((row.arm, row.cells["chain"].correct) for row in rows)
            for point, rows in by_point(swept)
        }
        assert found == {0.1: [("lightr", 2), ("sft", 1)], 0.2: [("lightr", 3), ("sft", 1)]}

    def test_claims_are_judged_at_one_point(self, swept):
        with pytest.raises(ValueError, match="one point of a sweep"):
            judge("lightr > sft on chain", swept)
        for _, rows in by_point(swept):
            assert judge("lightr > sft on chain", rows).verdict == "underpowered"

    def test_without_a_sweep_there_is_one_point(self, far_apart):
        assert by_point(far_apart) == [({}, list(far_apart))]
        assert by_point([]) == []


class TestRecipe:
    @staticmethod
    def declared(arm_ids, claims=("lightr > sft on chain",), command="lrbench run recipes/sweep.yaml"):
        return RecipeRecord(
            recipe="quickstart",
            recipe_hash="hash",
            recipe_yaml="name: quickstart\n",
            arm_ids=tuple(arm_ids),
            claims=claims,
            command=command,
            recorded_at="2026-11-20T10:00:00+00:00",
        )

    @pytest.fixture
    def board(self, score_record):
        arms = (("sft", {}, "1000"), ("lightr", {"alpha": 0.1}, "1100"), ("lightr", {"alpha": 0.2}, "1110"))
        scores = [
            score_record(
                "chain",
                paper,
                arm=arm,
                benchmarks=("chain",),
                arm_id=f"{arm}{point.get('alpha', '')}",
                point=point,
            )
            for arm, point, paper in arms
        ]
        (board,) = build_boards([], scores)
        return board

    def test_its_claims_are_judged_at_every_point(self, board):
        judged = judge_recipe(self.declared(["sft", "lightr0.1", "lightr0.2"]), board)
        assert [point for point, _ in judged] == [{"alpha": 0.1}, {"alpha": 0.2}]
        differences = [judgement.evidence.difference for _, (judgement,) in judged]
        assert differences == pytest.approx([25.0, 50.0])
        assert [judgement.family for _, (judgement,) in judged] == [2, 2], "all points are one family"

    def test_arms_that_it_no_longer_means_do_not_count(self, board):
        ((_, (judgement,)),) = judge_recipe(self.declared(["lightr0.1"]), board)
        assert judgement.verdict == "unmeasured"
        assert (judgement.missing, judgement.run) == (
            ("sft has no result",),
            "lrbench run recipes/sweep.yaml",
        )

    def test_a_claim_that_only_another_version_understands_is_named_and_the_others_are_judged(self, board):
        later = "lightr >> sft on chain, \x1b[31mwhatever"
        recipe = self.declared(["sft", "lightr0.1", "lightr0.2"], claims=(later, "lightr > sft on chain"))
        judged = judge_recipe(recipe, board)
        assert [judgement.family for _, (judgement,) in judged] == [4, 4]
        told = "not judged: lightr >> sft on chain, \\x1b[31mwhatever, a claim of quickstart that this"
        console = Console(width=400, file=io.StringIO())
        show_boards([board], console, [recipe])
        shown = console.file.getvalue()
        assert shown.count(told) == 1
        assert "Claim: lightr > sft on chain. Underpowered at all 2 points" in shown
        assert boards_to_markdown([board], [recipe]).count("not judged: lightr") == 1

    def test_without_claims_or_rows_there_is_nothing_to_judge(self, board):
        assert judge_recipe(self.declared(["sft"], claims=()), board) == []
        assert judge_recipe(self.declared(["unheard-of"]), board) == []


class TestBudgets:
    LIGHTR = Costs(
        updates=60,
        tuned_tokens=878,
        learnt_problems=200,
        sampled_problems=256,
        seconds={"rollouts": 2.0, "train": 5.4},
    )
    SFT = Costs(
        updates=60,
        tuned_tokens=8340,
        learnt_problems=204,
        sampled_problems=256,
        seconds={"solutions": 7.0, "train": 6.6},
    )

    def test_a_claim_between_unequal_budgets_is_labelled_with_what_differs(self, rows):
        lightr, sft = outcomes(80, 20, 250, 150)
        pair = rows({"lightr": lightr, "sft": sft}, costs={"lightr": self.LIGHTR, "sft": self.SFT})
        budgets = judge("lightr > sft on chain", pair).budgets
        assert not budgets.matched
        assert [spent.unit for spent in budgets.differing] == [
            "tuned tokens",
            "training seconds",
            "seconds in all",
        ]
        assert budget_label(budgets) == (
            "budgets differ in tuned tokens (878 against 8,340), training seconds (5 against 7), "
            "seconds in all (7 against 14); matched in updates, problems learnt from, sampled problems"
        )

    @pytest.mark.parametrize(
        ("taken", "other", "told"),
        [
            (0.9, 1.4, "0.9 against 1.4"),
            (0.98, 1.04, "0.98 against 1.04"),
            (0.0004, 0.00045, "0.0004 against 0.00045"),
            (12345.6, 20000.0, "12,346 against 20,000"),
        ],
    )
    def test_figures_that_differ_are_told_apart(self, rows, taken, other, told):
        costs = {
            name: self.SFT.model_copy(update={"seconds": {"train": seconds, "solutions": 10**9}})
            for name, seconds in {"lightr": taken, "sft": other}.items()
        }
        budgets = judge("lightr > sft on chain", rows({"lightr": "10", "sft": "10"}, costs=costs)).budgets
        assert budget_label(budgets).startswith(f"budgets differ in training seconds ({told});")

    def test_equal_budgets_are_matched_and_the_last_update_may_overshoot(self, rows):
        close = self.SFT.model_copy(update={"tuned_tokens": 8400})
        pair = rows({"lightr": "10", "sft": "10"}, costs={"lightr": close, "sft": self.SFT})
        budgets = judge("lightr > sft on chain", pair).budgets
        assert budgets.matched
        assert budget_label(budgets).startswith("budgets matched in updates, tuned tokens")

    def test_updates_and_sampled_problems_have_to_be_equal(self, rows):
        more = self.SFT.model_copy(update={"updates": 61, "sampled_problems": 257})
        pair = rows({"lightr": "10", "sft": "10"}, costs={"lightr": more, "sft": self.SFT})
        found = match_budgets(*([row] for row in pair))
        assert [spent.unit for spent in found.differing] == ["updates", "sampled problems"]

    def test_where_problems_are_drawn_again_the_draws_are_a_unit_of_their_own(self, rows):
        again = self.SFT.model_copy(update={"drawn_problems": 300})
        pair = rows({"grpo": "10", "sft": "10"}, costs={"grpo": again, "sft": self.SFT})
        said = budget_label(match_budgets(*([row] for row in pair)))
        assert said.startswith("budgets differ in problem draws (256 against 300); matched in")
        assert "sampled problems" in said

    def test_the_base_has_no_budget_to_match(self, rows):
        pair = rows({"base": "10", "lightr": "11"}, costs={"base": Costs(), "lightr": self.LIGHTR})
        budgets = judge("lightr > base on chain", pair).budgets
        assert budget_label(budgets) == "base is not trained"

    def test_costs_that_nobody_recorded_are_no_match(self, rows):
        budgets = judge("lightr > sft on chain", rows({"lightr": "10", "sft": "11"})).budgets
        assert not budgets.matched
        assert budget_label(budgets) == "costs of lightr and sft are not recorded"

    def test_units_that_older_records_lack_are_named(self, rows):
        older = self.SFT.model_copy(update={"updates": 0, "learnt_problems": 0})
        pair = rows({"lightr": "10", "sft": "10"}, costs={"lightr": older, "sft": older})
        budgets = judge("lightr > sft on chain", pair).budgets
        assert not budgets.matched
        assert budget_label(budgets).endswith("updates, problems learnt from not recorded")

    def test_seeds_are_averaged(self, rows):
        double = self.LIGHTR.model_copy(update={"updates": 120})
        one, other = (
            rows({("lightr", 0): {"chain": "10"}}, costs={"lightr": costs})[0]
            for costs in (self.LIGHTR, double)
        )
        (updates, *_) = match_budgets([one, other], [one, one]).spent
        assert (updates.first, updates.second) == (90, 60)


class TestWords:
    def test_a_judgement_is_told_in_lines(self, far_apart):
        assert claim_lines(judge("lightr > sft on chain by 5", far_apart)) == [
            "supported: lightr > sft on chain by 5",
            "  lightr is above sft on chain by more than 5 points",
            "  lightr - sft: +12.0 points [+8.2, +15.9] (95%), n 500, 1 seed",
            "  exact unconditional test of the paired difference (score statistic); "
            "p <0.001 for the claim, 1.000 for its opposite",
            "  one seed: how other seeds would compare is unknown",
            "  costs of lightr and sft are not recorded",
        ]

    @pytest.mark.parametrize(
        ("claim", "sentence"),
        [
            ("lightr > sft on chain", "lightr is above sft on chain"),
            ("lightr < sft on chain", "lightr is not below sft on chain"),
            ("sft < lightr on chain by 1", "sft is below lightr on chain by more than 1 point"),
            (
                "lightr > sft on chain by 10",
                "whether lightr is above sft on chain by more than 10 points is not decided",
            ),
            (
                "lightr == sft on chain within 12",
                "whether lightr and sft are within 12 points on chain is not decided",
            ),
            ("lightr > sft on average", "lightr is above sft on average"),
        ],
    )
    def test_a_sentence_says_no_more_than_the_verdict(self, far_apart, claim, sentence):
        assert claim_sentence(judge(claim, far_apart)) == sentence

    def test_equivalence_tells_both_tests_and_what_n_would_decide(self, rows):
        lightr, sft = outcomes(9, 8, 50, 33)
        lines = claim_lines(judge("lightr == sft on chain within 2", rows({"lightr": lightr, "sft": sft})))
        assert "two one-sided tests at +-2 points: p " in lines[3]
        assert lines[4].endswith("points from the margin with power 0.8")
        assert lines[5].endswith(
            "items would decide it with power 0.8, if the true difference is the one measured"
        )

    def test_a_difference_at_the_margin_is_decided_by_no_number(self, rows):
        lightr, sft = outcomes(10, 5, 50, 35)
        lines = claim_lines(judge("lightr > sft on chain by 5", rows({"lightr": lightr, "sft": sft})))
        assert "  no number of items or seeds alone would decide it at the difference measured" in lines

    def test_names_cannot_act_on_a_terminal(self, rows):
        judgement = judge("lightr > sft on chain", rows({"base": "10"}), run="lrbench run \x1b[31m.yaml")
        assert all("\x1b" not in line for line in claim_lines(judgement))


def made_rows(**arms):
    """Rows without fixtures, for hypothesis."""
    scores = []
    for arm, measured in arms.items():
        by_benchmark = {"chain": measured} if isinstance(measured, str) else measured
        scores += [
            make_score(name, paper, arm=arm, benchmarks=tuple(by_benchmark))
            for name, paper in by_benchmark.items()
        ]
    (board,) = build_boards([], scores)
    return board.rows
