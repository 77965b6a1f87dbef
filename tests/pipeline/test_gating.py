"""A gate on a recipe: what the ledger has of it as it stands now decides, and nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.errors import UserError
from lrbench.pipeline.gating import gate_recipe
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.recording import arm_identity
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.claims.gates import Asked
from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord, Costs, ScoreRecord, items_hash
from lrbench.store.keys import stable_hash
from tests.commands import QUICKSTART, lrbench

N = 400
COMMAND = "lrbench run recipe.yaml"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("recipes") / "claimed.yaml"
    path.write_text(
        f"extends: {QUICKSTART}\nname: claimed\n"
        "claims: [lightr > base on average, lightr > sft on multi_step by 5]\n"
    )
    return load_recipe(path)


def measured(recipe: Recipe, runs: Path, shares: dict[str, float], n: int = N) -> None:
    """A ledger with made-up outcomes of these arms: the share of items right, the first ones in each."""
    plan = plan_recipe(recipe, runs, fetch=False)
    records: list[Any] = []
    for arm in plan.arms:
        if arm.arm.name not in shares:
            continue
        arm_id = arm_identity(recipe, arm)
        records.append(
            ArmRecord(
                arm_id=arm_id,
                recipe=recipe.name,
                recipe_hash="",
                recipe_yaml="",
                arm=arm.arm.name,
                seed=arm.seed,
                expert=arm.expert.name,
                amateur=None,
                settings={} if arm.adapter is None else {"source": "greedy"},
                costs=Costs(),
                stages={},
                environment={},
                recorded_at="2026-01-01T00:00:00+00:00",
            )
        )
        (evaluation,) = arm.evaluations
        suite_protocol = {score.benchmark: stable_hash(score.protocol) for score in evaluation}
        for score in evaluation:
            right = "".join("1" if place < shares[arm.arm.name] * n else "0" for place in np.arange(n))
            records.append(
                ScoreRecord(
                    arm_id=arm_id,
                    recipe=recipe.name,
                    arm=arm.arm.name,
                    seed=arm.seed,
                    expert=arm.expert.name,
                    expert_weights=arm.expert.identity,
                    suite=score.protocol["suite"],
                    benchmark=score.benchmark,
                    protocol=score.protocol,
                    protocol_hash=suite_protocol[score.benchmark],
                    suite_protocol=suite_protocol,
                    items_hash=items_hash([str(place) for place in range(n)]),
                    paper=right,
                    exact=right,
                    evaluation_key=f"{arm_id}-{score.benchmark}",
                    seconds=1.0,
                    recorded_at="2026-01-01T00:00:00+00:00",
                )
            )
    Ledger(runs / "ledger").append(records)


@pytest.mark.parametrize(
    ("shares", "verdict", "code"),
    [
        ({"base": 0.5, "sft": 0.5, "lightr": 0.7}, "supported", 0),
        ({"base": 0.5, "sft": 0.8, "lightr": 0.7}, "refuted", 3),
        ({"base": 0.5, "sft": 0.64, "lightr": 0.7}, "inconclusive", 4),
        ({"base": 0.5, "lightr": 0.7}, "inconclusive", 4),
        ({}, "inconclusive", 4),
    ],
)
def test_its_claims_decide(
    recipe: Recipe, tmp_path: Path, shares: dict[str, float], verdict: str, code: int
) -> None:
    measured(recipe, tmp_path, shares)
    gate = gate_recipe(recipe, tmp_path, COMMAND)
    assert (gate.verdict, gate.exit_code) == (verdict, code)
    assert len(gate.judgements) == 2


def test_results_of_another_protocol_do_not_count(recipe: Recipe, tmp_path: Path) -> None:
    """After an edit that changes what is measured, nothing is decided until it is run."""
    measured(recipe, tmp_path, {"base": 0.5, "sft": 0.5, "lightr": 0.7})
    edited = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"limit": 7})})
    gate = gate_recipe(edited, tmp_path, COMMAND)
    assert gate.verdict == "inconclusive"
    assert {judgement.run for _, judgement in gate.judgements} == {COMMAND}


@pytest.mark.parametrize(("share", "verdict"), [(0.5, "supported"), (0.2, "refuted"), (0.47, "inconclusive")])
def test_an_arm_is_held_to_be_no_worse_than_another(
    recipe: Recipe, tmp_path: Path, share: float, verdict: str
) -> None:
    measured(recipe, tmp_path, {"base": 0.5, "sft": share})
    gate = gate_recipe(recipe, tmp_path, COMMAND, Asked("base", 3.0, ("multi_step",)), "sft")
    assert gate.verdict == verdict
    assert gate.judgements[0][1].claim.text == "sft no worse than base on multi_step by 3"


def test_without_an_arm_the_one_it_is_about_is_judged(recipe: Recipe, tmp_path: Path) -> None:
    measured(recipe, tmp_path, {"base": 0.5, "lightr": 0.6})
    gate = gate_recipe(recipe, tmp_path, COMMAND, Asked("base", 3.0))
    assert gate.judgements[0][1].claim.first == "lightr"


@pytest.mark.parametrize(
    ("asked", "arm", "message"),
    [
        (Asked("bose", 1.0), None, "--no-worse-than bose: no arm of claimed; did you mean `base`?"),
        (Asked("base", 1.0), "base", "--arm: name the arm of claimed that is set against base"),
        (Asked("base", 1.0, ("multi",)), "sft", "--on multi: not measured"),
        (None, "sft", "--arm says of which arm --no-worse-than is asked"),
    ],
)
def test_what_cannot_be_asked_is_said(
    recipe: Recipe, tmp_path: Path, asked: Asked | None, arm: str | None, message: str
) -> None:
    with pytest.raises(UserError) as told:
        gate_recipe(recipe, tmp_path, COMMAND, asked, arm)
    assert message in str(told.value)


def test_the_command_ends_with_the_code(tmp_path: Path) -> None:
    path = tmp_path / "claimed.yaml"
    path.write_text(f"extends: {QUICKSTART}\nname: claimed\nclaims: [lightr > base on average]\n")
    measured(load_recipe(path), tmp_path / "runs", {"base": 0.7, "lightr": 0.5})
    found = lrbench("gate", path, "--runs", tmp_path / "runs", "--summary", tmp_path / "gate.md")
    assert found.returncode == 3, found.stderr
    assert "refuted: lightr > base on average" in found.stdout
    assert (tmp_path / "gate.md").read_text().startswith("## lrbench gate: refuted")
    missing = lrbench("gate", path, "--runs", tmp_path / "none")
    assert missing.returncode == 4
    assert f"run: lrbench run {path}" in missing.stdout
