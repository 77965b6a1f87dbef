"""What MLflow is told of a record, decided without MLflow."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lrbench.evaluation.statistics import macro_average, wilson_interval
from lrbench.results.ledger import LedgerContents
from lrbench.results.mlflow.run_content import (
    LONGEST_PARAM,
    LONGEST_TAG,
    arm_runs,
    recipe_runs,
    safe_name,
    shorten,
)
from lrbench.results.records import Costs, RecipeRecord

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


def test_what_is_not_set_is_no_param(content):
    assert "amateur" not in content(amateur=None).params


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
    assert metrics["training/loss", 1] == 0.5
    assert metrics["training/loss", 2] == 0.25
    assert metrics["training/learning_rate", 1] == 1e-3


def test_every_number_among_the_statistics_is_a_metric(content):
    statistics = {
        "divergence": {
            "mean_kl": 0.31,
            "share_kl_below_0.1": 0.67,
            "steps": 900,
            "kl_histogram": {"edges": [0, 1], "counts": [3]},
        },
        "kept": 12,
        "complete": True,
        "note": "text",
    }
    metrics = metrics_of(content(statistics=statistics))
    assert metrics["divergence/mean_kl", 0] == 0.31
    assert metrics["divergence/share_kl_below_0.1", 0] == 0.67
    assert metrics["divergence/steps", 0] == 900
    assert metrics["statistics/kept", 0] == 12
    assert not any(name.startswith(("statistics/complete", "statistics/note")) for name, _ in metrics)


def test_scores_costs_and_the_average_are_metrics(content):
    metrics = metrics_of(content())
    assert metrics["accuracy/chain", 0] == 0.5
    assert (metrics["items/chain", 0], metrics["correct/chain", 0]) == (4, 2)
    assert metrics["accuracy_exact/chain", 0] == 0.5
    assert metrics["accuracy_low/chain", 0] == wilson_interval(2, 4).low
    assert metrics["accuracy/average", 0] == 0.5
    assert metrics["accuracy_low/average", 0] == macro_average(((2, 4), (2, 4))).interval.low
    assert metrics["costs/seconds/train", 0] == 38.0
    assert metrics["costs/seconds/total", 0] == 47.75


def test_an_incomplete_suite_has_no_average(arm_record, score_record):
    (run,) = arm_runs(arm_record(), [score_record("chain", "1100", benchmarks=TWO)])
    assert "accuracy/average" not in {metric.name for metric in run.metrics}


def test_what_the_arm_learnt_from_and_was_measured_on_is_named_and_identified(content):
    data = {"train": "embedded/multi_step", "problems": 256, "texts": "c" * 64}
    training, chain, vary = content(settings={"data": data}).datasets
    assert (training.name, training.use) == ("embedded/multi_step", "training")
    assert json.loads(training.source) == data
    assert (chain.name, chain.use) == ("embedded7/chain", "evaluation")
    assert json.loads(chain.source)["items"] == 4
    assert len({training.digest, chain.digest, vary.digest}) == 3
    (other, *_) = content(settings={"data": data | {"texts": "d" * 64}}).datasets
    assert other.digest != training.digest
    assert len(other.digest) <= 36


def test_an_arm_that_learnt_nothing_read_benchmarks_alone(content):
    assert {found.use for found in content(settings={}).datasets} == {"evaluation"}


def test_no_password_is_among_what_mlflow_is_told(content):
    address = "http://me:secret@host:8000/v1?token=secret"
    run = content(
        settings={"engine": {"url": address}, "data": {"train": address}},
        recipe_yaml=f"url: {address}\n",
        environment={"proxy": address},
        expert=address,
    )
    told = [*run.params.values(), *run.tags.values(), *(found.name + found.source for found in run.datasets)]
    assert not any("secret" in text for text in told)
    assert not any(b"secret" in data for data in run.artifacts.values())
    assert run.artifacts["recipe.yaml"] == b"url: http://***@host:8000/v1?***\n"


def test_what_is_not_finite_is_named_and_never_logged_as_another_number(content):
    run = content(
        curves={"loss": [(1, 0.5), (2, math.inf)]}, statistics={"divergence": {"mean_kl": math.nan}}
    )
    assert all(math.isfinite(metric.value) for metric in run.metrics)
    assert run.tags["lrbench.non_finite"] == "divergence/mean_kl, training/loss"
    assert b"Infinity" in run.artifacts["ledger/arm.json"]


def test_files_hold_the_recipe_the_environment_the_records_and_the_figures(content):
    run = content(
        curves={"loss": [(1, 0.5), (2, 0.25)]},
        statistics={"divergence": {"kl_histogram": {"edges": [0, 0.5, 1], "counts": [3, 2]}}},
    )
    assert set(run.artifacts) == {
        "recipe.yaml", "environment.json", "settings.json", "board.md", "board.csv", "ledger/arm.json",
        "ledger/scores.jsonl", "items.json", "plots/loss.png", "plots/kl_histogram.png",
    }  # fmt: skip
    table = json.loads(run.artifacts["items.json"])
    assert table["columns"] == ["item", "right", "right_exact", "draws_right", "benchmark"]
    assert table["data"][2:5] == [
        ["chain 2", False, False, 0, "chain"], ["chain 3", False, False, 0, "chain"],
        ["vary 0", True, True, 1, "vary"],
    ]  # fmt: skip
    assert json.loads(run.tags["mlflow.loggedArtifacts"]) == [{"path": "items.json", "type": "table"}]
    assert run.artifacts["recipe.yaml"] == b"name: quickstart\nseed: 0\n"
    assert json.loads(run.artifacts["ledger/arm.json"])["arm_id"] == "quickstart-lightr-0"
    assert len(run.artifacts["ledger/scores.jsonl"].splitlines()) == 2


def test_without_curves_and_statistics_there_are_no_figures(content):
    assert not any(name.startswith("plots/") for name in content().artifacts)


def test_tags_say_where_the_run_comes_from(content):
    tags = content().tags
    assert (tags["lrbench.arm"], tags["lrbench.arm_id"]) == ("lightr", "quickstart-lightr-0")
    assert tags["lrbench.key.train"] == "b" * 64
    assert tags["lrbench.key.evaluate.chain"] == "evaluation-quickstart-lightr-0-100"
    assert "lrbench.non_finite" not in tags


def test_a_run_lasts_from_its_first_stage_to_the_record_and_its_curves_lie_in_the_training(
    arm_record, score_record
):
    curves = {"loss": [(0, 0.5), (1, 0.4)], "held_out_perplexity": [(0, 3.0), (2, 2.0)]}
    made = {"rollouts": "2026-11-20T09:58:00+00:00", "train": "2026-11-20T09:59:00.500+00:00"}
    costs = Costs(updates=2, seconds={"rollouts": 6.25, "train": 38.0})

    def run(seconds, measured_at, **arm):
        score = score_record("chain", "10", benchmarks=("chain",), seconds=seconds, measured_at=measured_at)
        (found,) = arm_runs(arm_record(curves=curves, costs=costs, **arm), [score])
        moments = {(m.name, m.step): _moment(m.moment) for m in found.metrics}
        return _moment(found.begin), _moment(found.end), moments

    begin, end, moments = run(4.5, "2026-11-20T09:59:30+00:00", made_at=made)
    assert (begin, end) == ("09:57:53.750", "10:05:00.000")
    assert [moments["training/loss", update] for update in (0, 1)] == ["09:58:41.500", "09:59:00.500"]
    held_out = [moments["training/held_out_perplexity", update] for update in (0, 2)]
    assert held_out == ["09:58:22.500", "09:59:00.500"]
    assert moments["accuracy/chain", 0] == end
    # Earlier versions recorded no moments of stages.
    begin, end, moments = run(4.5, None)
    assert (begin, end) == ("09:59:11.250", "10:05:00.000")
    assert moments["training/loss", 1] == "09:59:55.500"


def _moment(milliseconds):
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.removeprefix("2026-11-20T").removesuffix("+00:00")


def test_a_recipe_spans_its_arms_and_says_what_they_came_to(arm_record, score_record):
    arms = [arm_record(name, seed=seed) for name in ("base", "lightr") for seed in (0, 1)]
    right = {("base", 0): "1000", ("base", 1): "1000", ("lightr", 0): "1110", ("lightr", 1): "1100"}
    scores = [
        score_record("chain", right[arm.arm, arm.seed], arm.arm, seed=arm.seed, benchmarks=("chain",))
        for arm in arms
    ]
    (run,) = recipe_runs(LedgerContents(tuple(arms), tuple(scores), ()))
    assert run.begin == min(child.begin for child in run.children)
    assert run.end == max(child.end for child in run.children)
    told = {metric.name: metric.value for metric in run.metrics}
    assert told == {
        "mean/base": 0.25, "mean/lightr": 0.625, "difference/lightr": 0.375,
        "accuracy/average": 0.625, "accuracy/chain": 0.625, "difference_to_baseline": 0.375,
    }  # fmt: skip
    assert (run.closing_tags["lrbench.subject"], run.closing_tags["lrbench.baseline"]) == ("lightr", "base")


def test_each_run_leads_to_its_page_of_the_board(arm_record, score_record):
    arm = arm_record(arm_id="a b&c", recipe="mine")
    score = score_record("chain", "10", recipe="mine", benchmarks=("chain",), arm_id="a b&c")
    (recipe,) = recipe_runs(LedgerContents((arm,), (score,), ()))
    (run,) = recipe.children
    assert run.tags["lrbench.board"] == "http://127.0.0.1:8501/provenance?arm=a+b%26c"
    assert recipe.tags["lrbench.board"] == "http://127.0.0.1:8501/?recipe=mine"
    assert all(found.tags["lrbench.board"] in found.tags["mlflow.note.content"] for found in (run, recipe))


def test_each_protocol_of_an_arm_is_a_run_of_its_own(arm_record, score_record):
    scores = [score_record("chain", "10", limit=limit) for limit in (2, 3)]
    runs = arm_runs(arm_record(), scores)
    assert len({run.key for run in runs}) == 2
    assert len({run.tags["lrbench.protocol"] for run in runs}) == 2


def test_an_arm_without_scores_is_no_run(arm_record):
    assert arm_runs(arm_record(), []) == []


def test_what_an_arm_uses_and_what_the_arms_that_it_reads_cost_is_there(arm_record, score_record):
    learnt = {"source": "solutions", "selector": "all", "target": "own_token"}
    moved = {"answer": {"mix": {"peer": 1.0, "arm:sft": 1.0, "expert": -1.0}}}
    arms = [
        arm_record("sft", settings=learnt),
        arm_record("moved", settings=moved, costs=Costs(), stages={}),
    ]
    took = {"tokens": 10, "written": 10, "passes": {"peer": 10, "arm:sft": 10, "expert": 10}}
    scores = [
        score_record("chain", "1100", arm.arm, benchmarks=("chain",), **(took if arm is arms[1] else {}))
        for arm in arms
    ]
    contents = LedgerContents(tuple(arms), tuple(scores), ())
    (recipe,) = recipe_runs(contents)
    sft, run = recipe.children
    metrics = {metric.name: metric.value for metric in run.metrics}
    assert metrics["costs/tuned_tokens"] == arms[0].costs.tuned_tokens > 0
    assert metrics["costs/seconds/total"] == 47.75
    assert (metrics["answers/models_at_test"], metrics["answers/passes_per_token"]) == (3, 3)
    assert metrics["answers/tokens_per_answer"] == 2.5
    told = ("uses_labels", "other_models", "reads_arms")
    assert [run.tags[f"lrbench.{name}"] for name in told] == ["yes", "peer", "sft"]
    assert sft.tags["lrbench.uses_labels"] == "yes"
    assert "lrbench.reads_arms" not in sft.tags
    assert "| moved | 3 | 3.00 | 2.5 | yes | peer |" in run.artifacts["board.md"].decode()
    trained_again = arms[0].model_copy(update={"costs": Costs(tuned_tokens=5)})
    (again,) = recipe_runs(replace(contents, arms=(trained_again, arms[1])))
    assert again.children[1].digest != run.digest
    (alone,) = recipe_runs(replace(contents, arms=(arms[1],)))
    assert not [metric for metric in alone.children[0].metrics if metric.name.startswith("costs")]


def test_the_digest_changes_with_any_record(arm_record, score_record):
    scores = [score_record("chain", "1100", benchmarks=TWO)]
    more = [*scores, score_record("vary", "1100", benchmarks=TWO)]
    (first,), (again,), (grown,) = (arm_runs(arm_record(), s) for s in (scores, scores, more))
    assert first.digest == again.digest != grown.digest
    assert first.key == grown.key


def test_arms_of_one_recipe_share_their_parent_which_sets_them_side_by_side(arm_record, score_record):
    arms = [arm_record("sft"), arm_record("lightr"), arm_record("sft", recipe="another")]
    scores = [score_record("chain", "1100", arm=arm.arm, recipe=arm.recipe, benchmarks=TWO) for arm in arms]
    both, other = recipe_runs(LedgerContents(tuple(arms), tuple(scores), ()))
    assert [child.tags["lrbench.arm"] for child in both.children] == ["sft", "lightr"]
    assert len(other.children) == 1
    assert {"recipe.yaml", "board.md", "board.csv", "plots/accuracy.png"} == set(both.artifacts)
    for arm in ("sft", "lightr"):
        assert arm.encode() in both.artifacts["board.csv"]
    (alone,) = recipe_runs(LedgerContents(tuple(arms[:1]), tuple(scores), ()))
    assert alone.key == both.key
    assert alone.digest != both.digest


def test_a_recipe_declared_anew_shows_the_arms_it_means_now(arm_record, score_record):
    arms = tuple(arm_record(name) for name in ("base", "sft", "lightr"))
    scores = tuple(score_record("chain", "1100", arm=arm.arm, benchmarks=TWO) for arm in arms)
    declared = [
        RecipeRecord(
            recipe="quickstart",
            recipe_hash=f"hash {number}",
            recipe_yaml=f"seed: {number}\n",
            arm_ids=meant,
            claims=("lightr > base",),
            command="lrbench run recipes/quickstart.yaml",
            recorded_at="2026-11-20T10:00:00+00:00",
        )
        for number, meant in enumerate([("quickstart-base-0",), ("quickstart-base-0", "quickstart-sft-0")])
    ]
    (run,) = recipe_runs(LedgerContents(arms, scores, (), tuple(declared)))
    assert [arm.arm for arm in run.arms] == ["base", "sft"]
    assert len(run.children) == 3
    assert run.artifacts["recipe.yaml"] == b"seed: 1\n"
    assert b"lightr" not in run.artifacts["board.csv"]
    assert run.tags["lrbench.command"] == "lrbench run recipes/quickstart.yaml"
    assert run.tags["lrbench.claims"] == "lightr > base"
    (before,) = recipe_runs(LedgerContents(arms, scores, (), tuple(declared[:1])))
    assert (before.key, before.digest == run.digest) == (run.key, False)


def test_the_place_in_a_sweep_is_in_the_name(content):
    run = content(point={"divergence.beta": 0.3}, seed=None)
    assert run.name == "lightr divergence.beta=0.3"
    assert run.tags["lrbench.point"] == "divergence.beta=0.3"
    assert "lrbench.seed" not in run.tags
    assert "seed" not in run.params


@pytest.mark.parametrize(
    ("name", "safe"), [("share_kl_below_0.1", "share_kl_below_0.1"), ("a/b c=%", "a_b_c__")]
)
def test_names_are_made_of_what_mlflow_allows(name, safe):
    assert safe_name(name) == safe


def test_shortening_leaves_what_fits_alone():
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"


def test_every_name_is_documented(arm_record, score_record):
    page = (Path(__file__).parents[2] / "docs" / "mlflow.md").read_text(encoding="utf-8")
    curves = {name: [(0, 1.0)] for name in ("loss", "learning_rate", "gradient_norm", "steps")}
    histogram = {"edges": [0, 1], "counts": [1]}
    arm = arm_record(
        settings={
            "source": "greedy", "selector": "kl", "target": "contrast", "data": {"train": "x"},
            "sampling": {"max_new_tokens": 8}, "divergence": {"alpha": 0.2}, "training": {"updates": 60},
        },
        curves=curves | {"held_out_perplexity": [(0, math.nan), (1, 2.0)]},
        statistics={"steps": 3, "divergence": {"mean_kl": 1.0, "kl_histogram": histogram}},
        point={"divergence.beta": 0.3},
    )  # fmt: skip
    (recipe,) = recipe_runs(LedgerContents((arm,), (score_record("chain", "10", benchmarks=("chain",)),), ()))
    (run,) = recipe.children
    names = {*run.tags, *run.params, *run.artifacts, *recipe.closing_tags, *recipe.artifacts}
    names |= {metric.name for metric in (*run.metrics, *recipe.metrics)}
    undocumented = [name for name in sorted(names) if not any(f"`{form}`" in page for form in _forms(name))]
    assert undocumented == []


def _forms(name):
    """How the page may write a name: itself, its group, or with the benchmark or stage left open."""
    for separator in ("/", "."):
        above, _, last = name.rpartition(separator)
        yield f"{above}{separator}*"
        yield f"{above}{separator}STAGE"
        yield f"{above}{separator}BENCHMARK"
        if last in ("chain", "average"):
            yield f"{above}{separator}B"
        yield f"{above}{separator}ARM"
    yield name
