"""All that a runs folder says, as Arrow tables: columns, rows, and names that are not there."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import lrbench
from lrbench.api import recipe_of
from lrbench.errors import RecipeError, UserError
from lrbench.results import frames
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from tests.commands import QUICKSTART, ROOT

COLUMNS = {
    "scores": frames.SCORES,
    "items": frames.ITEMS,
    "rollouts": frames.ROLLOUTS,
    "steps": frames.STEPS,
    "curves": frames.CURVES,
}
DOCUMENTATION = (ROOT / "docs" / "python.md").read_text()


@pytest.mark.slow
def test_scores_and_items_are_those_of_the_ledger_and_the_store(quickstart_runs: Path) -> None:
    records = Ledger(quickstart_runs / "ledger").read().scores
    scores = lrbench.scores(runs=quickstart_runs).to_pylist()
    assert [(row["arm"], row["benchmark"], row["n"], row["right"]) for row in scores] == [
        (score.arm, score.benchmark, len(score.paper), score.paper.count("1")) for score in records
    ]
    items = lrbench.items("quickstart", "lightr", "hard", runs=quickstart_runs).to_pylist()
    (score,) = [score for score in records if (score.arm, score.benchmark) == ("lightr", "hard")]
    expected = Inspector(quickstart_runs).items(score)
    assert [(row["id"], row["completion"], row["right"]) for row in items] == [
        (item["id"], item["completion"], item["paper"]) for item in expected
    ]
    assert {row["arm_id"] for row in items} == {score.arm_id}


@pytest.mark.slow
def test_steps_belong_to_rollouts_and_curves_to_arms(quickstart_runs: Path) -> None:
    rollouts = lrbench.rollouts(arm="lightr", runs=quickstart_runs).to_pylist()
    steps = lrbench.steps(arm="lightr", runs=quickstart_runs).to_pylist()
    assert len(steps) == sum(row["steps"] for row in rollouts)
    first = [row["text"] for row in steps if row["rollout"] == 0]
    assert "".join(first) == rollouts[0]["completion"]
    assert all(row["kl"] >= -1e-6 for row in steps)
    assert all(row["log_p_expert"] <= 0 for row in steps)
    (record,) = [arm for arm in Ledger(quickstart_runs / "ledger").read().arms if arm.arm == "lightr"]
    losses = [
        (row["update"], row["value"])
        for row in lrbench.curves(arm="lightr", runs=quickstart_runs).to_pylist()
        if row["curve"] == "loss"
    ]
    assert losses == [tuple(map(float, point)) for point in record.curves["loss"]]


@pytest.mark.slow
def test_the_leaderboard_has_the_numbers_of_the_command(quickstart_runs: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from tests.commands import lrbench as command

    place = tmp_path / "numbers.parquet"
    done = command("results", "--format", "parquet", "--to", place, "--all", "--runs", quickstart_runs)
    assert done.returncode == 0, done.stderr
    assert lrbench.leaderboard(runs=quickstart_runs).equals(pq.read_table(place))


@pytest.mark.parametrize("name", COLUMNS)
def test_an_empty_folder_has_the_same_columns_and_the_documentation_names_them(
    name: str, tmp_path: Path
) -> None:
    table = getattr(lrbench, name)(runs=tmp_path)
    assert table.num_rows == 0
    assert table.column_names == list(COLUMNS[name])
    (line,) = [line for line in DOCUMENTATION.splitlines() if line.startswith(f"| `{name}(")]
    own = [column for column in COLUMNS[name] if column not in frames.WHO]
    assert [word.strip("`;, ") for word in line.split("`") if word in own] == own


def test_an_empty_leaderboard_is_a_table(tmp_path: Path) -> None:
    assert isinstance(lrbench.leaderboard(runs=tmp_path), pa.Table)


@pytest.mark.slow
def test_names_that_are_not_there_are_told_with_the_nearest(quickstart_runs: Path) -> None:
    with pytest.raises(UserError, match="no results of a recipe 'quickstrat'; did you mean `quickstart`"):
        lrbench.items("quickstrat", runs=quickstart_runs)
    with pytest.raises(UserError, match="no results of an arm 'lightre'; did you mean `lightr`"):
        lrbench.steps("quickstart", "lightre", runs=quickstart_runs)


def test_a_recipe_its_file_and_its_fields_are_the_same_plan(tmp_path: Path) -> None:
    recipe = lrbench.load_recipe(QUICKSTART)
    keys = [stage.key for stage in lrbench.plan(recipe, tmp_path).stages]
    assert [stage.key for stage in lrbench.plan(str(QUICKSTART), str(tmp_path)).stages] == keys
    fields = recipe.model_dump(mode="json")
    assert [stage.key for stage in lrbench.plan(fields, tmp_path).stages] == keys
    with pytest.raises(RecipeError, match=r"(?s)the given fields.*trainin"):
        lrbench.plan(fields | {"trainin": {}}, tmp_path)


def test_fields_are_checked_as_a_file_is_and_may_extend_one(tmp_path: Path) -> None:
    short = {"extends": str(QUICKSTART), "training": {"updates": 2}}
    assert lrbench.load_recipe(QUICKSTART, ["training.updates=2"]) == recipe_of(short)
    seeded = lrbench.load_recipe(QUICKSTART, ["seeds=[0,1]"])
    assert recipe_of(seeded.model_dump(mode="json")) == seeded
    with pytest.raises(RecipeError, match=r"(?s)the given fields.*measure.weighed_by.*techer"):
        lrbench.plan(short | {"measure": {"traces": True, "weighed_by": "techer"}}, tmp_path)
    unmatched = {"training": {"updates": 2, "budget": {"match": "nobody", "on": "tuned_tokens"}}}
    with pytest.raises(RecipeError, match=r"(?s)the given fields.*training.budget.match.*nobody"):
        lrbench.plan(short | unmatched, tmp_path)
