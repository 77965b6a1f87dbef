"""Work that an earlier version had finished and that is done again is said with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.holding.engines import Engines
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.redoing import redone
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.samples import PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.recipe.loading import load_recipe
from lrbench.store.store import Store
from lrbench.suites.graders import Integer
from tests.worlds import forget_embedded_problems

pytestmark = pytest.mark.usefixtures("in_first_world")

RECIPE = Path(__file__).parent.parent / "older" / "older.yaml"


def said(runs: Path, *overrides: str) -> list[str]:
    plan = plan_recipe(load_recipe(RECIPE, list(overrides)), runs)
    return [str(found) for found in redone(plan.stages, Store(runs / "store"))]


def test_what_stands_finished_or_was_never_made_is_not_said(older_runs: Path) -> None:
    before = said(older_runs)
    assert said(older_runs, "divergence.beta=0.5", "training.learning_rate=3.0e-3") == before
    assert said(older_runs.parent / "new") == []


def test_an_arm_that_selects_otherwise_is_other_work_and_not_said(older_runs: Path) -> None:
    # With scores of today's version, so that what reads them is looked at by itself.
    without = ["claims=[]", "sweep=null"]
    run_recipe(load_recipe(RECIPE, ["arms=[base, lightr]", *without]), older_runs)
    others = "arms=[lightr, {name: r, like: lightr, selector: {signal: random, match: lightr}}, flat, cd]"
    assert not [text for text in said(older_runs, others, *without) if "samples" in text or " on " in text]


def test_a_stage_of_a_later_version_is_said_once_and_what_reads_it_is_not(
    older_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PairScores, "version", 99)
    monkeypatch.setattr(PairScores, "changes", {99: "own-token columns are stored"})
    monkeypatch.setattr(TrainedAdapter, "version", 99)
    found = [text for text in said(older_runs) if "scores" in text or "lightr" in text]
    assert found == [
        "made again: scores of embedded/expert against embedded/amateur, since own-token columns are stored"
    ]


def test_a_version_without_words_is_named(older_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainedAdapter, "version", 99)
    assert any("since train is at version 99, and was at 3" in text for text in said(older_runs))


def test_another_grader_is_said_of_all_that_it_judged(
    older_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Integer, "version", 99)
    (text,) = [text for text in said(older_runs) if "on multi_step" in text]
    assert "more of its kind" in text
    assert text.endswith("since answers are judged by other rules; what was written is kept")


def test_what_was_written_is_graded_by_another_grader_and_not_written_again(
    older_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_recipe(load_recipe(RECIPE), older_runs)
    before = {stage.key for stage in plan.stages if stage.name == "evaluate"}
    monkeypatch.setattr(Integer, "version", 99)
    monkeypatch.setattr(Engines, "open", lambda *_arguments: pytest.fail("a model was asked again"))
    recipe = load_recipe(RECIPE, ["arms=[base]", "seeds=null", "sweep=null", "claims=[]"])
    assert run_recipe(recipe, older_runs).worked == 7
    store = Store(older_runs / "store")
    after = {stage.key: stage for stage in plan_recipe(recipe, older_runs).stages}
    assert before.isdisjoint(after)
    for key, stage in after.items():
        again, earlier = store.look("evaluate", key), store.look("evaluate", stage.earlier_keys[-1])
        assert again is not None
        assert earlier is not None
        assert list(read_items(again)) == list(read_items(earlier))


def test_work_in_another_world_is_other_work_and_not_taken_for_it(
    older_runs: Path, request: pytest.FixtureRequest
) -> None:
    store = Store(older_runs / "store")
    before = plan_recipe(load_recipe(RECIPE), older_runs)
    assert any(store.exists(stage.name, stage.key) for stage in before.stages)
    request.getfixturevalue("monkeypatch").undo()
    forget_embedded_problems()
    today = plan_recipe(load_recipe(RECIPE), older_runs)
    assert not any(store.exists(stage.name, stage.key) for stage in today.stages)
