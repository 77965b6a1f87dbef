"""Adapters that learn from what the model in training writes: costs, resuming, nothing to learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import UserError
from lrbench.pipeline.exporting.publishing import export_result
from lrbench.pipeline.exporting.samples import compared_samples
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.solutions import CheckedSolutions
from lrbench.recipe.schema import ArmDeclaration, Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord
from lrbench.results.uses import ArmsInUse
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.training import loop
from tests.pipeline.running import artifact_of

MakeRecipe = Callable[..., Recipe]

POLICY = {"group": 4, "problems": 3, "kl": 0.05, "entropy_top": 0.5, "temperature": 0.8}
GRPO = {"name": "grpo", "objective": {"grpo": POLICY}}
SECTIONS: dict[str, Any] = {
    "sampling": {"max_new_tokens": 8, "solutions": {"max_new_tokens": 8}},
    "training": {"updates": 5, "rollouts_per_update": 4, "learning_rate": 1e-3},
    "evaluation": {"suite": "embedded7", "benchmarks": ["hard"], "limit": 1},
}


class Killed(BaseException):
    """What nothing in between catches, as nothing catches a kill."""


@pytest.fixture(scope="module", autouse=True)
def some_are_right() -> Iterator[None]:
    """Random models solve nothing: answers with an even first token shall be right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckedSolutions, "is_right", lambda _self, _index, ids, _workspace: ids[0] % 2 == 0)
        yield


@pytest.fixture(scope="module")
def recipe(make_recipe: MakeRecipe) -> Recipe:
    return make_recipe(arms=[GRPO], **SECTIONS)


def trained(recipe: Recipe, runs: Path) -> Artifact:
    (arm,) = (arm for arm in plan_recipe(recipe, runs).arms if arm.adapter is not None)
    assert arm.adapter is not None
    return artifact_of(runs, arm.adapter)


def record_of(runs: Path) -> ArmRecord:
    (record,) = Ledger(runs / "ledger").read().arms
    return record


def commits(monkeypatch: pytest.MonkeyPatch, end_before: int | None = None) -> list[str]:
    """The names of files as they are committed; the run is killed before so many of them."""
    names: list[str] = []
    commit = Draft.commit

    def noted(self: Draft, name: str, write: Callable[[Path], object], seconds: float = 0.0) -> Path:
        if len(names) == end_before:
            raise Killed
        names.append(name)
        return commit(self, name, write, seconds)

    monkeypatch.setattr(Draft, "commit", noted)
    return names


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a run that nobody disturbs."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def undisturbed(recipe: Recipe, whole: Path) -> tuple[Artifact, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        names = commits(patch)
        assert not run_recipe(recipe, whole).failures
    return trained(recipe, whole), names


def test_what_was_written_and_learnt_is_counted_in_costs_statistics_and_curves(
    whole: Path, undisturbed: tuple[Artifact, list[str]]
) -> None:
    artifact, names = undisturbed
    assert {record.name for record in artifact.files} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "curves.json",
    }
    assert [name for name in names if name.endswith(".parquet")][:2] == [
        "written-000000.parquet",
        "written-000001.parquet",
    ]
    record = record_of(whole)
    costs, curves, found = record.costs, record.curves, record.statistics
    assert (costs.updates, costs.sampled_problems, found["sampled_completions"]) == (5, 15, 60)
    assert costs.sampled_tokens == sum(count for _, count in curves["written_tokens"])
    # The divergence from the expert is learnt at every token.
    assert costs.tuned_tokens == costs.trained_steps == costs.sampled_tokens
    assert costs.learnt_problems == 15
    assert list(record.stages) == ["train"]
    assert 0 < found["share_right"] < 1
    for name in ("reward", "right", "equal_groups", "completion_tokens"):
        assert [update for update, _ in curves[name]] == list(range(5))
    assert 0 <= found["groups_with_equal_rewards"] <= 1


