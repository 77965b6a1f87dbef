"""A router learns from divergent tokens: its labels, bytes, bounds, costs, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.errors import ModelError, RunError
from lrbench.evaluation.graded_items import read_items
from lrbench.methods.continued import Continued
from lrbench.methods.learnt_routes import TokenRouter
from lrbench.methods.steps import Columns
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.rollouts import parquet_files, read_artifact_rollouts
from lrbench.pipeline.stages.routers import ROUTER_FILE, TrainedRouter
from lrbench.pipeline.stages.saving import Saves
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.uses import ArmsInUse
from lrbench.sampling.continuing import Verdicts, divergent_steps, read_verdicts
from lrbench.sampling.routers import Router, RouterNetwork, Shape, read_router
from lrbench.sampling.scores import read_scores
from lrbench.training.checkpoints import Checkpoint
from tests.pipeline.running import artifact_of

NETWORK = {"layers": 1, "width": 8, "epochs": 8, "batch": 64, "learning_rate": 1e-2}
LENGTHS = [3, 2, 2]


def routed(name: str, to: str = "teacher", like: str = "base", **router: Any) -> dict[str, Any]:
    return {"name": name, "like": like, "answer": {"route": {"to": to, "router": NETWORK | router}}}


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(
        arms=[
            "base",
            "lightr",
            {"name": "teacher", "like": "base", "answer": {"mix": {"teacher": 1.0}}},
            routed("never", above=1.0),
            routed("always", above=-1.0),
            routed("nothing", share=0.0),
            routed("everything", share=1.0),
            routed("some", share=0.3),
            routed("tuned", to="expert", like="lightr", recall=0.5),
            {"name": "divergent", "selector": {"signal": "divergent", "over": "arm:lightr"}},
        ],
        pair={"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
        models={"teacher": {"model": "embedded/careful"}},
        data={"train": "embedded/multi_step", "problems": 24},
        sampling={"max_new_tokens": 48},
        training={"updates": 4, "rollouts_per_update": 4, "learning_rate": 2e-2},
        evaluation={"suite": "embedded7", "benchmarks": ["multi_step"], "limit": 8},
    )


def completions(runs: Path, arm: ArmPlan) -> list[str]:
    (score,) = arm.scores
    return [item["completion"] for item in read_items(artifact_of(runs, score))]


def router_of(arm: ArmPlan) -> TrainedRouter:
    assert arm.answered_by.router is not None
    return arm.answered_by.router


def inputs_of(runs: Path, router: TrainedRouter) -> dict[str, Any]:
    return {name: artifact_of(runs, stage) for name, stage in router.inputs.items()}


def test_identity_31_what_never_routes_is_the_small_model_and_what_always_does_the_large(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    small, large = (completions(runs, arms[name]) for name in ("base", "teacher"))
    assert small != large
    for name in ("never", "nothing"):
        assert completions(runs, arms[name]) == small
    for name in ("always", "everything"):
        assert completions(runs, arms[name]) == large


def test_bounds_differ_and_the_network_is_learnt_once(arms: dict[str, ArmPlan]) -> None:
    bounded = [arms[name] for name in ("never", "always", "nothing", "everything", "some")]
    assert len({router_of(arm).key for arm in bounded}) == 1
    assert len({arm.scores[0].key for arm in bounded}) == len(bounded)


def test_identity_31_its_labels_are_the_steps_that_divergent_keeps(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    """An arm that learns at divergent tokens and a route that learns of them read the same continuations."""
    router, adapter = router_of(arms["tuned"]), arms["divergent"].adapter
    assert adapter is not None
    ((continuing, continuations),) = adapter.samples.continued
    assert continuations.key == router.continuations.key
    inputs = inputs_of(runs, router)
    rollouts = read_artifact_rollouts(inputs["rollouts"])
    workspace = Workspace(router.expert, None, arms["tuned"].recipe.runtime)
    labels = router.labels(rollouts, inputs, workspace)
    verdicts = read_verdicts(parquet_files(inputs["continuations"]))
    view: Columns = verdicts.view([rollout.steps for rollout in rollouts])
    kept = Continued(signal="divergent", over="arm:lightr").keep({continuing.view: view})
    np.testing.assert_array_equal(labels == 1, kept)
    scores = read_scores(parquet_files(inputs[router.scores_name]))
    assert (scores.top1_expert != scores.top1_amateur)[labels == 1].all()
    assert (labels >= 0).any()


def test_labels_are_those_of_a_table_worked_out_by_hand() -> None:
    """Of the first rollout a token leads elsewhere and another was not tried; the third has no answer."""
    tried = Verdicts(
        *(np.array(column, dtype=np.int32) for column in ([0, 1, 2], [0, 1, 0], [1, 1, 1], [1, 0, 1]))
    )
    differing = np.array([True, False, True, False, True, True, False])
    labels = divergent_steps(LENGTHS, differing, [True, True, False], tried)
    assert labels.tolist() == [1, 0, -1, 0, 0, -1, -1]


def test_tokens_of_both_models_are_counted(runs: Path, arms: dict[str, ArmPlan]) -> None:
    (score,) = arms["some"].scores
    found = artifact_of(runs, score).statistics
    assert set(found["origins"]) == {"own", "teacher"}
    assert found["passes"] == {"own": found["tokens"], "teacher": found["tokens"]}


def test_what_the_labels_took_is_in_its_costs(runs: Path, arms: dict[str, ArmPlan]) -> None:
    records = {record.arm: record for record in Ledger(runs / "ledger").read().arms}
    for name in ("some", "tuned"):
        router = router_of(arms[name])
        written, continued = (
            artifact_of(runs, stage).statistics
            for stage in (router.continuations.source, router.continuations)
        )
        own = 0 if name == "some" else records["lightr"].costs.sampled_tokens
        # What it learns from and what its labels are of are the same rollouts of the expert.
        asked = written["tokens"] if name == "some" else 0
        assert records[name].costs.sampled_tokens == own + asked + continued["continued_tokens"]
        assert records[name].stages["router"] == router.key
        assert records[name].statistics["router_divergent"] > 0
        assert records[name].seed == 0
    uses = ArmsInUse(records.values()).of(records["some"], [])
    assert (uses.labels, uses.other_models) == (False, ("teacher",))
    assert records["some"].settings["data"]["problems"] == 24


def test_a_bundle_of_it_is_verified(runs: Path, tmp_path: Path) -> None:
    write_bundle(["tiny"], runs, tmp_path / "b.tar.gz")
    found = verify_bundle(tmp_path / "b.tar.gz")
    assert not found.findings, found.findings


class Killed(KeyboardInterrupt):
    """Stands for whatever ends a process between two saves."""


def test_learning_it_again_and_after_a_kill_gives_the_same_bytes(
    recipe: Recipe, runs: Path, arms: dict[str, ArmPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = router_of(arms["some"])
    before = artifact_of(runs, router)
    others = {"arms": [routed("some", share=0.3)], "runtime": {"updates_between_saves": 1}}
    alone = Recipe.model_validate(recipe.model_dump(mode="json") | others)
    saved: list[int] = []

    def save_and_die(self: Saves, state: Checkpoint) -> None:
        save(self, state)
        saved.append(state.update)
        raise Killed

    save = Saves.save
    for kill in (False, True):
        again = tmp_path / str(kill)
        shutil.copytree(runs / "store", again / "store")
        shutil.rmtree(again / "store" / "router")
        if kill:
            with monkeypatch.context() as patch:
                patch.setattr("lrbench.pipeline.stages.routers.EPOCHS_BETWEEN_SAVES", 1)
                patch.setattr(Saves, "save", save_and_die)
                with pytest.raises(KeyboardInterrupt):
                    run_recipe(alone, again)
            assert saved
        run_recipe(alone, again)
        assert artifact_of(again, router).content_hash == before.content_hash


def test_a_bound_is_found_on_validation() -> None:
    chances, labels = torch.tensor([0.9, 0.1, 0.5, 0.7, 0.3]), torch.tensor([1, 0, 1, 0, 1])
    router = Router(RouterNetwork(Shape(2, 2, 2, 2, 1, 0.0)), chances, labels)

    def taken(**rule: float) -> list[float]:
        bound = router.bound(TokenRouter(**rule))
        return sorted(chances[chances > bound].tolist(), reverse=True)

    assert taken(above=0.5) == pytest.approx([0.9, 0.7])
    assert taken(share=0.4) == pytest.approx([0.9, 0.7])
    assert taken(share=0.0) == []
    assert taken(share=1.0) == pytest.approx([0.9, 0.7, 0.5, 0.3, 0.1])
    assert taken(recall=0.6) == pytest.approx([0.9, 0.7, 0.5])
    assert taken() == pytest.approx([0.9, 0.7, 0.5, 0.3])
    nothing = Router(router.network, chances, torch.zeros(5, dtype=torch.long))
    with pytest.raises(RunError, match="none of the 5 tokens that a router is validated on is divergent"):
        nothing.bound(TokenRouter())


def test_a_finished_router_reads_back(runs: Path, arms: dict[str, ArmPlan]) -> None:
    made = artifact_of(runs, router_of(arms["some"]))
    router = read_router(made.file(ROUTER_FILE), torch.device("cpu"))
    assert len(router.chances) == made.statistics["router_validated"]
    assert int(router.labels.sum()) == made.statistics["router_validated_divergent"]
    assert (router.network.shape.width, router.network.shape.layers) == (8, 1)


def test_models_that_write_no_answers_leave_nothing_to_learn(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(
        arms=["base", routed("learnt", to="amateur")], data={"train": "embedded/one_step", "problems": 4}
    )
    (failure,) = run_recipe(recipe, tmp_path / "runs").failures
    assert "no token is divergent, so a router has nothing to learn: of 0 tokens" in str(failure)


def test_a_model_with_other_tokens_is_refused_before_any_work(recipe: Recipe, tmp_path: Path) -> None:
    foreign = {"models": {"teacher": {"model": "embedded/foreign"}}, "arms": [routed("learnt")]}
    with pytest.raises(ModelError, match="it cannot write in its place where a router says so; name"):
        run_recipe(Recipe.model_validate(recipe.model_dump(mode="json") | foreign), tmp_path / "runs")


def test_a_plan_knows_it(recipe: Recipe, tmp_path: Path) -> None:
    labels = [stage.label for stage in plan_recipe(recipe, tmp_path).stages if stage.name == "router"]
    assert labels == [
        "router from embedded/expert to embedded/careful (8 epochs)",
        "router from embedded/expert with tuned to embedded/expert (8 epochs)",
    ]
