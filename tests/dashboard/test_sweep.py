"""A sweep is read from its table: its best with its luck, its claims as one family, and its picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lrbench_dashboard.charts import Palette
from lrbench_dashboard.sweep_chart import sweep_spec
from streamlit.testing.v1 import AppTest

from lrbench.results.board import Board, build_boards
from lrbench.results.choosing import Sweep, sweeps_of
from lrbench.results.ledger import Ledger
from tests.dashboard.swept import ALPHAS, swept_records
from tests.dashboard.test_state import notes

OpenPage = Callable[..., AppTest]


def board_and_sweep(runs: int = 2) -> tuple[Board, Sweep]:
    recipe, arms, scores = swept_records(runs)
    (board,) = build_boards(arms, scores, [recipe])
    (sweep,) = sweeps_of(board, board.rows)
    return board, sweep


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    recipe, arms, scores = swept_records(2)
    Ledger(folder / "ledger").append([recipe, *arms, *scores])
    return folder


def test_every_point_is_in_the_table_and_the_best_says_how_lucky_it_was(
    runs: Path, open_page: OpenPage
) -> None:
    app = open_page(runs, "sweep")
    assert not app.exception
    shown = "".join(element.proto.body for element in app.get("html"))
    _, sweep = board_and_sweep()
    assert sweep.chosen is not None
    assert (sweep.fields, sweep.chosen.points) == ({"divergence.alpha": list(ALPHAS)}, 3)
    assert "alpha=0.4</b> is the highest of 3 points" in shown
    assert f"{sweep.chosen.optimism:.1f} points too high" in shown
    points = re.findall(r'<tr><th scope="row"><a [^>]*>([\d.]+)</a>', shown)
    assert points == ["0.4", "0.2", "0.1"], "the highest first"
    assert shown.index("highest of 3") < shown.index("Every point of the sweep")
    assert "The 3 claims of all points are one family" in shown
    assert len(app.get("vega_lite_chart")) == 1


def test_the_picture_has_a_band_a_mark_and_the_runs_of_every_point_and_the_baseline() -> None:
    board, sweep = board_and_sweep()
    baseline = board.baseline_of(sweep.groups[0], "base")
    spec = sweep_spec(sweep, "divergence.alpha", "average", Palette(False, ()), baseline)
    values = spec["data"]["values"]
    assert [value["x"] for value in values] == list(ALPHAS)
    assert all(value["low"] < value["y"] < value["high"] for value in values)
    kinds = [layer["mark"]["type"] for layer in spec["layer"]]
    assert kinds == ["area", "line", "tick", "point", "rule", "text"]
    assert len(spec["layer"][2]["data"]["values"]) == 2 * len(ALPHAS)


def test_what_is_no_number_stands_in_the_order_of_the_sweep_and_one_run_has_no_ticks() -> None:
    _, sweep = board_and_sweep(runs=1)
    named = Sweep(sweep.board, tuple(_renamed(group) for group in sweep.groups))
    spec: dict[str, Any] = sweep_spec(named, "training.schedule", "average", Palette(True, ()), None)
    across = spec["layer"][0]["encoding"]["x"]
    assert (across["type"], across["sort"]) == ("ordinal", None)
    assert spec["layer"][2]["data"]["values"] == []


def _renamed(group: Any) -> Any:
    from dataclasses import replace

    names = {0.1: "linear", 0.2: "constant", 0.4: "cosine"}
    rows = tuple(
        replace(row, point={"training.schedule": names[row.point["divergence.alpha"]]}) for row in group.rows
    )
    return type(group)(rows)


def test_without_a_sweep_that_is_said(runs: Path, open_page: OpenPage, tmp_path: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    Ledger(tmp_path / "ledger").append([score for score in contents.scores if score.arm == "base"])
    app = open_page(tmp_path, "sweep")
    assert not app.exception
    assert any("No arm here stands at several points" in note for note in notes(app))
