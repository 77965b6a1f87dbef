"""Named tasks from a recipe: the same as lm-eval's own model says, recorded, bundled and verified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrbench.embedded.assets import model_folder
from lrbench.errors import RecipeError, UserError
from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.store.store import Store
from tests.evaluation.named_tasks.folders import ITEMS, assert_same, write_tasks

LIMIT = 6
NAMES = ["own_written", "own_chosen", "own_target", "own_long"]
RECIPE = {
    "name": "named",
    "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
    "data": {"train": "embedded/multi_step", "problems": 8},
    "training": {"updates": 1, "rollouts_per_update": 2},
    "arms": ["base", "lightr"],
    "evaluation": {"lm_eval": {"tasks": [*NAMES, "own_both"], "include_path": "tasks"}, "limit": LIMIT},
    "claims": ["lightr > base on own_chosen"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("named")
    write_tasks(root / "tasks")
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return root


@pytest.fixture(scope="module")
def runs(folder: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        for chat in ("false", "true"):
            report = run_recipe(recipe(folder, chat), folder / "runs")
            assert not report.failures
        yield folder / "runs"


def recipe(folder: Path, chat: str = "false") -> Recipe:
    own = [f"evaluation.lm_eval.chat_template={chat}"]
    return load_recipe(folder / "recipe.yaml", own if chat == "false" else [*own, "arms=[base]", "claims=[]"])


def items_of(folder: Path, runs: Path, chat: str = "false") -> dict[str, list[dict[str, Any]]]:
    found = {}
    for score in plan_recipe(recipe(folder, chat), runs).arms[0].scores:
        artifact = Store(runs / "store").look(score.name, score.key)
        assert artifact is not None
        found[score.benchmark] = list(read_items(artifact))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("chat", ["false", "true"])
def test_every_item_has_the_numbers_that_lm_evals_own_model_gives(
    folder: Path, runs: Path, chat: str
) -> None:
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    theirs = simple_evaluate(
        HFLM(pretrained=str(model_folder("expert")), device="cpu", batch_size=4, dtype="float32"),
        tasks=NAMES,
        task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False),
        limit=LIMIT,
        apply_chat_template=chat == "true",
        fewshot_as_multiturn=chat == "true",
        bootstrap_iters=0,
        log_samples=True,
    )
    ours = items_of(folder, runs, chat)
    for name in NAMES:
        samples = theirs["samples"][name]
        assert {sample["doc_id"] for sample in samples} == set(range(LIMIT))
        assert [item["id"] for item in ours[name]] == [f"{name}-{place}" for place in range(LIMIT)]
        assert_same(samples, ours[name])


def test_what_a_prompt_had_no_room_for_is_counted_and_told(
    folder: Path,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    items = items_of(folder, runs)
    assert all(item["dropped"] > 0 for item in items["own_long"])
    assert not any("dropped" in item for name in NAMES[:3] for item in items[name])
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    settings = ["arms=[base]", "claims=[]", "evaluation.lm_eval.tasks=[own_long]", "evaluation.limit=2"]
    assert not run_recipe(load_recipe(folder / "recipe.yaml", settings), tmp_path).failures
    assert "2 of 2 prompts are too long for the model's context of 512 tokens" in caplog.text


def test_the_primary_metric_decides_and_the_others_are_kept(folder: Path, runs: Path) -> None:
    items = items_of(folder, runs, "true")
    for item in items["own_written"]:
        assert item["paper"] == item["exact"] == bool(item["measures"]["exact_match,first-number"])
        assert "exact_match,last-number" in item["measures"]
    for item in items["own_chosen"]:
        assert item["paper"] == bool(item["measures"]["acc,none"])
        assert (item["prediction"] == item["gold"]) == item["paper"]
        assert "acc_norm,none" in item["measures"]
        assert len(item["log_likelihoods"]) == 4
    assert any(item["tokens"] for item in items["own_written"])


def test_a_group_has_the_items_of_its_tasks(folder: Path, runs: Path) -> None:
    items = items_of(folder, runs)
    assert [item["group"] for item in items["own_both"]] == ["own_written"] * LIMIT + ["own_chosen"] * LIMIT
    alone = {item["id"]: item for name in NAMES[:2] for item in items[name]}
    assert all(item["measures"] == alone[item["id"]]["measures"] for item in items["own_both"])


def test_means_of_all_numbers_are_those_of_the_artifact(folder: Path, runs: Path) -> None:
    scores = plan_recipe(recipe(folder), runs).arms[0].scores
    chosen = next(score for score in scores if score.benchmark == "own_chosen")
    artifact = Store(runs / "store").look(chosen.name, chosen.key)
    assert artifact is not None
    items = list(read_items(artifact))
    means = artifact.statistics["measures"]
    assert means["acc,none"] == pytest.approx(sum(item["paper"] for item in items) / LIMIT)
    assert set(means) == {"acc,none", "acc_norm,none"}


def test_a_protocol_names_versions_and_configurations(runs: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    score = next(score for score in contents.scores if score.benchmark == "own_chosen")
    assert score.suite == "lm_eval"
    assert score.protocol["harness"].startswith("lm-eval 0.4.")
    task = score.protocol["tasks"]["own_chosen"]
    assert (task["version"], task["shots"], task["metric"], len(task["config"])) == (1.0, 1, "acc,none", 64)
    assert (score.protocol["limit"], score.n) == (LIMIT, LIMIT)
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    assert {tuple(board.columns) for board in boards} == {("average", *NAMES, "own_both")}


def test_a_bundle_is_verified_where_the_tasks_are_not(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(["named"], runs, tmp_path / "b.tar.gz")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = verify_bundle(tmp_path / "b.tar.gz")
    assert found.findings == ()
    assert (found.completions, found.judged_by_tasks > 0) == (0, True)
    assert "which was not computed again" in str(found)


def test_likelihoods_are_refused_of_several_models(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    loaded = load_recipe(
        folder / "recipe.yaml", ["arms=[base, cd]", "claims=[]", "evaluation.lm_eval.tasks=[own_chosen]"]
    )
    told = "asks how likely answers are, which is said of one model alone, and the arm cd answers by"
    with pytest.raises(UserError, match=told):
        run_recipe(loaded, tmp_path)


def test_tasks_are_answered_once(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"measure: does not go with `evaluation.lm_eval`"):
        load_recipe(folder / "recipe.yaml", ["measure={samples: 2}"])


def test_data_that_are_not_here_are_said_in_the_plan(folder: Path, tmp_path: Path) -> None:
    loaded = load_recipe(
        folder / "recipe.yaml", ["evaluation.lm_eval.tasks=[arc_easy, own_chosen]", "claims=[]"]
    )
    plan = plan_recipe(loaded, tmp_path, fetch=False)
    assert plan.absent == ("the data of lm-eval's arc_easy",)
    unknown, known = plan.arms[0].scores
    assert unknown.label == "base on arc_easy (items not known yet)"
    assert known.size == LIMIT <= ITEMS
