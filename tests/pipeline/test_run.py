"""The whole pipeline on a pair of random models: once, again, damaged."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError, ModelError
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.store.store import Store

EVERY_KIND = ["base", "sft", "lightr", "ground_truth"]


class Lines(Silent):
    """A reporter that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended: list[str] = []
        self.notes: dict[str, str] = {}

    def begin(self, label: str, units: int) -> Lines:
        return self

    def end(self, label: str, seconds: float, note: str = "") -> None:
        self.ended.append(label)
        self.notes[label] = note

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow has tests of its own and takes seconds to start."""
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")


@pytest.fixture(autouse=True)
def every_answer_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models solve nothing; let every third sampled solution count as right."""
    from lrbench.pipeline.stages.solutions import CheckedSolutions

    monkeypatch.setattr(CheckedSolutions, "is_right", lambda _self, index, _ids, _workspace: index % 3 == 0)


def content(plan: Plan, runs: Path) -> dict[str, str]:
    """Content hash of every artifact by its label; fails when one is missing."""
    store = Store(runs / "store")
    found = {stage.label + stage.key: store.find(stage.name, stage.key) for stage in plan.stages}
    return {label: artifact.content_hash for label, artifact in found.items() if artifact is not None}


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(arms=EVERY_KIND)


@pytest.fixture(scope="module")
def finished(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a finished run; tests that change something work on a copy."""
    runs = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        from lrbench.pipeline.stages.solutions import CheckedSolutions

        patch.setattr(CheckedSolutions, "is_right", lambda _self, index, _ids, _workspace: index % 3 == 0)
        patch.setenv("LRBENCH_MLFLOW", "off")
        run_recipe(recipe, runs)
    return runs


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "runs")


def test_every_arm_and_benchmark_is_in_the_ledger_with_its_items(finished: Path) -> None:
    contents = Ledger(finished / "ledger").read()
    assert [record.arm for record in contents.arms] == EVERY_KIND
    assert len(contents.scores) == 4 * 2
    assert {score.n for score in contents.scores} == {3}
    assert not contents.broken


def test_an_arms_record_says_what_it_cost_and_what_its_steps_looked_like(finished: Path) -> None:
    arms = {record.arm: record for record in Ledger(finished / "ledger").read().arms}
    lightr = arms["lightr"]
    assert lightr.costs.sampled_problems == 70
    assert 0 < lightr.costs.tuned_tokens <= lightr.statistics["divergence"]["kept_steps"]
    assert lightr.statistics["trained_steps"] >= lightr.costs.tuned_tokens
    assert len(lightr.curves["loss"]) == 6
    assert set(lightr.stages) == {"rollouts", "scores", "samples", "train"}
    assert set(lightr.costs.seconds) == set(lightr.stages)
    assert arms["ground_truth"].costs.sampled_tokens == 0
    assert arms["sft"].costs.sampled_tokens > arms["sft"].costs.tuned_tokens > 0
    assert arms["base"].costs.tuned_tokens == 0


def test_a_finished_recipe_does_nothing_again(recipe: Recipe, runs: Path) -> None:
    lines = Lines()
    report = run_recipe(recipe, runs, lines)
    assert (report.worked, report.new_records) == (0, 0)
    assert lines.ended == []


def test_the_same_recipe_gives_the_same_bytes_elsewhere(
    recipe: Recipe, finished: Path, tmp_path: Path
) -> None:
    run_recipe(recipe, tmp_path / "elsewhere")
    plan = plan_recipe(recipe, finished)
    assert content(plan, tmp_path / "elsewhere") == content(plan, finished)


@pytest.mark.parametrize("batch_size", [5, "auto"])
def test_runtime_settings_change_no_rollout(
    recipe: Recipe, finished: Path, tmp_path: Path, batch_size: int | str
) -> None:
    runtime = recipe.runtime.model_copy(update={"batch_size": batch_size})
    run_recipe(recipe.model_copy(update={"runtime": runtime}), tmp_path / "other")
    plan = plan_recipe(recipe, finished)
    assert content(plan, tmp_path / "other") == content(plan, finished)


def test_stages_that_write_say_what_was_padding_and_keep_it_out_of_their_content(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(arms=["base", "lightr"])
    found = []
    for batch_size in (5, 64):
        lines, runs = Lines(), tmp_path / str(batch_size)
        runtime = recipe.runtime.model_copy(update={"batch_size": batch_size})
        plan = plan_recipe(recipe.model_copy(update={"runtime": runtime}), runs)
        run_recipe(plan.recipe, runs, lines)
        for stage in plan.stages:
            artifact = Store(runs / "store").find(stage.name, stage.key)
            assert artifact is not None
            if stage.name == "rollouts":
                found.append(artifact)
            assert "padding" not in artifact.statistics
            writes = stage.engine_choice is not None
            assert ("padding" in artifact.environment) is writes
            assert lines.notes[stage.label] == (
                f"padding {artifact.environment['padding']}" if writes else ""
            )
    few, many = found
    assert few.content_hash == many.content_hash
    assert few.environment["padding"] != many.environment["padding"]
    assert re.fullmatch(r"\d+% of \d{1,3}(,\d{3})* tokens", many.environment["padding"])
    assert re.fullmatch(r"\d+%", many.environment["padding_of_cache"])


def test_a_source_that_found_its_batch_size_keeps_it_for_all_its_shards(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrbench.sampling.engines.decoding import Decoder

    real, tried = Decoder.complete, []

    def complete(decoder: Decoder, requests: Any) -> Any:
        tried.append(decoder.at_once)
        if decoder.at_once > 5:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(decoder, requests)

    monkeypatch.setattr(Decoder, "complete", complete)
    recipe = make_recipe(arms=["lightr"])
    plan = plan_recipe(recipe, tmp_path)
    (rollouts,) = (stage for stage in plan.stages if stage.name == "rollouts")
    workspace = Workspace(plan.arms[0].expert, None, recipe.runtime)
    store = Store(tmp_path / "store")
    with store.lock(rollouts.name, rollouts.key):
        draft = store.draft(rollouts.name, rollouts.version, rollouts.key, rollouts.identity, {})
        rollouts.work(draft, {}, workspace, Silent())
    assert len(draft.names) == 2
    # Halved for the first shard; the second, of six problems, begins with what fitted.
    assert rollouts.size == 70
    assert tried == [64, 32, 16, 8, 4, 4]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, Path.unlink])
@pytest.mark.parametrize(
    "stage_name", ["rollouts", "solutions", "reference", "scores", "samples", "train", "evaluate"]
)
def test_damage_to_any_kind_of_artifact_is_found_and_mended(
    recipe: Recipe, finished: Path, runs: Path, stage_name: str, damage: Callable[[Path], None]
) -> None:
    plan = plan_recipe(recipe, runs)
    before = content(plan, finished)
    stage = next(stage for stage in plan.stages if stage.name == stage_name)
    folder = runs / "store" / stage.name / stage.key
    victim = max(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    damage(victim)
    lines = Lines()
    report = run_recipe(recipe, runs, lines)
    assert report.worked == 1
    assert any("is damaged" in said for said in lines.said)
    assert content(plan, runs) == before
    assert report.new_records == 0


def test_a_ledger_that_was_lost_is_written_again_without_any_work(recipe: Recipe, runs: Path) -> None:
    before = Ledger(runs / "ledger").read()
    shutil.rmtree(runs / "ledger")
    report = run_recipe(recipe, runs)
    after = Ledger(runs / "ledger").read()
    assert (report.worked, report.new_records) == (0, 1 + 4 + 8)
    assert [recipe.meaning for recipe in after.recipes] == [recipe.meaning for recipe in before.recipes]
    assert {arm.arm_id for arm in after.arms} == {arm.arm_id for arm in before.arms}
    assert [score.paper for score in after.scores] == [score.paper for score in before.scores]


@pytest.mark.parametrize(
    ("arm", "field"), [("sft", "answer"), ("pam", "answer"), ("ground_truth", "solution")]
)
def test_arms_that_learn_from_labels_need_some(
    make_recipe: Callable[..., Recipe], tmp_path: Path, arm: str, field: str
) -> None:
    (tmp_path / "p.jsonl").write_text('{"problem": "1+1?"}\n')
    recipe = make_recipe(arms=["base", arm], data={"train": str(tmp_path / "p.jsonl"), "problems": 1})
    with pytest.raises(DataError, match=f'no problem has an "{field}"'):
        plan_recipe(recipe, tmp_path)


def test_a_wrong_target_module_is_found_before_any_work(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    training = {"updates": 1, "rollouts_per_update": 1, "lora": {"target_modules": ["query"]}}
    with pytest.raises(ModelError, match="no linear layers named 'query'"):
        run_recipe(make_recipe(training=training), tmp_path)
    assert not list((tmp_path / "store").glob("*/*/manifest.json"))
