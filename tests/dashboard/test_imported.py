"""Imported results on every page: said to be imported, and nothing is looked for in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lrbench.results.foreign.recording import import_files
from lrbench.results.ledger import Ledger
from tests.dashboard.conftest import served
from tests.dashboard.looking import look
from tests.dashboard.test_provenance import bodies, codes

OpenPage = Callable[..., AppTest]
LOGS = Path(__file__).parent.parent / "data" / "result_files" / "lm_eval"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("imported")
    files = [f"amateur={LOGS / 'models__amateur'}", f"expert={LOGS / 'models__expert'}"]
    import_files(files, place, "logs", claims=["expert > amateur on average"])
    return place


@pytest.mark.parametrize(
    "page", ["leaderboard", "compare", "microscope", "cost", "calibration", "provenance"]
)
def test_every_page_opens(runs: Path, open_page: OpenPage, page: str) -> None:
    app = open_page(runs, page)
    assert not app.exception
    if page not in ("microscope", "cost", "calibration"):
        assert "expert" in bodies(app)


def test_provenance_names_the_files_and_looks_for_no_stage(runs: Path, open_page: OpenPage) -> None:
    arm = Ledger(runs / "ledger").read().arms[1]
    app = open_page(runs, "provenance", arm=arm.arm_id)
    shown = bodies(app)
    assert "Imported from result files" in shown
    assert "lm-eval 0.4.13" in shown
    assert arm.settings["imported"]["files"]["sums_chosen"] in shown
    assert "lrbench import" in codes(app)
    assert "--as logs --claim 'expert > amateur on average'" in codes(app)
    assert "Not everything is there" not in shown
    assert not app.button


@pytest.mark.slow
def test_in_a_browser_an_imported_board_says_so(
    runs: Path, chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        served(runs, tmp_path_factory.mktemp("server") / "log") as address,
        look(chromium, 1280) as view,
    ):
        for page, expected in (
            ("", "imported"),
            ("compare", "expert"),
            ("cost", "Cost and quality"),
            ("provenance", "Imported from result files"),
        ):
            view.go(f"{address}/{page}")
            view.keep_picture(f"imported-{page or 'leaderboard'}")
            assert expected in view.text
            assert "Traceback" not in view.text
            assert view.page.locator(".stException").count() == 0
            assert view.complaints == []
