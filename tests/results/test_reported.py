"""The published numbers are those of the paper, and carry what a rate and n can carry."""

from __future__ import annotations

import pytest
import yaml

from lrbench.results.reported import (
    reported_costs,
    reported_divergence,
    reported_for,
    reported_results,
)

# What the reference file calls the arms that have another name here.
OUR_ARMS = {
    "ground_truth_supervision": "ground_truth",
    "no_selection_with_contrast": "no_selection",
    "selection_without_contrast": "no_contrast",
    "no_selection_no_contrast": "neither",
}
TABLES = ("main_results", "ablations", "expertise_gap")


@pytest.fixture(scope="module")
def published(shared):
    return yaml.safe_load((shared / "paper" / "reported.yaml").read_text())


def values(row):
    return [*row.accuracies.values(), row.average]


def test_the_main_table_is_the_published_one(published):
    wanted = {
        (expert, arm): row for expert, rows in published["main_results"].items() for arm, row in rows.items()
    }
    assert {(row.expert, row.arm): values(row) for row in reported_results()} == wanted
    assert all(list(row.accuracies) == published["benchmarks"] for row in reported_results())


def test_the_ablations_are_the_published_ones(published):
    wanted = {OUR_ARMS.get(arm, arm): row for arm, row in published["ablations"].items()}
    assert {row.arm: values(row) for row in reported_results("ablations")} == wanted
    assert {row.expert for row in reported_results("ablations")} == {"Qwen/Qwen2.5-Math-1.5B"}


def test_the_expertise_gap_is_the_published_one(published):
    wanted = {
        (expert, None if amateur == "base" else amateur): (row["gap"], row["scores"])
        for expert, rows in published["expertise_gap"].items()
        for amateur, row in rows.items()
    }
    found = {(row.expert, row.amateur): (row.gap, values(row)) for row in reported_results("expertise_gap")}
    assert found == wanted


def test_the_costs_are_the_published_ones(published):
    wanted = {
        (expert, arm): tuple(row.values())
        for expert, rows in published["efficiency"].items()
        for arm, row in rows.items()
    }
    found = {
        (row.expert, row.arm): (row.hours, row.problems, row.tuned_tokens, row.gain)
        for row in reported_costs()
    }
    assert found == wanted


def test_the_divergence_statistics_are_the_published_ones(published):
    wanted, found = published["divergence_statistics"], reported_divergence()
    assert found.mean_kl_where_top1_differs == wanted["mean_kl_where_top1_differs"]
    assert found.mean_kl_where_top1_agrees == wanted["mean_kl_where_top1_agrees"]
    assert f"about {100 * found.share_below_0_1:.0f}%" == wanted["share_of_steps_kl_below_0.1"]
    assert f"about {100 * found.share_above_0_4:.0f}%" == wanted["share_of_steps_kl_above_0.4"]


@pytest.mark.parametrize("table", TABLES)
def test_the_printed_averages_are_those_of_the_columns(table):
    for row in reported_results(table):
        mean = sum(row.accuracies.values()) / len(row.accuracies)
        assert row.average == pytest.approx(mean, abs=0.11), row


def test_an_interval_comes_from_the_rate_and_the_public_test_set():
    (row,) = [row for row in reported_for("Qwen/Qwen2.5-Math-1.5B") if row.arm == "lightr"]
    assert (row.n("gsm8k"), row.correct("gsm8k")) == (1319, 931)
    estimate = row.on("gsm8k")
    assert estimate.value == pytest.approx(0.706)
    assert 0.680 < estimate.interval.low < 0.682
    assert 0.729 < estimate.interval.high < 0.731
    average = row.over(tuple(row.accuracies))
    assert average.value == pytest.approx(0.542, abs=0.0006)
    assert average.interval.high - average.interval.low < 0.03


def test_a_row_says_where_it_stands():
    assert reported_results()[0].source == "arXiv 2510.07962, main results"
    assert reported_costs()[0].source == "arXiv 2510.07962, efficiency"


def test_an_expert_that_the_paper_lacks_has_no_rows():
    assert reported_for("embedded/expert") == ()
