"""The microscope in a browser: tokens are hovered, clicked and walked through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboard.conftest import served
from tests.dashboard.looking import look
from tests.dashboard.made_up import write_runs

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
