"""Every page in a real browser, over a real store: what it shows, asks for, and looks like."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lrbench.results.ledger import Ledger
from tests.dashboard.conftest import served
from tests.dashboard.looking import look
from tests.dashboard.made_up import write_runs
from tests.dashboard.swept import swept_records

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

# Of what a phone shows at first, in pixels.
PHONE = 640
CHARTS = ".stVegaLiteChart svg, .stEChartsChart svg"
# The system's colours, those that are drawn with, and of every chart its texts, dashes and the marks of arms.
DRAWN = """charts => {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.cssText = "color: CanvasText; background: Canvas";
  const ink = getComputedStyle(probe).color, paper = getComputedStyle(probe).backgroundColor;
  probe.remove();
  const seen = colour => colour !== "none" && !/^rgba.*, 0[)]$/.test(colour);
  const all = [...document.querySelectorAll(charts)];
  const within = (found, what) => found.flatMap(svg => [...svg.querySelectorAll(what)]);
  const drawn = property => within(all, `:is(path, line, rect)[${property}]:not(.background)`)
    .map(mark => getComputedStyle(mark)[property]).filter(seen);
  return {
    ink, paper,
    texts: within(all, "text").map(text => getComputedStyle(text).fill),
    marks: [...drawn("stroke"), ...drawn("fill")],
    charts: all.map(svg => ({
      said: within([svg], "text").map(text => text.textContent),
      dashes: within([svg], 'path[aria-roledescription="line mark"], path[stroke-width="2"][fill="none"]')
        .map(line => line.getAttribute("stroke-dasharray")),
      arms: within([svg], 'path[aria-label*="arm: "]').map(mark => [
        mark.getAttribute("aria-label").match(/arm: ([^,]+)/)[1],
        mark.getAttribute("d") + seen(getComputedStyle(mark).fill),
      ]),
    })),
  };
}"""


@pytest.fixture(scope="module")
def address(quickstart_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard of the quickstart, and of a sweep that is a suite of its own in the same ledger."""
    runs = tmp_path_factory.mktemp("runs")
    for entry in quickstart_runs.iterdir():
        if entry.name != "ledger":
            (runs / entry.name).symlink_to(entry)
    shutil.copytree(quickstart_runs / "ledger", runs / "ledger")
    recipe, arms, scores = swept_records(2)
    swept = [record.model_copy(update={"recipe": "swept"}) for record in (recipe, *arms)]
    swept += [score.model_copy(update={"recipe": "swept", "suite": "swept"}) for score in scores]
    Ledger(runs / "ledger").append(swept)
    with served(runs, tmp_path_factory.mktemp("server") / "log") as found:
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


def test_a_method_of_ones_own_has_the_same_pages(tmp_path: Path, chromium: Any) -> None:
    arms = "arms:\n- name: start\n  like: base\n- name: mine\n  like: lightr\n"
    write_runs(tmp_path / "runs", arms=("start", "mine"), seeds=(0, 1), written=arms)
    told = {
        "": ("mine is 33.0 points above start", "over 2 seeds"),
        "compare": ("start right", "mine right"),
        "cost": ("mine", "start"),
    }
    with served(tmp_path / "runs", tmp_path / "log") as address:
        for width in (1280, 420):
            with look(chromium, width) as view:
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


def test_on_a_phone_the_answer_is_on_the_first_screen_and_the_boxes_unfold(
    address: str, chromium: Any
) -> None:
    with look(chromium, 420) as view:
        for page, answer in (("", ".lr-answers b"), ("sweep?suite=swept", ".stHtml p b")):
            view.go(f"{address}/{page}")
            assert view.page.get_by_role("combobox").filter(visible=True).count() == 0
            box = view.page.locator(answer).first.bounding_box()
            assert box["y"] + box["height"] < PHONE
        view.page.get_by_text("choose").click()
        assert view.page.get_by_role("combobox").filter(visible=True).count() == 7
        view.page.get_by_role("combobox", name="Recipe").click()
        view.page.get_by_role("option", name="swept").click()
        view.page.wait_for_url("**recipe=swept*")
    with look(chromium) as view:
        view.go(address)
        assert view.page.get_by_text("choose", exact=True).filter(visible=True).count() == 0
        assert view.page.get_by_role("combobox").filter(visible=True).count() >= 4


def test_with_forced_colours_charts_have_the_systems_and_tell_arms_apart_without(
    address: str, chromium: Any
) -> None:
    def looked_at(page: str) -> Any:
        """The charts of a page, which say the same in both schemes."""
        view.go(f"{address}/{page}")
        view.page.wait_for_selector(CHARTS.replace("svg", "svg text"))
        inks, charts = set(), []
        for scheme in ("light", "dark"):
            view.wear(scheme)
            drawn = view.page.evaluate(DRAWN, CHARTS)
            view.keep_picture(f"{page.partition('?')[0]}-1280-forced-{scheme}")
            assert set(drawn["texts"]) == set(drawn["marks"]) == {drawn["ink"]}
            assert contrast(drawn["ink"], drawn["paper"]) > 7
            inks.add(drawn["ink"])
            charts.append(drawn["charts"])
        assert len(inks) == 2
        assert charts[0] == charts[1]
        return charts[0]

    with look(chromium) as view:
        view.page.emulate_media(forced_colors="active")
        costs, *curves = looked_at("cost")
        looks = dict(costs["arms"])
        assert looks.keys() == {"base", "sft", "random", "cd", "lightr"}
        assert len(set(looks.values())) == len(looks), "a mark for every arm"
        # Behind a name may stand how many passes an answer takes.
        named = {said.partition(" \u00d7")[0] for said in costs["said"]}
        assert looks.keys() <= named, "and its name beside it"
        assert len(curves) == 4
        for chart in curves:
            assert len(set(chart["dashes"])) == 3, "a dash for every arm that was trained"
            assert {"sft", "random", "lightr"} <= set(chart["said"])
        (swept,) = looked_at("sweep?suite=swept")
        assert len(set(swept["dashes"])) == 2, "the baseline is dotted"
        assert "base" in swept["said"]
        (radar,) = looked_at("compare")
        assert len(set(radar["dashes"])) == 2
        assert {"lightr", "sft"} <= set(radar["said"])
        view.go(f"{address}/microscope")
        for scheme in ("light", "dark"):
            view.wear(scheme)
            kept, other = (
                view.page.locator(f".tokens .token{which}").first.evaluate(
                    "token => getComputedStyle(token).borderBottomColor"
                )
                for which in (".kept", ":not(.kept)")
            )
            assert contrast(kept, other) > 7, "kept steps alone are underlined"


def contrast(first: str, second: str) -> float:
    """The ratio of WCAG 2 of two colours, written as `rgb(0, 0, 0)`."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


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
        # The last that the recipe declares.
        assert "cd" in view.page.get_by_role("combobox", name="Result").first.input_value()
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
