"""What an earlier version wrote is read, shown, verified and planned with."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from lrbench.recipe.loading import load_recipe
from lrbench.results.board import build_boards
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger

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


class TestBundle:
    def test_is_verified(self) -> None:
        assert verify_bundle(HERE / "bundle.tar.gz").findings == ()


class TestRecipe:
    def test_means_what_it_meant(self) -> None:
        recipe = load_recipe(HERE / "older.yaml")
        assert recipe.name == "older"
        assert recipe.seeds == (0, 1)
