"""Training as a stage: budgets, also those of another arm, and held-out problems."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.embedded import assets
from lrbench.errors import DataError, FieldError
from lrbench.pipeline.plan import ArmPlan, Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.lessons import ADAPTER_FILES
from lrbench.pipeline.stages.rollouts import parquet_files
from lrbench.pipeline.stages.samples import kept_samples
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord
from lrbench.sampling.rollouts import read_rollouts, write_rollouts
from lrbench.sampling.samples import ROLLOUTS_FILE, STEPS_FILE
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store
from tests.pipeline.running import artifact_of

MakeRecipe = Callable[..., Recipe]

UNITS = {"rollouts_per_update": 8, "learning_rate": 1e-3}
ONE_ITEM = {"suite": "embedded7", "benchmarks": ["hard"], "limit": 1}


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")


def arm_of(plan: Plan, name: str) -> ArmPlan:
    return next(arm for arm in plan.arms if arm.arm.name == name)


def adapter(recipe: Recipe, runs: Path, arm: str) -> Artifact:
    stage = arm_of(plan_recipe(recipe, runs), arm).adapter
    assert stage is not None
    artifact = Store(runs / "store").find(stage.name, stage.key)
    assert artifact is not None
    return artifact


def recorded(runs: Path) -> dict[str, ArmRecord]:
    return {record.arm: record for record in Ledger(runs / "ledger").read().arms}


def matching(arm: str, on: str, **settings: Any) -> dict[str, Any]:
    return {"name": arm, "training": {"budget": {"match": "ground_truth", "on": on}, **settings}}


@pytest.mark.parametrize("on", ["tuned_tokens", "problems", "updates", "seconds"])
def test_an_arm_takes_the_budget_of_another(make_recipe: MakeRecipe, tmp_path: Path, on: str) -> None:
    recipe = make_recipe(
        # The arm that is matched comes later, has its own budget and ends early.
        arms=[
            matching("lightr", on, updates=30),
            {"name": "ground_truth", "training": {"budget": {"problems": 9}}},
        ],
        training={"updates": 3, **UNITS},
        evaluation=ONE_ITEM,
    )
    run_recipe(recipe, tmp_path)
    arms = recorded(tmp_path)
    given, taken = arms["ground_truth"].costs, arms["lightr"].costs
    assert (given.updates, given.learnt_problems) == (3, 9)
    statistics = adapter(recipe, tmp_path, "lightr").statistics
    match on:
        case "tuned_tokens":
            assert 0 < taken.tuned_tokens <= given.tuned_tokens
            assert statistics["budget"] == {"tuned_tokens": given.tuned_tokens}
        case "problems":
            assert taken.learnt_problems == given.learnt_problems
            assert taken.updates == 30
        case "updates":
            assert (taken.updates, statistics["stopped_by"]) == (3, "updates")
        case _:
            assert statistics["budget"] == {"seconds": adapter(recipe, tmp_path, "ground_truth").seconds}
            assert 1 <= taken.updates <= 30


def test_the_matched_arm_is_part_of_what_an_adapter_is(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    def key(learning_rate: float, match: dict[str, Any]) -> str:
        recipe = make_recipe(
            arms=[
                {"name": "mine", "like": "ground_truth", "training": {"learning_rate": learning_rate}},
                {"name": "lightr", "training": {"budget": match}},
            ]
        )
        stage = arm_of(plan_recipe(recipe, tmp_path), "lightr").adapter
        assert stage is not None
        return stage.key

    match = {"match": "mine", "on": "problems"}
    assert key(1e-3, match) == key(1e-3, match)
    keys = {key(1e-3, match), key(2e-3, match), key(1e-3, match | {"on": "seconds"}), key(1e-3, {})}
    assert len(keys) == 4


def test_an_arms_budget_is_its_own_and_told_with_its_costs(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(
        arms=[
            "ground_truth",
            {"name": "few", "like": "ground_truth", "training": {"budget": {"problems": 5}}},
        ],
        training={"updates": 6, **UNITS, "budget": {"tuned_tokens": 600}},
        evaluation=ONE_ITEM,
    )
    run_recipe(recipe, tmp_path)
    arms = recorded(tmp_path)
    assert 0 < arms["ground_truth"].costs.tuned_tokens <= 600
    assert arms["few"].costs.learnt_problems == 5
    assert arms["few"].costs.trained_steps > arms["few"].costs.tuned_tokens
    assert arms["few"].statistics["budget"] == {"problems": 5}


def write_problems(path: Path, count: int, spoilt: range) -> Path:
    """The embedded problems, with garbage for the labels of some."""
    with path.open("w") as stream:
        for index, row in enumerate(assets.problems("multi_step", "train")[:count]):
            labels = {"answer": row["answer"], "solution": row["solution"]}
            if index in spoilt:
                labels = dict.fromkeys(labels, "garbage")
            stream.write(json.dumps({"id": row["id"], "problem": row["problem"], **labels}) + "\n")
    return path


def test_lightreasoner_learns_from_no_label_though_held_out_ones_are_measured(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    """Labels of training problems change no byte; those of held-out ones change the curve alone."""
    found, written = {}, {}
    anew = {"name": "anew", "like": "lightr", "objective": {"online": 2}}
    for name, spoilt in {"true": range(0), "training": range(40), "held_out": range(40, 48)}.items():
        file = write_problems(tmp_path / f"{name}.jsonl", 48, spoilt)
        data = {"train": str(file), "problems": 40, "held_out": 8}
        recipe = make_recipe(arms=["lightr", anew], data=data, evaluation=ONE_ITEM)
        run_recipe(recipe, tmp_path / name)
        found[name] = adapter(recipe, tmp_path / name, "lightr")
        written[name] = adapter(recipe, tmp_path / name, "anew").file(ADAPTER_FILES[1]).read_bytes()
        curve = recorded(tmp_path / name)["lightr"].curves["held_out_perplexity"]
        assert [update for update, _ in curve] == list(range(7))
    assert found["training"].content_hash == found["true"].content_hash
    # Nor does one from what it writes itself.
    assert written["training"] == written["held_out"] == written["true"]
    assert found["held_out"].key != found["true"].key
    assert (
        found["held_out"].file("curves.json").read_bytes() != found["true"].file("curves.json").read_bytes()
    )
    for file_name in ADAPTER_FILES:
        assert found["held_out"].file(file_name).read_bytes() == found["true"].file(file_name).read_bytes()


def test_held_out_problems_count_for_training_alone_and_only_where_there_are_any(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    def stages(held_out: int) -> dict[str, str]:
        data = {"train": "embedded/multi_step", "problems": 70, "held_out": held_out}
        plan = plan_recipe(make_recipe(arms=["lightr"], data=data), tmp_path)
        return {stage.name: stage.key for stage in plan.stages}

    without, some, more = stages(0), stages(4), stages(5)
    assert "reference" not in without
    assert without["samples"] == some["samples"] == more["samples"]
    assert len({without["train"], some["train"], more["train"]}) == 3


def test_held_out_problems_without_solutions_stop_the_plan(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"problem": "1+1?"}\n{"problem": "2+2?"}\n')
    data = {"train": str(tmp_path / "p.jsonl"), "problems": 1, "held_out": 1}
    with pytest.raises(DataError, match='the held-out problem line-2 has no "solution"'):
        plan_recipe(make_recipe(arms=["lightr"], data=data), tmp_path)
    plan_recipe(make_recipe(arms=["base"], data=data), tmp_path)


def test_more_processes_than_devices_are_told_before_any_work(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("lrbench.pipeline.cuda.torch_knows_cuda", lambda: True)
    recipe = make_recipe(arms=["lightr"], runtime={"processes": 2})
    with pytest.raises(FieldError, match=r"runtime\.processes: found 2, but 1 CUDA device is visible here"):
        run_recipe(recipe, tmp_path)
    assert not list((tmp_path / "store").glob("*/*/manifest.json"))


def test_samples_hold_no_rollouts_and_those_of_earlier_versions_that_do_teach_the_same(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(arms=["lightr"], training={"updates": 3, **UNITS}, evaluation=ONE_ITEM)
    runs, earlier = tmp_path / "runs", tmp_path / "earlier"
    run_recipe(recipe, runs)
    stage = arm_of(plan_recipe(recipe, runs), "lightr").adapter
    assert stage is not None
    made = artifact_of(runs, stage.samples)
    assert [record.name for record in made.files] == [STEPS_FILE]
    source = artifact_of(runs, stage.samples.rollouts)

    shutil.copytree(runs, earlier)
    store = Store(earlier / "store")
    shutil.rmtree(store.root / "samples")
    shutil.rmtree(store.root / "train")
    with store.lock("samples", made.key):
        draft = store.draft("samples", made.version, made.key, made.identity, made.inputs)
        draft.commit(STEPS_FILE, lambda path: path.write_bytes(made.file(STEPS_FILE).read_bytes()))
        rollouts = read_rollouts(parquet_files(source))
        draft.commit(ROLLOUTS_FILE, lambda path: write_rollouts(path, rollouts))
        draft.finish(made.statistics)
    run_recipe(recipe, earlier)
    assert adapter(recipe, earlier, "lightr").content_hash == adapter(recipe, runs, "lightr").content_hash
    # The copy is what is read, as it was.
    assert kept_samples(store.look("samples", made.key), source).rollouts.paths[0].name == ROLLOUTS_FILE
    # What samples refer to is made again where it is gone.
    shutil.rmtree(Store(runs / "store").root / "rollouts")
    shutil.rmtree(Store(runs / "store").root / "train")
    assert run_recipe(recipe, runs).worked == 2
    assert adapter(recipe, earlier, "lightr").content_hash == adapter(recipe, runs, "lightr").content_hash
