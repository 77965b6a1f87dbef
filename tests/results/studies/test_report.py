"""What each kind of study says of made-up ledgers: measured beside reported, ties, missing cells."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from lrbench.methods.fidelity import HAZARDS
from lrbench.recipe.loading import load_recipe
from lrbench.results.inspection import Inspector
from lrbench.results.records import Costs
from lrbench.results.rendering.sheet import Strong
from lrbench.results.studies.convergence import settled_at
from lrbench.results.studies.report import build_report
from tests.results.studies.conftest import RECIPE as SMALL

RUNS = Path("runs")
REPORTED_PAIR = """\
name: small
pair:
  expert: {model: Qwen/Qwen2.5-Math-1.5B, revision: 4a83ca6e4526a4f2da3aa259ec36c259f66b2ab2}
  amateur: {model: Qwen/Qwen2.5-0.5B, revision: 4a83ca6e4526a4f2da3aa259ec36c259f66b2ab2}
data: {train: gsm8k/train, problems: 8}
training: {updates: 2, rollouts_per_update: 4}
arms: [base, sft, lightr]
evaluation: {suite: math7, limit: 100}
"""
KL = {
    "steps": 4112,
    "share_kl_below_0.1": 0.699,
    "share_kl_above_0.4": 0.214,
    "share_kept": 0.214,
    "top1_agreement": 0.852,
    "mean_kl": 0.272,
    "mean_kl_where_top1_agrees": 0.121,
    "mean_kl_where_top1_differs": 1.144,
    "kl_histogram": {"edges": [0.0, 0.1, 0.4, 32.0], "counts": [2874, 358, 880]},
}


def table_of(report, caption):
    (found,) = [table for table in report.tables if caption in table.title]
    return found


def lines_of(report, caption):
    return {line[0]: line for line in table_of(report, caption).lines if line}


class TestMainResults:
    def test_arms_have_their_accuracy_by_column_and_the_separated_best_stands_out(self, declared, ledger_of):
        edition = declared(columns="[formal, multi_step]")
        lines = lines_of(build_report(edition, ledger_of(edition), RUNS), "accuracy in percent")
        header = table_of(build_report(edition, ledger_of(edition), RUNS), "accuracy in percent").header
        assert header == ("arm", "seeds", "average", "formal, n 100", "multi_step, n 100")
        assert lines["lightr"] == ("lightr", "1", "90.0 [86.0, 94.0]", *["90.0 [82.6, 94.5]"] * 2)
        assert isinstance(lines["lightr"][2], Strong)
        assert not isinstance(lines["sft"][2], Strong)

    def test_differences_are_paired_and_a_small_one_is_a_tie(self, declared, ledger_of):
        edition = declared()
        correct = {"base": 40, "sft": 88, "lightr": 89}
        report = build_report(edition, ledger_of(edition, lambda made: correct[made.arm]), RUNS)
        assert lines_of(report, "difference from base")["lightr"][2].startswith("+49.0 [")
        assert lines_of(report, "difference from sft")["lightr"][2].startswith("inconclusive: +1.0 [")
        assert "base" not in lines_of(report, "difference from sft")

    def test_over_seeds_the_mean_is_shown_with_an_interval_that_knows_the_seeds(self, declared, ledger_of):
        edition = declared(overrides='"seeds=[0,1,2]"')
        by_seed = {0: 80, 1: 90, 2: 70}
        report = build_report(edition, ledger_of(edition, lambda made: by_seed[made.seed]), RUNS)
        line = lines_of(report, "accuracy in percent")["lightr"]
        assert line[1] == "3"
        mean, low, high = map(float, re.findall(r"[\d.]+", line[2]))
        assert mean == 80.0
        assert high - low > 30
        (row,) = [row for row in report.rows if (row["arm"], row["benchmark"]) == ("lightr", "average")]
        assert row["by_seed"] == "80.00 90.00 70.00"

    def test_a_lead_separated_in_one_column_alone_does_not_stand_out_among_all(self, declared, ledger_of):
        def bold(columns, won):
            """The columns in which sft stands out, which wins that many of 100 items of one benchmark."""
            edition = declared(columns=columns)
            found = ledger_of(edition, lambda _: 80)
            scores = []
            for score in found.scores:
                more = won if (score.benchmark, score.arm) == ("formal", "sft") else 0
                paper = "1" * (80 + more) + "0" * (20 - more)
                scores.append(score.model_copy(update={"paper": paper, "exact": paper}))
            report = build_report(edition, replace(found, scores=tuple(scores)), RUNS)
            line = lines_of(report, "accuracy in percent")["sft"]
            header = table_of(report, "accuracy in percent").header
            assert any("Bold" in note and "Holm over the columns" in note for note in report.notes)
            return [name for name, cell in zip(header, line, strict=True) if isinstance(cell, Strong)]

        # Six to nothing: p is 0.016.
        assert bold("[formal]", 6) == ["average", "formal, n 100"]
        assert "formal, n 100" not in bold("null", 6)
        assert "formal, n 100" in bold("null", 12)

    def test_seeds_that_scatter_are_not_separated_from_what_is_reported(self, declared, ledger_of):
        edition = declared(recipe=REPORTED_PAIR, columns="[gsm8k]", overrides='"seeds=[0,1,2]"')

        def compared(by_seed):
            report = build_report(edition, ledger_of(edition, lambda made: by_seed[made.seed]), RUNS)
            lines = table_of(report, "Measured against reported").lines
            return next(line[-2:] for line in lines if line[1] == "lightr")

        difference, verdict = compared({0: 50, 1: 60, 2: 70})
        assert difference.startswith("inconclusive: -10.6 [")
        assert verdict == "inconclusive"
        difference, verdict = compared({0: 48, 1: 50, 2: 52})
        assert difference.startswith("-20.6 [")
        assert verdict == "separated"

    def test_measured_stands_beside_reported_as_independent_proportions(self, declared, ledger_of):
        edition = declared(recipe=REPORTED_PAIR)
        correct = {"base": 42, "sft": 70, "lightr": 90}
        report = build_report(edition, ledger_of(edition, lambda made: correct[made.arm]), RUNS)
        lines = lines_of(report, "accuracy in percent")
        assert lines["lightr, reported"][2:4] == ("54.2 [53.2, 55.1], n 13499", "70.6 [68.1, 73.0], n 1319")
        compared = {line[1:3]: line for line in table_of(report, "Measured against reported").lines}
        _, _, _, n, measured, reported, difference, verdict = compared["lightr", "gsm8k"]
        assert n == "100 and 1319"
        assert (measured[:4], reported) == ("90.0", "70.6 [68.1, 73.0]")
        assert difference.startswith("+19.4 [")
        assert verdict == "separated"
        assert compared["base", "gsm8k"][-1] == "inconclusive"
        assert any("arXiv 2510.07962" in note and "not measurements" in note for note in report.notes)

    def test_with_nothing_measured_every_reported_number_is_there_and_the_command(self, declared, nothing):
        report = build_report(declared(recipe=REPORTED_PAIR), nothing, RUNS)
        lines = lines_of(report, "accuracy in percent")
        assert lines["lightr"][1:] == ("0 of 1", *[""] * 8)
        assert [cell.partition(" [")[0] for cell in lines["lightr, reported"][2:]] == [
            "54.2", "70.6", "59.3", "76.0", "79.8", "11.4", "27.1", "54.9",
        ]  # fmt: skip
        assert [one.command for one in report.missing] == ["lrbench run small.yaml"]
        rows = [row for row in report.rows if row["benchmark"] == "gsm8k"]
        assert [row["reported"] for row in rows] == [42.5, 69.2, 70.6]
        assert all(row["command"] == "lrbench run small.yaml" for row in rows)

    def test_a_command_for_what_is_missing_declares_the_same_again(self, declared, nothing):
        edition = declared(overrides='"seeds=[0,1]", "pair.amateur.model=embedded/peer", "name=it-s"')
        (missing,) = build_report(edition, nothing, RUNS).missing
        program, command, path, *overrides = shlex.split(missing.command)
        assert (program, command) == ("lrbench", "run")
        assert load_recipe(path, overrides) == edition.recipes[0].recipe

    def test_claims_are_judged_on_the_benchmarks_shown(self, declared, ledger_of, nothing):
        edition = declared(claims='lightr > base on average by 10, "lightr == sft on formal within 1"')
        (judged,) = build_report(edition, ledger_of(edition), RUNS).claims
        assert [claim[0].partition(":")[0] for claim in judged.claims] == ["supported", "refuted"]
        (unmeasured,) = build_report(edition, nothing, RUNS).claims
        assert [claim[0].partition(":")[0] for claim in unmeasured.claims] == ["unmeasured"] * 2
        assert any("lrbench run small.yaml" in line for line in unmeasured.claims[0])

    def test_claims_of_all_points_of_a_sweep_are_one_family_as_on_a_board(self, declared, ledger_of):
        edition = declared(
            claims="lightr > base on average, lightr > sft on average",
            overrides='"sweep={grid: {divergence.beta: [0.2, 0.6, 0.8]}}"',
        )
        points = build_report(edition, ledger_of(edition), RUNS).claims
        assert len(points) == 3
        for judged in points:
            for claim in judged.claims:
                assert any("Holm over 6 claims" in line for line in claim)

    def test_figures_hold_measured_and_reported_apart(self, declared, ledger_of):
        edition = declared(recipe=REPORTED_PAIR)
        radar = build_report(edition, ledger_of(edition), RUNS).figures["radar"]
        series = {one.label: one for one in radar.panels[0].series}
        assert series["lightr"].values == (90.0,) * 7
        assert series["lightr, reported"].values[0] == 70.6
        assert series["lightr, reported"].reported


CONTROLLED = """\
name: small
pair:
  expert: {model: embedded/expert}
  amateur: {model: embedded/amateur}
