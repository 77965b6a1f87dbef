"""`measure.forgetting` measures every arm on a second suite, which its board sets against the expert."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.errors import RunError
from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.run_content import recipe_runs
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.store.artifact import Artifact
from tests.pipeline.running import artifact_of

# An answer that is not the expert's own, and is not trained either.
OTHER = {"name": "other", "like": "base", "answer": {"prefill": "7"}}


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(
        pair={"expert": {"model": "embedded/expert"}},
        arms=["base", OTHER],
        evaluation={"suite": "embedded7", "benchmarks": ["hard"], "limit": 8},
        measure={"forgetting": "embedded_talk"},
        claims=["other > base on average"],
    )


def test_the_first_suite_is_measured_as_without_the_second(recipe: Recipe, runs: Path) -> None:
    alone = recipe.model_copy(update={"measure": None})
    before, after = ({stage.key for stage in plan_recipe(one, runs).stages} for one in (alone, recipe))
    assert before < after
    assert len(after) == 4
    assert [len(arm.scores) for arm in plan_recipe(recipe, runs).arms] == [2, 2]


def replies_begun_rightly(artifact: Artifact) -> int:
    return sum(row["completion"].split()[:2] == row["gold"].split() for row in read_items(artifact))


def test_the_board_shows_what_was_lost_elsewhere(
    recipe: Recipe, runs: Path, arms: dict[str, ArmPlan]
) -> None:
    contents = Ledger(runs / "ledger").read()
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    first, second = sorted(boards, key=lambda board: board.suite)
    lost = first.forgetting[recipe.name]
    (row,) = (row for row in first.rows if not row.untrained)
    found = lost.of(row)
    assert found is not None
    # Of what was written in answer to small talk, and how the replies should begin.
    right = {name: replies_begun_rightly(artifact_of(runs, arm.scores[-1])) for name, arm in arms.items()}
    assert right["other"] < right["base"] == 8
    assert found.difference == pytest.approx(100 * (right["other"] - right["base"]) / 8)
    assert [lost.of(row) for row in first.rows if row.untrained] == [None]
    assert (second.forgetting, second.second_of) == ({}, {recipe.name})
    text = boards_to_markdown(boards, contents.recipes)
    assert "forgetting, embedded_talk" in text
    (mirrored,) = recipe_runs(contents)
    assert "forgetting, embedded_talk" in mirrored.artifacts["board.md"].decode()
    # Claims are about the first suite alone.
    assert text.count("Claims:") == 1
    lines = [line for line in csv.DictReader(io.StringIO(boards_to_csv(boards))) if line["forgetting_suite"]]
    assert {(line["suite"], line["arm"], line["forgetting_suite"]) for line in lines} == {
        ("embedded7", "other", "embedded_talk")
    }


def test_a_bundle_needs_both_suites(recipe: Recipe, runs: Path, tmp_path: Path) -> None:
    write_bundle([recipe.name], runs, tmp_path / "whole.zip")
    assert verify_bundle(tmp_path / "whole.zip").findings == ()
    other = tmp_path / "other"
    shutil.copytree(runs / "store", other / "store")
    contents = Ledger(runs / "ledger").read()
    first = [score for score in contents.scores if score.suite != "embedded_talk"]
    Ledger(other / "ledger").append([*contents.recipes, *contents.arms, *first])
    with pytest.raises(RunError, match="has no score on its second suite"):
        write_bundle([recipe.name], other, tmp_path / "half.zip")
    unpaired = [record.model_copy(update={"forgetting": {}}) for record in contents.recipes]
    shutil.rmtree(other / "ledger")
    Ledger(other / "ledger").append([*unpaired, *contents.arms, *first])
    write_bundle([recipe.name], other, tmp_path / "changed.zip")
    findings = "\n".join(verify_bundle(tmp_path / "changed.zip").findings)
    assert "its score on small_talk, as the recipe declares it, is not there" in findings
    assert "the suites on which it is seen what is forgotten" in findings
