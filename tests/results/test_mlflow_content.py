"""What MLflow is told of a record, decided without MLflow."""

from __future__ import annotations

import json
import math

import pytest

from lrbench.evaluation.statistics import macro_average
from lrbench.results.mlflow_content import (
    LONGEST_PARAM,
    LONGEST_TAG,
    arm_runs,
    recipe_run,
    safe_name,
    shorten,
)

TWO = ("chain", "vary")


@pytest.fixture
def content(arm_record, score_record):
    def build(**changes):
        scores = [score_record(name, "1100", benchmarks=TWO) for name in TWO]
        (run,) = arm_runs(arm_record(**changes), scores)
        return run

    return build


def metrics_of(run):
    return {(metric.name, metric.step): metric.value for metric in run.metrics}


def test_settings_become_params_by_dotted_name(content):
    params = content().params
    assert params["training.lora.r"] == "8"
    assert params["training.lora.target_modules"] == '["q_proj", "v_proj"]'
    assert params["divergence.alpha"] == "0.2"
    assert (params["recipe"], params["arm"], params["seed"]) == ("quickstart", "lightr", "0")


def test_a_param_too_long_for_mlflow_is_shortened_and_whole_in_an_artifact(content):
    run = content(settings={"prompt": "x" * 9000})
    assert len(run.params["prompt"]) == LONGEST_PARAM
    assert run.params["prompt"].endswith("…")
    assert json.loads(run.artifacts["settings.json"])["prompt"] == "x" * 9000


def test_a_tag_too_long_for_mlflow_is_shortened(content):
    assert len(content(expert="e" * 9000).tags["lrbench.expert"]) == LONGEST_TAG


def test_curves_are_metrics_by_update(content):
    run = content(curves={"loss": [(1, 0.5), (2, 0.25)], "learning_rate": [(1, 1e-3)]})
    metrics = metrics_of(run)
    assert metrics["training.loss", 1] == 0.5
    assert metrics["training.loss", 2] == 0.25
    assert metrics["training.learning_rate", 1] == 1e-3


def test_every_number_among_the_statistics_is_a_metric(content):
    statistics = {
        "divergence": {
            "mean_kl": 0.31,
            "share_kl_below_0.1": 0.67,
            "steps": 900,
            "kl_histogram": {"edges": [0, 1], "counts": [3]},
        },
        "solutions": {"kept": 12, "complete": True, "note": "text"},
    }
    metrics = metrics_of(content(statistics=statistics))
    assert metrics["divergence.mean_kl", 0] == 0.31
    assert metrics["divergence.share_kl_below_0.1", 0] == 0.67
    assert metrics["divergence.steps", 0] == 900
    assert metrics["solutions.kept", 0] == 12
    assert not any(name.startswith(("solutions.complete", "solutions.note")) for name, _ in metrics)


def test_scores_costs_and_the_average_are_metrics(content):
    metrics = metrics_of(content())
    assert metrics["chain.accuracy", 0] == 0.5
    assert (metrics["chain.n", 0], metrics["chain.correct", 0]) == (4, 2)
    assert metrics["chain.accuracy_exact", 0] == 0.5
    assert metrics["average.accuracy", 0] == 0.5
    assert metrics["average.low", 0] == macro_average(((2, 4), (2, 4))).interval.low
    assert metrics["costs.seconds.train", 0] == 38.0
    assert metrics["costs.seconds_total", 0] == 47.75


def test_an_incomplete_suite_has_no_average(arm_record, score_record):
    (run,) = arm_runs(arm_record(), [score_record("chain", "1100", benchmarks=TWO)])
    assert "average.accuracy" not in {metric.name for metric in run.metrics}


def test_what_is_not_finite_is_named_and_never_logged_as_another_number(content):
    run = content(
        curves={"loss": [(1, 0.5), (2, math.inf)]}, statistics={"divergence": {"mean_kl": math.nan}}
    )
    assert all(math.isfinite(metric.value) for metric in run.metrics)
    assert run.tags["lrbench.non_finite"] == "divergence.mean_kl, training.loss"
    assert b"Infinity" in run.artifacts["ledger/arm.json"]


def test_files_hold_the_recipe_the_environment_the_records_and_the_figures(content):
    run = content(
        curves={"loss": [(1, 0.5), (2, 0.25)]},
        statistics={"divergence": {"kl_histogram": {"edges": [0, 0.5, 1], "counts": [3, 2]}}},
    )
    assert set(run.artifacts) == {
        "recipe.yaml", "environment.json", "settings.json", "ledger/arm.json", "ledger/scores.jsonl",
        "plots/loss.png", "plots/kl_histogram.png",
    }  # fmt: skip
    assert run.artifacts["recipe.yaml"] == b"name: quickstart\nseed: 0\n"
    assert json.loads(run.artifacts["ledger/arm.json"])["arm_id"] == "quickstart-lightr-0"
    assert len(run.artifacts["ledger/scores.jsonl"].splitlines()) == 2


def test_without_curves_and_statistics_there_are_no_figures(content):
    assert not any(name.startswith("plots/") for name in content().artifacts)


def test_tags_say_where_the_run_comes_from(content):
    tags = content().tags
    assert (tags["lrbench.arm"], tags["lrbench.arm_id"]) == ("lightr", "quickstart-lightr-0")
    assert tags["lrbench.key.train"] == "b" * 64
    assert tags["lrbench.key.evaluation.chain"] == "evaluation-quickstart-lightr-0-100"
    assert "lrbench.non_finite" not in tags


def test_each_protocol_of_an_arm_is_a_run_of_its_own(arm_record, score_record):
    scores = [score_record("chain", "10", limit=limit) for limit in (2, 3)]
    runs = arm_runs(arm_record(), scores)
    assert len({run.key for run in runs}) == 2
    assert len({run.tags["lrbench.protocol"] for run in runs}) == 2


def test_an_arm_without_scores_is_no_run(arm_record):
    assert arm_runs(arm_record(), []) == []


def test_the_digest_changes_with_any_record(arm_record, score_record):
    scores = [score_record("chain", "1100", benchmarks=TWO)]
    more = [*scores, score_record("vary", "1100", benchmarks=TWO)]
    (first,), (again,), (grown,) = (arm_runs(arm_record(), s) for s in (scores, scores, more))
    assert first.digest == again.digest != grown.digest
    assert first.key == grown.key


def test_arms_of_one_recipe_share_their_parent(arm_record):
    assert recipe_run(arm_record("sft")).key == recipe_run(arm_record("lightr")).key
    assert recipe_run(arm_record(seed=1)).key != recipe_run(arm_record(seed=0)).key


@pytest.mark.parametrize(
    ("name", "safe"), [("share_kl_below_0.1", "share_kl_below_0.1"), ("a/b c=%", "a_b_c__")]
)
def test_names_are_made_of_what_mlflow_allows(name, safe):
    assert safe_name(name) == safe


def test_shortening_leaves_what_fits_alone():
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"
