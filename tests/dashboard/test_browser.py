"""Every page in a real browser, over a real store: what it shows, asks for, and looks like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lrbench.results.ledger import Ledger
from tests.dashboard.conftest import served
from tests.dashboard.looking import look
from tests.dashboard.made_up import write_runs

pytestmark = pytest.mark.slow

# What each page says of the quickstart, at its own address.
PAGES = {
    "leaderboard": (
        "",
        ("Leaderboard", "on average in these runs", "multi_step", "tuned tokens", "Markdown"),
    ),
    "runs": ("runs", ("Runs", "quickstart", "finished after", "45 of 45 stages")),
    "compare": ("compare", ("Compare two", "Items by who is right", "gold answer", "paper: ")),
    "microscope": ("microscope", ("Divergence microscope",)),
    "cost": ("cost", ("Cost and quality",)),
    "calibration": ("calibration", ("Calibration", "No result here says how sure its answers are")),
    "provenance": ("provenance", ("Provenance",)),
}


@pytest.fixture(scope="module")
def address(quickstart_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(quickstart_runs, tmp_path_factory.mktemp("server") / "log") as found:
        yield found


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_its_content_offline_and_fits_the_window(
    address: str, chromium: Any, name: str, width: int
) -> None:
    path, expected = PAGES[name]
    with look(chromium, width) as view:
        view.go(f"{address}/{path}")
        backgrounds = set()
        for scheme in ("light", "dark"):
            view.wear(scheme)
            backgrounds.add(view.background)
            view.keep_picture(f"{name}-{width}-{scheme}")
            for text in expected:
                assert text in view.text
            assert "Traceback" not in view.text
            assert view.page.locator(".stException").count() == 0
            assert view.outside == []
            assert view.complaints == []
            assert view.width_used <= width
            assert view.cut == [], "no table is cut at its side"
        assert len(backgrounds) == 2


@pytest.mark.parametrize("width", [1280, 420])
def test_a_method_of_ones_own_has_the_same_pages(tmp_path: Path, chromium: Any, width: int) -> None:
    arms = "arms:\n- name: start\n  like: base\n- name: mine\n  like: lightr\n"
    write_runs(tmp_path / "runs", arms=("start", "mine"), seeds=(0, 1), written=arms)
    told = {
        "": ("mine is 33.0 points above start", "over 2 seeds"),
        "compare": ("start right", "mine right"),
        "cost": ("mine", "start"),
    }
    with served(tmp_path / "runs", tmp_path / "log") as address, look(chromium, width) as view:
        for path, expected in told.items():
            view.go(f"{address}/{path}")
            for scheme in ("light", "dark"):
                view.wear(scheme)
                view.keep_picture(f"mine-{path or 'leaderboard'}-{width}-{scheme}")
            for text in expected:
                assert text in view.text
            assert "sft" not in view.text
            assert view.complaints == []
            assert view.width_used <= width


def test_the_leaderboard_shows_what_an_arm_learnt_from(
    address: str, quickstart_runs: Path, chromium: Any
) -> None:
    arms = {arm.arm: arm for arm in Ledger(quickstart_runs / "ledger").read().arms}
    with look(chromium) as view:
        view.go(address)
        assert f"{arms['lightr'].costs.tuned_tokens:,}" in view.page.inner_text(".lr-board")


def test_the_address_follows_the_widgets_and_going_back_follows_the_address(
    address: str, chromium: Any
) -> None:
    with look(chromium) as view:
        view.go(address)
        view.page.locator(".lr-board thead").get_by_role("link", name="average").click()
        view.page.wait_for_url("**sort=average*")
        view.settle()
        query = parse_qs(urlsplit(view.page.url).query)
        assert query["sort"] == ["average"]
        sorted_table = view.page.inner_text(".lr-board")
        with look(chromium, stranger=True) as other:
            other.go(view.page.url)
            assert other.page.inner_text(".lr-board") == sorted_table
        view.page.go_back()
        view.settle()
        assert view.page.inner_text(".lr-board") != sorted_table


def test_every_click_is_one_step_back(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(address)
        opened = view.page.evaluate("history.length")
        assert parse_qs(urlsplit(view.page.url).query)["suite"] == ["embedded7"]
        view.page.get_by_role("link", name="Compare two", exact=True).click()
        view.page.wait_for_url("**/compare?*second=*")
        view.settle()
        view.page.get_by_role("combobox", name="Recipe").click()
        view.page.get_by_role("option", name="quickstart").click()
        view.page.wait_for_url("**recipe=quickstart*")
        view.settle()
        assert view.page.evaluate("history.length") == opened + 2
        for title, recipe in (("Compare two", "*"), ("Leaderboard", "*")):
            view.page.go_back()
            view.settle()
            assert view.page.inner_text("h1") == title
            assert parse_qs(urlsplit(view.page.url).query)["recipe"] == [recipe]


def test_the_first_page_is_found_under_its_own_name_too(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(f"{address}/leaderboard?sort=average")
        assert view.page.get_by_role("dialog").count() == 0
        assert view.page.inner_text("h1") == "Leaderboard"
        assert parse_qs(urlsplit(view.page.url).query)["sort"] == ["average"]
        assert view.page.get_by_role("link", name="Leaderboard", exact=True).count() == 1
        assert view.complaints == []


def test_downloads_hold_the_rows_that_pass_the_filters(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(f"{address}/?arm=lightr&arm=sft")
        files = {
            "CSV": "kind,suite,",
            "CSV with all tests": "kind,suite,",
            "Markdown": "## embedded7",
            "LaTeX": "",
        }
        for label, start in files.items():
            with view.page.expect_download() as coming:
                view.page.get_by_role("button", name=label, exact=True).click()
            text = Path(coming.value.path()).read_text(encoding="utf-8")
            assert text.startswith(start)
            assert "lightr" in text
            assert ",base," not in text


def test_a_row_leads_to_its_comparison(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(address)
        line = view.page.locator(".lr-arm", has=view.page.get_by_role("rowheader", name="lightr"))
        assert line.get_by_role("link").all_inner_texts() == ["flips", "tokens", "cost", "provenance"]
        line.get_by_role("link", name="flips").click()
        view.page.wait_for_selector("text=Items by who is right", timeout=60_000)
        assert "lightr" in view.text
        assert urlsplit(view.page.url).path == "/compare"


def test_pages_with_widgets_of_one_name_do_not_disturb_each_other(address: str, chromium: Any) -> None:
    with look(chromium) as view:
        view.go(f"{address}/?arm=lightr&arm=sft&recipe=quickstart")
        assert view.page.locator(".lr-arm").count() == 2
        for page in ("Provenance", "Compare two", "Leaderboard"):
            view.page.get_by_role("link", name=page, exact=True).click()
            view.settle()
            assert view.page.locator(".stException").count() == 0
            assert "the link asks for" not in view.text
            # What all pages are about stays chosen, also without a link.
            assert parse_qs(urlsplit(view.page.url).query)["recipe"] == ["quickstart"]
        assert view.page.locator(".lr-arm").count() == 5
        view.page.locator('.lr-board a[href^="provenance"]').last.click()
        view.page.wait_for_url("**/provenance?*arm=*")
        view.settle()
        assert "lightr" in view.page.get_by_role("combobox", name="Result").first.input_value()
        assert "the link asks for" not in view.text


def test_the_table_is_one_for_a_screen_reader_on_every_screen(address: str, chromium: Any) -> None:
    for width in (1280, 420):
        with look(chromium, width) as view:
            view.go(address)
            board = view.page.get_by_role("table").first
            assert board.get_by_role("row").count() >= 3
            assert board.get_by_role("rowheader", name="lightr").count() == 1
            assert board.get_by_role("cell", name="best").count() == 1
            label = board.locator("td .lr-label", has_text="tuned tokens").first
            assert label.is_visible() == (width == 420)


def test_without_results_the_page_says_what_to_run(tmp_path: Path, chromium: Any) -> None:
    with served(tmp_path / "absent", tmp_path / "log") as address, look(chromium, 420) as view:
        view.go(address)
        view.keep_picture("empty-420-light")
        assert "No results yet" in view.text
        assert f"lrbench run quickstart --runs {tmp_path / 'absent'}" in view.text
        assert view.complaints == []
        assert view.width_used <= 420
