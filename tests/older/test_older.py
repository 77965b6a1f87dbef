"""What an earlier version wrote is read, shown, verified and planned with."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import pytest

from lrbench.errors import UserError
from lrbench.recipe.loading import load_recipe
from lrbench.results.board import build_boards
from lrbench.results.bundle.contents import bundle_by_name
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.declarations import standing
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.run_content import recipe_runs
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from tests.worlds import forget_embedded_problems

HERE = Path(__file__).parent


def written_rows() -> list[dict[str, str]]:
    """The measured rows of the board as the earlier version printed it."""
    text = (HERE / "results.csv").read_text(encoding="utf-8")
    return [row for row in csv.DictReader(io.StringIO(text)) if row["kind"] == "measured"]


class TestLedger:
    def test_is_read_whole(self, unpacked: Path) -> None:
        contents = Ledger(unpacked / "runs" / "ledger").read()
        assert contents.broken == ()
        assert len(contents.recipes) == 3
        assert {record.arm for record in contents.arms} == {"base", "sft", "lightr"}

    def test_makes_the_board_with_the_same_accuracies(self, unpacked: Path) -> None:
        contents = Ledger(unpacked / "runs" / "ledger").read()
        (board,) = build_boards(contents.arms, contents.scores)
        shown = {
            (row.arm_id, column): found.value
            for row in board.rows
            for column in board.columns
            if (found := row.on(column)) is not None
        }
        written = {(row["arm_id"], row["benchmark"]): float(row["accuracy"]) / 100 for row in written_rows()}
        assert shown.keys() == written.keys()
        assert all(abs(shown[place] - written[place]) < 1e-5 for place in written)

    def test_sets_the_same_arms_against_each_other(self, unpacked: Path) -> None:
        contents = Ledger(unpacked / "runs" / "ledger").read()
        (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
        shown = {
            (row.arm_id, column, baseline): round(found.difference, 3)
            for row in board.rows
            for column in board.columns
            for baseline, delta in row.against.items()
            if (found := delta.on(column)) is not None
        }
        written = {
            (row["arm_id"], row["benchmark"], baseline): round(float(found), 3)
            for row in written_rows()
            for baseline in ("base", "sft")
            if (found := row[f"{baseline}_difference"])
        }
        assert shown == pytest.approx(written, abs=0.01)
        assert board.baselines == ("base", "sft")

    def test_names_its_rows_by_what_differs_and_says_which_the_recipe_does_not_mean(
        self, unpacked: Path
    ) -> None:
        contents = Ledger(unpacked / "runs" / "ledger").read()
        boards = build_boards(contents.arms, contents.scores)
        shown = boards_to_markdown(boards, contents.recipes)
        for rate in ("0.001", "0.002"):
            assert f"| sft learning_rate={rate} seed 0 |" in shown
            assert f"| lightr beta=0.8 learning_rate={rate} seed 1 |" in shown
        assert "\\#" not in shown
        told = "older stands for \\`lrbench run older.yaml\\`. Of \\`lrbench run older.yaml training.learn"
        assert shown.count(told) == 1
        rows = list(csv.DictReader(io.StringIO(boards_to_csv(boards))))
        assert {row["variant"] for row in rows if row["arm"] == "sft"} == {
            "learning_rate=0.001",
            "learning_rate=0.002",
        }
        latex = boards_to_latex(boards)
        assert r"lightr beta=0.4 learning\_rate=0.001 seed 0" in latex
        names = {child.name for run in recipe_runs(contents) for child in run.children}
        assert "lightr seed 0 divergence.beta=0.4 learning_rate=0.001" in names

    def test_claims_are_those_of_the_recipe_without_overrides(self, unpacked: Path) -> None:
        contents = Ledger(unpacked / "runs" / "ledger").read()
        standing_arms = set(contents.recipes[0].arm_ids)
        assert set(standing(contents.recipes)["older"].arm_ids) == standing_arms
        (run,) = recipe_runs(contents)
        assert {arm.arm_id for arm in run.arms} == standing_arms


class TestBundle:
    def test_of_a_name_holds_what_the_recipe_means_and_says_what_it_leaves_out(
        self, unpacked: Path, tmp_path: Path
    ) -> None:
        runs = unpacked / "runs"
        made = bundle_by_name(["older"], "embedded", tmp_path, runs, tmp_path / "b.tar.gz")
        assert (made.arms, len(made.left_out)) == (7, 1)
        (line,) = made.left_out
        assert line == (
            "older, `lrbench run older.yaml training.learning_rate=1.0e-3`: "
            "sft learning_rate=0.001 seeds 0, 1; lightr beta=0.4 learning_rate=0.001 seeds 0, 1; "
            "lightr beta=0.8 learning_rate=0.001 seeds 0, 1"
        )
        assert f"Not in it, of the same recipes:\n  {line}" in str(made)
        found = verify_bundle(tmp_path / "b.tar.gz")
        assert found.findings == ()
        assert line in str(found)
        with tarfile.open(tmp_path / "b.tar.gz") as archive:
            recipes = archive.extractfile("ledger/recipes.jsonl")
            assert recipes is not None
            (kept,) = recipes.read().splitlines()
        first, *_ = (runs / "ledger" / "recipes.jsonl").read_bytes().splitlines()
        assert kept == first

    def test_of_a_name_with_overrides_holds_that_variation(self, unpacked: Path, tmp_path: Path) -> None:
        names = ["older", "training.learning_rate=1.0e-3"]
        made = bundle_by_name(names, "embedded", tmp_path, unpacked / "runs", tmp_path / "b.tar.gz")
        assert verify_bundle(tmp_path / "b.tar.gz").findings == ()
        assert "sft learning_rate=0.002 seeds 0, 1" in str(made)
        with pytest.raises(UserError, match="older was never run with the overrides seed=7; it was run as"):
            bundle_by_name(
                ["older", "seed=7"], "embedded", tmp_path, unpacked / "runs", tmp_path / "c.tar.gz"
            )

    def test_is_verified_but_for_the_items_that_do_not_ship_any_more(self) -> None:
        found = verify_bundle(HERE / "bundle.tar.gz")
        assert found.findings == ()
        assert found.compared == ()
        assert "multi_step of an earlier version" in str(found)

    @pytest.mark.usefixtures("in_first_world")
    def test_whose_items_are_of_no_known_version_is_found_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lrbench.results.bundle.regrading.EARLIER_ITEMS", {})
        assert verify_bundle(HERE / "bundle.tar.gz").findings == ()
        monkeypatch.undo()
        forget_embedded_problems()
        monkeypatch.setattr("lrbench.results.bundle.regrading.EARLIER_ITEMS", {})
        found = verify_bundle(HERE / "bundle.tar.gz").findings
        assert any("the benchmark's data" in finding for finding in found)


class TestRecipe:
    def test_means_what_it_meant(self) -> None:
        recipe = load_recipe(HERE / "older.yaml")
        assert recipe.name == "older"
        assert recipe.seeds == (0, 1)
