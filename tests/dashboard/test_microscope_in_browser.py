"""The microscope in a browser: tokens are hovered, clicked and walked through, real ones and hostile ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.conftest import served
from tests.dashboard.looking import look
from tests.dashboard.made_up import HOSTILE, MEGABYTE, PLAIN, write_runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("microscope")
    write_runs(folder / "runs")
    with served(folder / "runs", folder / "log") as found:
        yield found


def test_click_and_keys_choose_a_step_and_the_address_follows(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(f"{address}/microscope")
        page = view.page
        tokens = page.locator(".tokens .token")
        tokens.nth(3).click()
        page.wait_for_selector("h3:has-text('Step 3:')")
        page.wait_for_function("location.search.includes('step=3')")
        tokens.nth(3).focus()
        page.keyboard.press("ArrowRight")
        assert "step 4" in page.locator(".hover").inner_text()
        described = tokens.nth(4).get_attribute("aria-describedby")
        assert described == page.locator(".hover").get_attribute("id")
        page.keyboard.press("Escape")
        assert page.locator(".hover").is_hidden()
        page.keyboard.press("Enter")
        page.wait_for_selector("h3:has-text('Step 4:')")
        view.settle()
        assert tokens.nth(4).get_attribute("aria-selected") == "true"
        tokens.nth(2).hover()
        hovered = page.locator(".hover").inner_text()
        for said in ("step 2", "KL", "expert:", "amateur:"):
            assert said in hovered
        page.get_by_role("slider").last.focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector("h3:has-text('Step 3:')")
        assert view.complaints == []


def test_what_is_kept_is_marked_by_more_than_colour(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(f"{address}/microscope?beta=1.5")
        kept = view.page.locator(".tokens .token.kept").first
        assert kept.evaluate("part => getComputedStyle(part).fontWeight") == "700"
        assert " · kept" in kept.get_attribute("aria-label")
        assert view.page.locator(".stVegaLiteChart").count() == 2


def test_a_link_shows_somebody_else_the_same(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(f"{address}/microscope?beta=1.5&order=sampled")
        view.page.get_by_role("button", name="Next").click()
        view.page.wait_for_function("location.search.includes('problem-1')")
        view.settle()
        link, shown = view.page.evaluate("location.href"), view.page.locator(".tokens").inner_text()
    with look(chromium, stranger=True) as other:
        other.go(link)
        assert other.page.locator(".tokens").inner_text() == shown
        assert "Not what was trained" in other.text


def test_hostile_tokens_show_as_text_and_do_nothing(chromium: Any, tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", tokens=(*HOSTILE, MEGABYTE, *PLAIN), names=" ".join(HOSTILE))
    with served(tmp_path / "runs", tmp_path / "log") as address, look(chromium, 420) as view:
        for page in ("microscope", "cost", "provenance"):
            view.go(f"{address}/{page}")
            assert view.page.evaluate("window.acted") is None
            assert view.width_used <= 420
        view.go(f"{address}/microscope")
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