def test_a_kill_at_any_commit_ends_with_the_same_bytes_and_writes_nothing_twice(
    recipe: Recipe, tmp_path: Path, undisturbed: tuple[Artifact, list[str]]
) -> None:
    undamaged, names = undisturbed
    # After a save, and between the two files of an update.
    for place in (names.index("save.safetensors") + 1, names.index("written-000003.parquet")):
        runs = tmp_path / f"killed-{place}"
        with pytest.MonkeyPatch.context() as patch:
            before = commits(patch, end_before=place)
            with pytest.raises(Killed):
                run_recipe(recipe, runs)
        with pytest.MonkeyPatch.context() as patch:
            after = commits(patch)
            assert not run_recipe(recipe, runs).failures
        assert trained(recipe, runs).content_hash == undamaged.content_hash
        written = [name for name in (*before, *after) if name.endswith(".parquet") and "part" not in name]
        assert len(written) == len(set(written)) == 5


def test_counts_of_an_update_before_the_save_that_are_damaged_are_made_again_from_the_beginning(
    recipe: Recipe, tmp_path: Path, undisturbed: tuple[Artifact, list[str]]
) -> None:
    undamaged, names = undisturbed
    with pytest.MonkeyPatch.context() as patch:
        commits(patch, end_before=names.index("save.safetensors") + 1)
        with pytest.raises(Killed):
            run_recipe(recipe, tmp_path)
    (written,) = tmp_path.rglob("written-000000.json")
    written.write_bytes(b"torn")
    assert not run_recipe(recipe, tmp_path).failures
    assert trained(recipe, tmp_path).content_hash == undamaged.content_hash


def test_a_bundle_holds_it_to_its_recipe_and_who_reads_it_has_its_costs(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    reader = {"name": "reader", "like": "base", "answer": {"mix": {"arm:grpo": 1.0}}}
    data = {"train": "embedded/multi_step", "problems": 16}
    recipe = make_recipe(arms=["grpo", reader], data=data, **SECTIONS)
    assert not run_recipe(recipe, tmp_path / "runs").failures
    write_bundle(["tiny"], tmp_path / "runs", tmp_path / "b.tar.gz")
    assert verify_bundle(tmp_path / "b.tar.gz").findings == ()
    export_result("tiny/grpo", tmp_path / "runs", tmp_path / "exported", merge=False)
    card = (tmp_path / "exported" / "README.md").read_text()
    assert "Learnt from: solutions rollouts" in card
    assert 'objective: {"grpo": {' in card.replace("\\", "")
    arms = Ledger(tmp_path / "runs" / "ledger").read().arms
    own, read = (next(arm for arm in arms if arm.arm == name) for name in ("grpo", "reader"))
    used = ArmsInUse(arms)
    assert used.of(own, []).labels
    assert used.of(read, []).labels
    costs = used.costs(read)
    assert costs is not None
    assert costs.sampled_tokens == own.costs.sampled_tokens
    # More are drawn than there are: each counts once, and how often one was asked is another number.
    assert (costs.sampled_problems, costs.drawn_problems) == (own.costs.sampled_problems, 5 * 8)
    assert own.costs.sampled_problems == 16


def test_a_learning_rate_of_nought_answers_as_the_expert_does(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it writes at random meanwhile; no recipe can ask for it."""
    schedule = loop.Schedule

    def still(updates: int, _: float, *others: Any) -> loop.Schedule:
        return schedule(updates, 0.0, *others)

    monkeypatch.setattr(loop, "Schedule", still)
    arms = (ArmDeclaration(name="base"), *recipe.arms)
    assert not run_recipe(recipe.model_copy(update={"arms": arms}), tmp_path).failures
    base, grpo = (score.answers_hash for score in Ledger(tmp_path / "ledger").read().scores)
    assert base == grpo


def test_no_samples_of_it_can_be_looked_at(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no samples of it are kept"):
        compared_samples(recipe, "grpo", tmp_path, tmp_path / "file")


def test_groups_whose_rewards_are_all_equal_teach_nothing_and_are_counted(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(CheckedSolutions, "is_right", lambda *_: False)
    recipe = make_recipe(
        arms=[{"name": "grpo", "objective": {"grpo": {"group": 3, "problems": 2}}}], **SECTIONS
    )
    run_recipe(recipe, tmp_path)
    found = record_of(tmp_path)
    assert "in 10 of 10 groups all answers were worth the same" in caplog.text
    assert found.statistics["groups_with_equal_rewards"] == 1
    assert (found.costs.tuned_tokens, found.costs.learnt_problems) == (0, 0)
    assert all(loss == 0 for _, loss in found.curves["loss"])
    assert all(norm == 0 for _, norm in found.curves["gradient_norm"])
