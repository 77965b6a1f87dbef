"""Seeds and sweeps: one plan in which everything that is the same is there once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.recording import arm_identity
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger

ARMS = ["base", "sft", "lightr", "no_contrast"]
ALPHA_AND_BETA = {"grid": {"divergence.alpha": [0.1, 0.2, 0.4], "divergence.beta": [0.2, 0.4]}}


@pytest.fixture
def plan(make_recipe: Callable[..., Recipe], tmp_path: Path) -> Callable[..., Plan]:
    return lambda **sections: plan_recipe(make_recipe(**{"arms": ARMS} | sections), tmp_path)


def counts(plan: Plan) -> dict[str, int]:
    """How many stages of each name the plan has."""
    return dict(Counter(stage.name for stage in plan.stages))


def test_seeds_share_all_in_which_nothing_is_random(plan: Callable[..., Plan]) -> None:
    assert counts(plan(seeds=[0, 1, 2])) == {
        "rollouts": 1,
        "scores": 1,
        "solutions": 3,
        "samples": 3 + 1 + 1,
        "train": 3 * 3,
        "evaluate": (1 + 3 * 3) * 2,
    }


def test_a_sweep_of_alpha_and_beta_scores_nothing_again_and_repeats_no_arm_it_does_not_change(
    plan: Callable[..., Plan],
) -> None:
    assert counts(plan(sweep=ALPHA_AND_BETA)) == {
        "rollouts": 1,
        "scores": 1,
        "solutions": 1,
        # lightr at six points, no_contrast at two betas, sft once.
        "samples": 6 + 2 + 1,
        "train": 6 + 2 + 1,
        "evaluate": (1 + 6 + 2 + 1) * 2,
    }


def test_a_plan_of_many_is_the_plans_of_each_together(
    make_recipe: Callable[..., Recipe], plan: Callable[..., Plan], tmp_path: Path
) -> None:
    together = plan(seeds=[0, 5], sweep={"grid": {"divergence.beta": [0.2, 0.4]}})
    alone = [
        plan_recipe(make_recipe(arms=ARMS, seed=seed, divergence={"beta": beta}), tmp_path)
        for seed in (0, 5)
        for beta in (0.2, 0.4)
    ]
    assert {stage.key for stage in together.stages} == {stage.key for each in alone for stage in each.stages}


def test_an_arm_has_the_swept_fields_that_decide_its_model(plan: Callable[..., Plan]) -> None:
    arms = plan(seeds=[3, 4], sweep=ALPHA_AND_BETA).arms
    points = Counter((arm.arm.name, arm.seed, tuple(arm.point)) for arm in arms)
    assert points == {
        ("base", None, ()): 1,
        **{("sft", seed, ()): 1 for seed in (3, 4)},
        **{("lightr", seed, ("divergence.alpha", "divergence.beta")): 6 for seed in (3, 4)},
        **{("no_contrast", seed, ("divergence.beta",)): 2 for seed in (3, 4)},
    }


def test_a_field_with_one_value_only_is_no_point(plan: Callable[..., Plan]) -> None:
    arms = plan(sweep={"grid": {"divergence.beta": [0.3], "training.updates": [2, 4]}}).arms
    assert [dict(arm.point) for arm in arms if arm.arm.name == "lightr"] == [
        {"training.updates": 2},
        {"training.updates": 4},
    ]


def test_the_base_is_one_arm_whatever_the_seed(
    make_recipe: Callable[..., Recipe], plan: Callable[..., Plan]
) -> None:
    recipe = make_recipe()
    identities = {
        arm_identity(recipe, planned.arms[0])
        for planned in (plan(), plan(seed=9), plan(seeds=[1, 2]), plan(sweep=ALPHA_AND_BETA))
    }
    assert len(identities) == 1
    seeds = plan(seeds=[1, 2]).arms
    assert len({arm_identity(recipe, arm) for arm in seeds}) == len(seeds)


def test_what_is_measured_can_be_swept_and_trains_nothing_again(plan: Callable[..., Plan]) -> None:
    swept = plan(arms=["base", "lightr"], sweep={"grid": {"evaluation.limit": [2, 3]}})
    assert counts(swept) == {"rollouts": 1, "scores": 1, "samples": 1, "train": 1, "evaluate": 2 * 2 * 2}
    assert [(arm.arm.name, dict(arm.point), len(arm.evaluations)) for arm in swept.arms] == [
        ("base", {}, 2),
        ("lightr", {}, 2),
    ]


def test_arms_with_one_pair_of_models_come_together(
    plan: Callable[..., Plan], local_pair: tuple[Path, Path]
) -> None:
    expert, amateur = map(str, local_pair)
    swept = plan(
        arms=["base", "lightr"], seeds=[0, 1], sweep={"grid": {"pair.amateur.model": [amateur, expert]}}
    )
    assert [(arm.arm.name, arm.seed, arm.amateur and arm.amateur.name) for arm in swept.arms] == [
        ("base", None, amateur),
        ("lightr", 0, amateur),
        ("lightr", 1, amateur),
        ("lightr", 0, expert),
        ("lightr", 1, expert),
    ]
    assert counts(swept)["scores"] == 2


def test_stages_say_where_in_the_sweep_they_stand(plan: Callable[..., Plan]) -> None:
    labels = [stage.label for stage in plan(arms=["lightr"], seeds=[0, 1], sweep=ALPHA_AND_BETA).stages]
    assert "adapter of lightr alpha=0.1 beta=0.4 seed 1 (6 updates)" in labels
    own = [label for label in labels if not label.startswith("samples")]
    assert len(own) == len(set(own))


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")


@pytest.mark.usefixtures("quiet")
def test_a_run_of_seeds_and_points_records_every_model_once_and_what_the_recipe_means(
    make_recipe: Callable[..., Recipe], tmp_path: Path, local_pair: tuple[Path, Path]
) -> None:
    expert, amateur = map(str, local_pair)
    sections: dict[str, Any] = {
        # No step is selected by divergence, since one of the amateurs is the expert itself.
        "arms": ["base", "no_selection"],
        "evaluation": {"suite": "embedded7", "limit": 2, "benchmarks": ["hard", "choice"]},
        "training": {"updates": 1, "rollouts_per_update": 2},
        "data": {"train": "embedded/multi_step", "problems": 4},
        "claims": ["no_selection > base on average"],
    }
    recipe = make_recipe(seeds=[0, 1], sweep={"grid": {"pair.amateur.model": [amateur, expert]}}, **sections)
    report = run_recipe(recipe, tmp_path, command="lrbench run r.yaml")
    contents = Ledger(tmp_path / "ledger").read()
    (declared,) = contents.recipes
    assert declared.arm_ids == report.arm_ids == tuple(arm.arm_id for arm in contents.arms)
    assert (declared.command, declared.claims) == ("lrbench run r.yaml", ("no_selection > base on average",))
    assert [(arm.arm, arm.seed, dict(arm.point)) for arm in contents.arms] == [
        ("base", None, {}),
        ("no_selection", 0, {"pair.amateur.model": amateur}),
        ("no_selection", 1, {"pair.amateur.model": amateur}),
        ("no_selection", 0, {"pair.amateur.model": expert}),
        ("no_selection", 1, {"pair.amateur.model": expert}),
    ]
    assert {(score.arm_id, score.seed, str(score.point)) for score in contents.scores} == {
        (arm.arm_id, arm.seed, str(arm.point)) for arm in contents.arms
    }
    (board,) = build_boards(contents.arms, contents.scores)
    assert [len(group.rows) for group in board.groups] == [1, 2, 2]

    # One of its variants alone is known already, and means other arms.
    alone = make_recipe(seed=1, **sections)
    again = run_recipe(alone, tmp_path)
    assert (again.worked, len(again.arm_ids)) == (0, 2)
    meanings = [record.arm_ids for record in Ledger(tmp_path / "ledger").read().recipes]
    assert meanings == [declared.arm_ids, again.arm_ids]
    assert run_recipe(alone, tmp_path).new_records == 0
