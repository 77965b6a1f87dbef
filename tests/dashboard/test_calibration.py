"""The calibration page: every result's confidences as a picture with the n of its bins, and their worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lrbench_dashboard.charts import palette_of
from lrbench_dashboard.reliability import LOWEST, TALLEST_BAR, reliability_spec
from streamlit.testing.v1 import AppTest

from lrbench.results.board import Board, build_boards
from lrbench.results.ledger import Ledger
from lrbench.results.records import ScoreRecord
from lrbench.results.rows import AVERAGE
from lrbench.results.wording import accuracy_text
from tests.dashboard.made_up import write_runs
from tests.dashboard.test_cost import bodies

OpenPage = Callable[..., AppTest]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    write_runs(tmp_path)
    contents = Ledger(tmp_path / "ledger").read()
    (found,) = build_boards(contents.arms, contents.scores)
    return found


def test_a_picture_has_a_dot_and_the_number_of_answers_for_every_bin(board: Board) -> None:
    row = next(row for row in board.rows if row.arm == "lightr")
    worth = row.traced(AVERAGE).likelihood.calibration  # type: ignore[union-attr]
    assert worth is not None
    spec = reliability_spec(worth.bins, "#1d4ed8", palette_of(board.rows))
    drawn = spec["data"]["values"]
    assert len(drawn) > 3
    assert sum(value["n"] for value in drawn) == 200
    # 0.1 nats more for every item of 12 tokens: all with over 0.9 are right, and so the first in both.
    assert [value["right"] for value in drawn[-2:]] == [100, 100]
    assert all(value["low"] < value["confidence"] <= value["high"] for value in drawn)
    assert max(value["top"] for value in drawn) == LOWEST + TALLEST_BAR < 0
    json.dumps(spec)


def test_the_page_has_the_numbers_of_the_results_and_of_one_benchmark(
    board: Board, tmp_path: Path, open_page: OpenPage
) -> None:
    for column in (AVERAGE, "vary"):
        app = open_page(tmp_path, "calibration", column=column)
        assert not app.exception
        shown = bodies(app)
        for row in board.rows:
            found = row.traced(column).likelihood  # type: ignore[union-attr]
            worth = found.calibration
            for one in (found.share, found.confidence, found.accuracy, worth.error, worth.brier, worth.area):  # type: ignore[union-attr]
                assert f"<td>{accuracy_text(one)}</td>" in shown  # type: ignore[arg-type]
        assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) == 2


def test_without_confidences_the_page_says_what_asks_for_them(tmp_path: Path, open_page: OpenPage) -> None:
    def without(score: ScoreRecord) -> ScoreRecord:
        return score.model_copy(update={"traces": None})

    write_runs(tmp_path)
    contents = Ledger(tmp_path / "ledger").read()
    Ledger(tmp_path / "bare" / "ledger").append([*contents.arms, *map(without, contents.scores)])
    app = open_page(tmp_path / "bare", "calibration")
    assert not app.exception
    assert "A recipe asks for it with <code>measure</code>" in bodies(app)