models: {peer: {model: embedded/peer}}
data: {train: embedded/multi_step, problems: 8}
training: {updates: 2, rollouts_per_update: 4}
arms:
  - cd
  - {name: moved, like: base, answer: {mix: {peer: 1, "arm:lightr": 1, expert: -1}}}
  - base
  - sft
  - lightr
compare: {subject: lightr, against: [cd, base]}
claims: [lightr > cd on average by 1]
evaluation: {suite: embedded7, limit: 100}
"""

ANSWERS = {
    "cd": {"mix": {"expert": 1.0, "amateur": -1.0}, "alpha": 0.2},
    "moved": {"mix": {"peer": 1.0, "arm:lightr": 1.0, "expert": -1.0}},
}


class TestArmsThatAreNotTrainedAndNotTheExpert:
    """Contrastive decoding is no more the untrained expert than a trained arm is."""

    @pytest.fixture
    def report_of(self, declared, ledger_of):
        made_of = {"source": "greedy", "selector": "kl", "target": "contrast"}
        correct = {"cd": 70, "moved": 85, "base": 40, "sft": 80, "lightr": 90}

        def changes(made):
            if made.arm not in ANSWERS:
                return {"settings": made_of if made.arm == "lightr" else {}}
            seed = {"seed": made.seed} if made.arm == "moved" else {}
            return {"settings": {"answer": ANSWERS[made.arm]}, "costs": Costs(), "stages": {}} | seed

        def build(table):
            edition = declared(table, CONTROLLED, columns="[formal]")
            contents = ledger_of(edition, lambda made: correct[made.arm], changes)
            took = {"tokens": 500, "written": 500, "passes": {"amateur": 500, "expert": 500}}
            scores = tuple(
                score.model_copy(update=took) if score.arm == "cd" else score for score in contents.scores
            )
            return build_report(edition, replace(contents, scores=scores), RUNS)

        return build

    @pytest.fixture
    def report(self, report_of):
        return report_of("main_results")

    def test_are_measured_from_it_and_others_from_them(self, report):
        assert set(lines_of(report, "accuracy in percent")) == {"base", "sft", "lightr", "cd", "moved"}
        from_base = lines_of(report, "difference from base")
        assert from_base["cd"][2].startswith("+30.0 [")
        assert from_base["lightr"][2].startswith("+50.0 [")
        assert lines_of(report, "difference from cd")["lightr"][2].startswith("+20.0 [")

    def test_claims_against_them_are_judged(self, report):
        (judged,) = report.claims
        ((verdict, *_),) = judged.claims
        assert verdict.startswith("supported: lightr > cd")

    def test_what_they_use_and_what_answers_took_stands_under_the_accuracies(self, report):
        used = table_of(report, "what answers took")
        assert used.header[1:] == (
            "models at test", "passes per token", "tokens per answer", "labels", "other models",
        )  # fmt: skip
        lines = lines_of(report, "what answers took")
        assert lines["cd"] == ("cd", "2", "2.00", "5.0", "no", "none")
        assert lines["moved"][-1] == "peer"
        (row,) = [row for row in report.rows if (row["arm"], row["benchmark"]) == ("cd", "average")]
        assert (row["uses_labels"], row["other_models"], row["models_at_test"]) == (False, "", 2)
        assert (row["passes_per_token"], row["tokens_per_answer"]) == (2.0, 5.0)

    def test_what_reads_an_adapter_cost_what_that_one_did_and_the_others_nothing(self, report_of):
        lines = lines_of(report_of("efficiency"), "costs and gain")
        assert lines["moved"][1:-1] == lines["lightr"][1:-1]
        assert not {"cd", "base"} & lines.keys()

    def test_a_study_of_controls_says_what_it_lacks_and_what_each_arm_uses(self, report_of):
        report = report_of("controls")
        assert report.notes[0].startswith("The claims of small are not held against: prefill (")
        assert not any("cd (" in note for note in report.notes)
        assert list(report.figures) == ["averages"]
        captions = [table.title for table in report.tables]
        assert captions[0].endswith("accuracy in percent")
        assert "what answers took" in captions[1]
        assert captions[2].endswith("difference from cd in points")


class TestHazards:
    RECIPE = SMALL.replace("rollouts_per_update: 4", "steps_per_update: 16").replace(
        "arms: [base, sft, lightr]",
        "arms: [base, lightr, {name: other, like: lightr, fidelity: [last_column, beta_included]},"
        " {name: scripts, like: lightr, fidelity: reference}]",
    )

    def test_what_each_arm_does_as_the_scripts_do_stands_beside_what_it_costs(self, declared, ledger_of):
        edition = declared("hazards", self.RECIPE)
        correct = {"base": 40, "lightr": 90, "other": 50, "scripts": 45}
        report = build_report(edition, ledger_of(edition, lambda made: correct[made.arm]), RUNS)
        costs = lines_of(report, "difference from lightr")
        assert costs["other (fidelity beta_included+last_column)"][1].startswith("-40.0 [")
        assert costs["scripts (fidelity reference)"][1].startswith("-45.0 [")
        habits = table_of(report, "What is done as in the paper's public scripts").lines
        assert habits[0][:3] == ("other", "beta_included", "samples")
        assert [line[1] for line in habits if line[0] == "scripts"] == list(HAZARDS)


class TestExpertiseGap:
    RECIPES = """[
        {recipe: small.yaml, overrides: [
          "sweep={points: [{pair.amateur.model: embedded/amateur}, {pair.amateur.model: embedded/peer}]}"]},
        {recipe: small.yaml, overrides: [name=amateur, "arms=[base]", pair.expert.model=embedded/amateur]},
        {recipe: small.yaml, overrides: [name=peer, "arms=[base]", pair.expert.model=embedded/peer]}]"""

    def correct(self, made):
        if made.arm == "base":
            return {"embedded/amateur": 5, "embedded/peer": 43, "embedded/expert": 40}[made.expert]
        return 90 if made.amateur == "embedded/amateur" else 40

    def test_gaps_come_from_the_amateurs_own_measurements_the_widest_first(self, declared, ledger_of):
        edition = declared("expertise_gap", recipes=self.RECIPES)
        report = build_report(edition, ledger_of(edition, self.correct), RUNS)
        lines = table_of(report, "gain by expertise gap").lines
        assert [line[:2] for line in lines] == [("embedded/amateur", "+35.0"), ("embedded/peer", "-3.0")]
        assert lines[0][5].startswith("+50.0 [")
        assert lines[1][5].startswith("equivalent within 2: 0.0 [")
        assert not any("embedded/peer: " in table.title for table in report.tables)
        (farther,) = [table for table in report.tables if "the widest gap" in table.title]
        assert farther.lines[0][1].startswith("-50.0 [")

    def test_an_expert_of_which_no_arm_has_an_amateur_is_among_the_accuracies_alone(
        self, declared, ledger_of
    ):
        peer = 'name=peer, "arms=[base, sft]", pair.expert.model=embedded/peer'
        recipes = f"[small.yaml, {{recipe: small.yaml, overrides: [{peer}]}}]"
        edition = declared("expertise_gap", recipes=recipes)
        captions = [table.title for table in build_report(edition, ledger_of(edition), RUNS).tables]
        assert [caption for caption in captions if "expertise gap" in caption] == [
            "embedded/expert: gain by expertise gap"
        ]
        assert "embedded/peer: accuracy in percent" in captions

    def test_points_are_never_joined(self, declared, ledger_of):
        edition = declared("expertise_gap", recipes=self.RECIPES)
        scatter = build_report(edition, ledger_of(edition, self.correct), RUNS).figures["gap"]
        ((_, points, base),) = scatter.panels
        assert [(point.label, round(point.across, 6), round(point.up, 6)) for point in points] == [
            ("amateur", 35.0, 90.0),
            ("peer", -3.0, 40.0),
        ]
        assert base == 40.0

    def test_without_the_amateurs_own_measurement_there_is_no_gap(self, declared, ledger_of):
        edition = declared("expertise_gap", recipes=self.RECIPES)
        report = build_report(
            edition, ledger_of(edition, lambda made: None if made.recipe == "peer" else 50), RUNS
        )
        gaps = {line[0]: line[1] for line in table_of(report, "gain by").lines}
        assert gaps["embedded/peer"] == ""
        assert [one.command for one in report.missing] == [
            "lrbench run small.yaml name=peer 'arms=[base]' pair.expert.model=embedded/peer"
        ]


class TestEfficiency:
    def test_costs_stand_beside_reported_with_how_many_times_more(self, declared, ledger_of, arm_record):
        edition = declared("efficiency", recipe=REPORTED_PAIR)
        costs = arm_record("lightr").costs
        dear = costs.model_copy(update={"tuned_tokens": 10 * costs.tuned_tokens, "seconds": {"train": 477.5}})
        contents = ledger_of(edition, changes=lambda made: {"costs": dear} if made.arm == "sft" else {})
        report = build_report(edition, contents, RUNS)
        lines = lines_of(report, "costs and gain")
        assert lines["lightr"][1:7] == ("47.8", "1,800", "256", "1,000", "1,712", "20,000")
        assert lines["lightr"][-1] == "+11.8"
        assert lines["sft / lightr"][1:7] == (
            "10.0 times", "8.0 times", "1.0 times", "4.0 times", "10.0 times", "88.5 times",
        )  # fmt: skip
        assert report.rows[1]["tuned_tokens"] == 1712

    def test_with_nothing_measured_the_reported_costs_are_there(self, declared, nothing):
        report = build_report(declared("efficiency", recipe=REPORTED_PAIR), nothing, RUNS)
        assert lines_of(report, "costs and gain")["sft"][1:] == (
            "", "14,400", "", "3,952", "", "1,770,000", "", "", "+7.7",
        )  # fmt: skip
        panel = report.figures["costs"].panels[0]
        assert panel.across == ("sft", "lightr")
        assert [(series.label, series.values) for series in panel.series] == [("reported", (14400, 1800))]


class TestDivergence:
    def test_statistics_stand_beside_those_of_the_papers_pair(self, declared, ledger_of):
        edition = declared("divergence_statistics", recipe=REPORTED_PAIR)
        report = build_report(
            edition, ledger_of(edition, changes=lambda _: {"statistics": {"divergence": KL}}), RUNS
        )
        lines = lines_of(report, "Divergence of the pairs")
        assert lines["steps"] == ("steps", "4,112", "")
        assert lines["steps with KL above 0.4"][1:] == ("21.4%", "20.0%")
        assert lines["mean KL where they differ, nats"][1:] == ("1.144", "1.990")
        assert report.figures["kl"].panels == (
            ("Qwen2.5-Math-1.5B / Qwen2.5-0.5B", (0.0, 0.1, 0.4, 32.0), (2874, 358, 880)),
        )

    def test_a_pair_aligned_by_tokens_shows_what_these_cover(self, declared, ledger_of):
        edition = declared("divergence_statistics", recipe=REPORTED_PAIR)
        covered = KL | {"mean_covered": 0.984, "share_covered_too_little": 0.031}

        def shown(found):
            contents = ledger_of(edition, changes=lambda _: {"statistics": {"divergence": found}})
            return lines_of(build_report(edition, contents, RUNS), "Divergence")

        lines = shown(covered)
        assert lines.keys() - shown(KL).keys() == {
            "probability on shared tokens",
            "steps left out, too little on shared tokens",
        }
        assert lines["probability on shared tokens"][1:] == ("98.4%", "")
        assert lines["steps left out, too little on shared tokens"][1:] == ("3.1%", "")

    def test_another_pair_has_nothing_reported(self, declared, nothing):
        report = build_report(declared("divergence_statistics"), nothing, RUNS)
        assert table_of(report, "Divergence").header == ("over all steps", "expert / amateur")


class TestConvergence:
    def test_curves_are_summed_up_over_seeds(self, declared, ledger_of):
        edition = declared("convergence", overrides='"seeds=[0,1]"')
        curve = [(0, 4.0), (20, 2.5), (40, 2.01), (60, 2.0)]
        report = build_report(
            edition, ledger_of(edition, changes=lambda _: {"curves": {"held_out_perplexity": curve}}), RUNS
        )
        assert lines_of(report, "held-out solutions")["lightr"] == (
            "lightr", "2", "60", "4.000", "2.000", "2.000", "40",
        )  # fmt: skip
        assert len(report.figures["perplexity"].panels[0][1]) == 4
        assert len(report.rows) == 2 * 2 * 4

    def test_an_arm_without_a_curve_has_the_command(self, declared, nothing):
        report = build_report(declared("convergence"), nothing, RUNS)
        assert lines_of(report, "held-out")["sft"] == ("sft", "0", *[""] * 5)
        assert report.rows[0]["command"] == "lrbench run small.yaml"

    @pytest.mark.parametrize(
        ("curve", "settled"),
        [([(0, 2.0)], 0), ([(0, 3.0), (1, 2.0), (2, 3.0), (3, 2.0)], 3), ([(0, 2.01), (9, 2.0)], 9)],
    )
    def test_settled_is_where_the_rest_stays_near_the_last_value(self, curve, settled):
        assert settled_at(curve) == settled


class TestCases:
    def test_items_won_and_lost_are_counted_and_a_store_that_is_gone_is_told(self, declared, ledger_of):
        edition = declared("case_study", columns="[formal]")
        report = build_report(edition, ledger_of(edition), Path("gone"))
        assert lines_of(report, "items of lightr against base")["formal"][1] == "100"
        won, lost = map(int, lines_of(report, "items of lightr")["formal"][2:4])
        assert won - lost == 50
        assert report.passages == ()
        assert any("no texts" in note for note in report.notes)

    def test_with_nothing_measured_counts_are_empty(self, declared, nothing):
        report = build_report(declared("case_study", columns="[formal]"), nothing, RUNS)
        assert lines_of(report, "items of")["formal"] == ("formal", *[""] * 5)
        assert report.rows[0]["command"] == "lrbench run small.yaml"

    def test_the_first_item_won_of_every_benchmark_and_the_first_lost_of_all_are_shown(
        self, declared, ledger_of, monkeypatch
    ):
        edition = declared("case_study", columns="[formal, choice]")
        contents = ledger_of(edition, lambda made: 40 + 2 * (made.arm == "lightr"))

        def items(_, score):
            return [
                {
                    "id": f"{score.benchmark}-{place}",
                    "problem": f"problem {place}",
                    "gold": "7",
                    "completion": f"{score.arm} says\n{place}",
                    "reason": "equal" if outcome == "1" else "different",
                }
                for place, outcome in enumerate(score.paper)
            ]

        monkeypatch.setattr(Inspector, "items", items)
        passages = build_report(edition, contents, RUNS).passages
        outcomes = {(score.arm, score.benchmark): score.paper for score in contents.scores}
        pairs = list(zip(outcomes["lightr", "formal"], outcomes["base", "formal"], strict=True))
        won, lost = pairs.index(("1", "0")), pairs.index(("0", "1"))
        assert [passage.title for passage in passages] == [
            f"embedded/expert, formal, item formal-{won}: won by lightr",
            f"embedded/expert, choice, item choice-{won}: won by lightr",
            f"embedded/expert, formal, item formal-{lost}: lost by lightr",
        ]
        assert passages[0].parts == (
            ("problem", f"problem {won}"),
            ("right answer", "7"),
            ("base", f"base says\n{won} [different]"),
            ("lightr", f"lightr says\n{won} [equal]"),
        )


MINE = '"arms=[{name: start, like: base}, {name: plain, like: sft}, {name: mine, like: lightr}]"'
OF_MINE = {"start": 40, "plain": 80, "mine": 90}


class TestAMethodOfOnesOwn:
    """A recipe whose arms have other names has the same tables."""

    @pytest.fixture
    def report_of(self, declared, ledger_of, arm_record):
        def build(table, overrides=MINE, **changes):
            edition = declared(table, overrides=overrides, **changes)
            costs = arm_record("lightr").costs
            dear = costs.model_copy(update={"tuned_tokens": 10 * costs.tuned_tokens})
            contents = ledger_of(
                edition,
                lambda made: OF_MINE[made.arm],
                lambda made: {
                    "settings": {} if made.arm == "start" else {"source": "greedy"},
                    "costs": dear if made.arm == "plain" else costs,
                },
            )
            return build_report(edition, contents, RUNS)

        return build

    def test_is_set_against_its_own_baselines(self, report_of):
        report = report_of("main_results")
        captions = [table.title for table in report.tables if "difference" in table.title]
        assert captions == [
            "embedded/expert: difference from start in points",
            "embedded/expert: difference from plain in points",
        ]
        assert lines_of(report, "difference from start").keys() == {"plain", "mine"}
        assert lines_of(report, "difference from plain").keys() == {"mine"}
        formal = [row for row in report.rows if row["benchmark"] == "formal"]
        assert {row["arm"]: row["base_difference"] for row in formal} == {
            "start": None, "plain": pytest.approx(40), "mine": pytest.approx(50),
        }  # fmt: skip

    def test_is_what_an_ablation_is_set_against(self, report_of):
        report = report_of("ablations")
        assert lines_of(report, "difference from mine").keys() == {"start", "plain"}

    def test_is_measured_from_the_expert_where_the_amateur_is_varied(self, report_of):
        report = report_of("expertise_gap", columns="[formal]")
        assert lines_of(report, "difference from start").keys() == {"plain", "mine from amateur"}

    def test_is_what_costs_are_told_in(self, report_of):
        lines = lines_of(report_of("efficiency"), "gain of the average over start")
        assert lines.keys() == {"plain", "mine", "plain / mine"}
        assert lines["plain / mine"][3] == "10.0 times"

    def test_is_what_cases_are_of(self, report_of):
        report = report_of("case_study", columns="[formal]")
        assert lines_of(report, "items of mine against start")["formal"][1] == "100"
        assert any("won when mine answers it right and start does not" in note for note in report.notes)

    def test_may_be_declared_to_be_about_another_arm(self, report_of):
        about = f"{MINE}, compare.subject=plain, 'compare.against=[mine]'"
        report = report_of("main_results", about)
        assert lines_of(report, "difference from mine").keys() == {"plain"}
        assert lines_of(report_of("efficiency", about), "costs").keys() == {"plain", "mine", "mine / plain"}
