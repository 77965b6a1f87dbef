"""Text that wants to act, and a megabyte of it, in a browser: every page shows it as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboard.conftest import served
from tests.dashboard.looking import look
from tests.dashboard.made_up import HOSTILE, MEGABYTE, PLAIN, write_runs

pytestmark = pytest.mark.slow

VIEWS = {
    "leaderboard": "",
    "compare": "compare?items=neither&item=40",
    "compare, as maths": "compare?items=neither&item=40&view=maths",
    "microscope": "microscope",
    "cost": "cost",
    "calibration": "calibration",
    "provenance": "provenance",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    write_runs(folder / "runs", (*HOSTILE, MEGABYTE, *PLAIN), " ".join((*HOSTILE, MEGABYTE)))
    with served(folder / "runs", folder / "log") as found:
        yield found


def test_text_that_wants_to_act_is_shown(address: str, chromium: Any) -> None:
    for name, path in VIEWS.items():
        with look(chromium) as view:
            view.go(f"{address}/{path}")
            view.keep_picture(f"hostile-{name}")
            assert view.page.evaluate("window.acted") is None
            assert view.page.locator(".stHtml script, .stHtml img, .stMarkdown img").count() == 0
            assert view.page.locator("a[href^='javascript']").count() == 0
            assert view.page.locator(".stMarkdown a").count() == 0
            assert view.page.locator(".stException").count() == 0
            assert view.outside == []
            assert view.complaints == []
            assert view.width_used <= 1280


def test_hostile_tokens_show_as_text_and_do_nothing(address: str, chromium: Any) -> None:
    with look(chromium, 420) as view:
        for page in ("cost", "provenance", "microscope"):
            view.go(f"{address}/{page}")
            assert view.page.evaluate("window.acted") is None
            assert view.width_used <= 420
        tokens = view.page.locator(".tokens .token")
        shown = view.page.locator(".tokens").inner_text()
        for text in (
            "<script>window.acted = 1</script>",
            "\\x1b[31mred",
            "\\u202etxt.exe",
            "(1,000,000 characters)",
        ):
            assert text in shown
        for step in range(tokens.count()):
            tokens.nth(step).hover()
        assert view.page.evaluate("window.acted") is None
        assert view.complaints == []
        assert view.outside == []
