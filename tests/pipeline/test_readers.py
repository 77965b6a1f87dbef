"""An arm learns from what any model of the recipe thinks of the expert's rollouts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.pipeline.doctor import examine
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.samples import kept_samples
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.arms import check_adapter
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.findings import Findings
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.microscope import open_microscope
from tests.pipeline.running import artifact_of

PICKED = {"signal": "kl", "top": 0.5, "of": "arm:own"}


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
            named("taught", "arm:own", temperature=1.0),
            {"name": "picked", "like": "no_contrast", "selector": PICKED},
            {"name": "both", "like": "lightr", "selector": PICKED},
        ],
        models={"twin": {"model": expert}, "double": {"model": expert}, "other": {"model": amateur}},
        data={"train": "embedded/multi_step", "problems": 12},
        evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
    )


def targets(runs: Path, arm: ArmPlan) -> list[tuple[list[int], list[float]]]:
    assert arm.adapter is not None
    artifact = artifact_of(runs, arm.adapter.samples)
    found = kept_samples(artifact, artifact_of(runs, arm.adapter.samples.rollouts)).targets
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


def test_an_arm_learns_from_what_another_arm_has_become(runs: Path, arms: dict[str, ArmPlan]) -> None:
    """The teacher is the expert with that arm's adapter, which is trained first and part of the key."""
    own, taught, picked = (arms[name].adapter for name in ("own", "taught", "picked"))
    assert own is not None
    for adapter in (taught, picked):
        assert adapter is not None
        ((_, scores),) = ((reading, one) for reading, one in adapter.samples.readings if "arm:own" in reading)
        assert scores.inputs["expert adapter"].key == own.key
    record = next(record for record in Ledger(runs / "ledger").read().arms if record.arm == "taught")
    assert "scores arm:own expert" in record.stages
    assert "train" in record.stages
    assert targets(runs, arms["taught"]) != targets(runs, arms["own"])


def test_what_an_adapter_thinks_is_what_it_writes(runs: Path, arms: dict[str, ArmPlan]) -> None:
    """The scores of the arm are those of its model, computed here by the model and its adapter alone."""
    import torch

    from lrbench.models.loading import load_model
    from lrbench.sampling.rollouts import read_rollouts
    from lrbench.sampling.scores import read_scores
    from lrbench.training.adapters import load_adapter

    adapter = arms["taught"].adapter
    assert adapter is not None
    ((_, stage),) = adapter.samples.readings
    artifact, source = artifact_of(runs, stage), artifact_of(runs, stage.rollouts)
    folder = artifact_of(runs, stage.inputs["expert adapter"])
    scores = read_scores(sorted(artifact.file(f.name) for f in artifact.files if f.name.endswith(".parquet")))
    rollout = read_rollouts(sorted(source.file(f.name) for f in source.files if f.name.endswith(".parquet")))[
        0
    ]
    ids_1T = torch.tensor([[*rollout.prompt_ids, *rollout.completion_ids]])
    model = load_model(stage.expert, torch.device("cpu"))
    with torch.no_grad():
        untouched_TV = model(ids_1T).logits[0]
        logits_TV = load_adapter(model, folder.directory)(ids_1T).logits[0]
    assert not torch.allclose(logits_TV, untouched_TV, atol=1e-3)
    for step in range(rollout.steps):
        row = logits_TV[len(rollout.prompt_ids) - 1 + step]
        begin, end = scores.offsets[step], scores.offsets[step + 1]
        # Relative to one another: rows of padding have a part in the model's own softmax.
        found = torch.from_numpy(scores.support_log_p_expert[begin:end]).log_softmax(-1)
        expected = row[torch.from_numpy(scores.support_ids[begin:end].astype("int64"))].log_softmax(-1)
        assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_bundle_with_other_readings_is_verified_and_doctor_finds_them(runs: Path, tmp_path: Path) -> None:
    write_bundle(["tiny"], runs, tmp_path / "b.tar.gz")
    assert verify_bundle(tmp_path / "b.tar.gz").findings == ()
    assert not [
        finding
        for finding in examine(runs)
        if not finding.well and finding.text.startswith(("store", "ledger"))
    ]


def test_the_microscope_shows_what_was_kept_by_another_reading_than_the_pair_s(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    record = next(record for record in Ledger(runs / "ledger").read().arms if record.arm == "both")
    microscope = open_microscope(Inspector(runs), record)
    assert microscope is not None
    assert arms["both"].adapter is not None
    views = [microscope.rollout(index, microscope.trained) for index in range(len(microscope.rollouts))]
    kept = artifact_of(runs, arms["both"].adapter.samples).statistics["kept_steps"]
    assert sum(int(view.kept.sum()) for view in views) == kept > 0
    assert re.match(r"(Kept|Not kept): KL .* of all steps", views[0].reason(0))
    assert views[0].step(0).candidates


def test_a_bundle_says_where_an_adapter_that_is_read_is_not_of_the_arm_named(runs: Path) -> None:
    records = {record.arm: record for record in Ledger(runs / "ledger").read().arms}
    taught, keys = records["taught"], {name: record.stages["train"] for name, record in records.items()}

    def told(model: str, key: str | None) -> list[str]:
        findings = Findings()
        check_adapter("arm taught", taught, model, key, records.values(), findings)
        return findings

    assert told("arm:own", keys["own"]) == told("expert", None) == told("arm:gone", keys["own"]) == []
    assert told("arm:own", keys["others"]) == [
        "arm taught: what it reads as arm:own has an adapter that is not of that arm"
    ]
    assert told("arm:own", None) == told("arm:own", keys["others"])
    assert len(told("expert", keys["own"])) == 1


def test_a_soft_target_that_lacks_too_much_is_refused_with_what_to_do(recipe: Recipe, tmp_path: Path) -> None:
    fields = recipe.model_dump(mode="json")
    arm = named("little", "expert", top_k=1, truncate=False)
    report = run_recipe(Recipe.model_validate(fields | {"arms": [arm]}), tmp_path)
    (failure,) = report.failures
    assert re.search(r"lacks .*% of its probability on average.*`truncate: true`", str(failure))
