"""What a runs folder keeps: nothing that a result or a begun recipe needs is ever cleared."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.errors import RunError, UserError
from lrbench.pipeline.clearing import clear, holdings, removal_of, remove, unneeded
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.sharing import announced
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import REMOVED, Ledger
from lrbench.results.run_status import statuses
from lrbench.store.store import Store
from tests.commands import lrbench


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(name="first", arms=["base", "lightr"])


@pytest.fixture(scope="module")
def other(make_recipe: Callable[..., Recipe]) -> Recipe:
    """Shares rollouts, scores and the expert's evaluation with the first."""
    return make_recipe(name="second", arms=["base", "no_selection"])


@pytest.fixture(scope="module")
def both(other: Recipe, runs: Path) -> Path:
    """Results of both recipes."""
    assert not run_recipe(other, runs).failures
    return runs


@pytest.fixture
def copied(both: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(both, tmp_path / "runs"))


def keys(recipe: Recipe, runs: Path) -> set[tuple[str, str]]:
    return {(stage.name, stage.key) for stage in plan_recipe(recipe, runs, fetch=False).stages}


def test_what_is_needed_is_kept_and_counted(copied: Path) -> None:
    assert unneeded(copied).sizes == {}
    found = {holding.recipe: holding for holding in holdings(copied)}
    assert set(found) == {"second", "first"}
    assert (found["first"].arms, found["first"].begun) == (2, 0)
    whole = sum(path.stat().st_size for path in (copied / "store").glob("*/*/**/*") if path.is_file())
    shared = found["first"].size - found["first"].alone
    assert shared > 0
    assert found["first"].size + found["second"].alone == whole


def test_of_a_removed_recipe_only_what_others_need_stays(recipe: Recipe, other: Recipe, copied: Path) -> None:
    before = Ledger(copied / "ledger").read()
    removal = removal_of(["first"], copied)
    assert [arm.arm for arm in removal.arms] == ["base", "lightr"]
    assert {status.recipe for status in statuses(copied)} == {"first", "second"}
    remove(copied, removal)
    assert {status.recipe for status in statuses(copied)} == {"second"}
    after = Ledger(copied / "ledger").read()
    assert len(after.arms) == len(before.arms) - 2
    assert {record.recipe for record in after.recipes} == {"second"}
    removed = (copied / "ledger" / REMOVED).read_text().splitlines()
    assert len(removed) == len(removal.recipes) + len(removal.arms) + len(removal.scores)
    found = unneeded(copied)
    assert set(found.sizes) == keys(recipe, copied) - keys(other, copied)
    count, size = clear(copied, found)
    assert (count, size) == (len(found.sizes), found.size)
    assert unneeded(copied).sizes == {}
    assert set(Store(copied / "store").addresses()) == keys(other, copied)
    # The other recipe is as finished as it was, and the first is made again as before.
    assert run_recipe(other, copied).worked == 0
    assert run_recipe(recipe, copied).worked == count
    again = {arm.arm_id for arm in Ledger(copied / "ledger").read().arms}
    assert again == {arm.arm_id for arm in before.arms}


def test_a_recipe_that_was_begun_keeps_what_it_has_made(
    make_recipe: Callable[..., Recipe], recipe: Recipe, copied: Path
) -> None:
    begun = make_recipe(name="begun", arms=["neither"])

    def stop(*_: object) -> None:
        raise RunError("no more of this")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrbench.pipeline.stages.evaluation.BenchmarkScore.work", stop)
        assert run_recipe(begun, copied).failures
    (holding,) = [holding for holding in holdings(copied) if holding.recipe == "begun"]
    assert (holding.arms, holding.begun) == (1, 1)
    own = keys(begun, copied) - keys(recipe, copied)
    assert any(Store(copied / "store").exists(*address) for address in own)
    assert unneeded(copied).sizes == {}
    remove(copied, removal_of(["begun"], copied))
    cleared = unneeded(copied)
    assert cleared.sizes
    assert set(cleared.sizes) <= own


def test_nothing_is_cleared_or_removed_while_a_process_is_at_work(copied: Path) -> None:
    message = r"works on first in .*; wait until it has ended, or end it"
    with announced(copied, "first"):
        with pytest.raises(UserError, match=message):
            unneeded(copied)
        with pytest.raises(UserError, match=message):
            remove(copied, removal_of(["first"], copied))
    assert len(Ledger(copied / "ledger").read().recipes) == 2


def test_what_a_process_has_begun_to_work_on_meanwhile_stays(copied: Path) -> None:
    remove(copied, removal_of(["first"], copied))
    found = unneeded(copied)
    held = next(iter(found.sizes))
    with Store(copied / "store").lock(*held) as is_held:
        assert is_held
        # Another process would see it held; in this one that is an error of ours.
        with pytest.raises(RuntimeError, match="holds"):
            clear(copied, found)
    assert Store(copied / "store").exists(*held)


def test_lines_that_do_not_read_may_need_anything(copied: Path) -> None:
    with (copied / "ledger" / "arms.jsonl").open("a") as stream:
        stream.write("torn\n")
    with pytest.raises(UserError, match=r"1 lines of the ledger cannot be read, .*doctor --repair"):
        unneeded(copied)


def test_a_begun_recipe_that_cannot_be_planned_is_named(
    make_recipe: Callable[..., Recipe], copied: Path, tmp_path: Path
) -> None:
    begun = make_recipe(name="begun", arms=["neither"])
    ledger = Ledger(copied / "ledger")
    record = ledger.read().recipes[0]
    written = record.recipe_yaml.replace(begun.pair.expert.model, str(tmp_path / "gone"))
    ledger.append([record.model_copy(update={"recipe": "lost", "arm_ids": ("x",), "recipe_yaml": written})])
    with pytest.raises(UserError, match=r"(?s)lost was begun and .*gone.*lrbench rm lost"):
        unneeded(copied)


def test_the_commands_say_before_they_do(copied: Path) -> None:
    said = lrbench("list", "--runs", copied).stdout
    assert "second" in said
    assert "alone: what no other recipe needs" in said
    unknown = lrbench("rm", "frist", "--runs", copied)
    assert unknown.returncode == 2
    assert "no results of a recipe named 'frist'; did you mean `first`?" in unknown.stderr
    would = lrbench("rm", "first", "--runs", copied).stdout
    assert would == "Would remove 2 arms and 4 scores of first. `--yes` does it.\n"
    assert len(Ledger(copied / "ledger").read().recipes) == 2
    assert "Removed 2 arms" in lrbench("rm", "first", "--yes", "--runs", copied).stdout
    would = lrbench("gc", "--runs", copied).stdout
    assert "that nothing needs" in would
    assert unneeded(copied).sizes
    assert lrbench("gc", "--yes", "--runs", copied).stdout.startswith("Deleted ")
    assert "all artifacts are needed" in lrbench("gc", "--runs", copied).stdout
    empty = lrbench("list", "--runs", copied / "none").stdout
    assert "holds no results" in empty
