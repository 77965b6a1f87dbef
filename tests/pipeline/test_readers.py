"""An arm learns from what any model of the recipe thinks of the expert's rollouts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.pipeline.doctor import examine
from lrbench.pipeline.plan import ArmPlan, plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.sampling.samples import read_samples
from lrbench.store.store import Store


def soft(of: str, **settings: Any) -> dict[str, Any]:
    return {"use": "soft", "of": of, "temperature": 0.5, "truncate": True} | settings


def named(name: str, of: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "like": "sharpen", "target": soft(of, **settings)}


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe], local_pair: tuple[Path, Path]) -> Recipe:
    expert, amateur = (str(folder) for folder in local_pair)
    return make_recipe(
        arms=[
            named("own", "expert"),
            named("twins", "twin"),
            named("again", "double"),
            named("others", "other"),
        ],
        models={"twin": {"model": expert}, "double": {"model": expert}, "other": {"model": amateur}},
        data={"train": "embedded/multi_step", "problems": 12},
        evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
    )


@pytest.fixture(scope="module")
def runs(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readers") / "runs"
    run_recipe(recipe, folder)
    return folder


@pytest.fixture(scope="module")
def arms(recipe: Recipe, runs: Path) -> dict[str, ArmPlan]:
    return {arm.arm.name: arm for arm in plan_recipe(recipe, runs).arms}


def targets(runs: Path, arm: ArmPlan) -> list[tuple[list[int], list[float]]]:
    assert arm.adapter is not None
    samples = arm.adapter.samples
    artifact = Store(runs / "store").look(samples.name, samples.key)
    assert artifact is not None
    found = read_samples(artifact.file("rollouts.parquet"), artifact.file("steps.parquet")).targets
    spans = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    return [(found.ids[a:b].tolist(), found.weights[a:b].tolist()) for a, b in spans]


def test_a_teacher_that_is_the_expert_teaches_what_the_expert_thinks(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    own, twins = targets(runs, arms["own"]), targets(runs, arms["twins"])
    assert [ids for ids, _ in own] == [ids for ids, _ in twins]
    for (_, ours), (_, theirs) in zip(own, twins, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_one_model_under_two_names_teaches_the_same(runs: Path, arms: dict[str, ArmPlan]) -> None:
    assert targets(runs, arms["again"]) == targets(runs, arms["twins"])


def test_another_teacher_teaches_otherwise_along_the_same_rollouts(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    own, others = targets(runs, arms["own"]), targets(runs, arms["others"])
    assert len(own) == len(others)
    assert own != others
    first, second = (arms[name].adapter for name in ("own", "others"))
    assert first is not None
    assert second is not None
    assert first.samples.rollouts.key == second.samples.rollouts.key


def test_the_record_has_every_reading_by_its_models(runs: Path) -> None:
    records = {record.arm: record for record in Ledger(runs / "ledger").read().arms}
    assert set(records["others"].stages) == {"rollouts", "scores other expert", "samples", "train"}
    assert set(records["others"].costs.seconds) == set(records["others"].stages)
    assert set(records["own"].stages) == {"rollouts", "scores", "samples", "train"}


def test_a_bundle_with_other_readings_is_verified_and_doctor_finds_them(runs: Path, tmp_path: Path) -> None:
    write_bundle(["tiny"], runs, tmp_path / "b.tar.gz")
    assert verify_bundle(tmp_path / "b.tar.gz").findings == ()
    assert not [
        finding
        for finding in examine(runs)
        if not finding.well and finding.text.startswith(("store", "ledger"))
    ]


def test_a_soft_target_that_lacks_too_much_is_refused_with_what_to_do(recipe: Recipe, tmp_path: Path) -> None:
    fields = recipe.model_dump(mode="json")
    arm = named("little", "expert", top_k=1, truncate=False)
    report = run_recipe(Recipe.model_validate(fields | {"arms": [arm]}), tmp_path)
    (failure,) = report.failures
    assert re.search(r"lacks .*% of its probability on average.*`truncate: true`", str(failure))
