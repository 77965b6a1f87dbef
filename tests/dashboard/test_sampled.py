"""Sampled answers on every page: tests are of items, and what is counted is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lrbench_dashboard.comparing import Duel, benchmarks_html
from streamlit.testing.v1 import AppTest

from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger
from tests.dashboard.test_provenance import bodies

OpenPage = Callable[..., AppTest]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sampled")
    pair = {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}}
    recipe = {
        "name": "sampled",
        "pair": pair,
        "data": {"train": "embedded/multi_step", "problems": 8},
        "training": {"updates": 1, "rollouts_per_update": 8},
        "arms": ["base", "cd"],
        "evaluation": {"suite": "embedded7", "benchmarks": ["formula"], "limit": 6},
        "measure": {"samples": 3, "traces": True, "confidence": r"= (\d+)"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        assert not run_recipe(Recipe.model_validate(recipe), place).failures
    return place


@pytest.mark.parametrize(
    "page", ["leaderboard", "compare", "microscope", "cost", "calibration", "provenance"]
)
def test_every_page_opens(runs: Path, open_page: OpenPage, page: str) -> None:
    app = open_page(runs, page)
    assert not app.exception
    assert bodies(app)


def test_a_comparison_counts_items_and_has_no_table_of_flips(runs: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    (board,) = build_boards(contents.arms, contents.scores)
    first, second = reversed(board.groups)
    duel = Duel(board, first.rows[0], second.rows[0], (first, second))
    assert duel.pairs["formula"].n == 6
    assert duel.flips == {}
    assert duel.benchmarks["formula"] == board.rows[1].against["base"].on("formula")
    shown = benchmarks_html(duel, ("cd", "base"))
    assert "6" in shown
    assert duel.average is not None
