"""Results as pages without a server: whole, of one recipe, safe to show, and quick to refuse."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import StoreError, UserError
from lrbench.results.board import build_boards
from lrbench.results.choosing import sweeps_of
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.selection import ChosenPoint, Selection
from lrbench.results.site.charts import charts_of
from lrbench.results.site.exporting import export_site
from lrbench.results.site.sweep_charts import sweep_chart
from lrbench.store.keys import stable_hash
from tests.commands import lrbench
from tests.dashboard.swept import swept_records, swept_with_its_baseline

STUDIES = Path("experiments")
HOSTILE = "</div><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m"


class References(HTMLParser):
    """Every address that a page names, and the names of its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self.handlers: list[str] = []
        self.places: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.places += [value or "" for name, value in attrs if name == "id"]


@pytest.fixture(scope="module")
def site(quickstart_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    found = lrbench("export-site", "quickstart", "--to", folder, "--runs", quickstart_runs)
    assert found.returncode == 0, found.stderr
    assert f"Open {folder / 'index.html'}" in " ".join(found.stdout.split())
    return folder


def test_every_page_leads_to_pages_that_are_there_and_to_nothing_else(site: Path) -> None:
    files = {path.name for path in site.iterdir()}
    pages = sorted(site.glob("*.html"))
    assert len(pages) > 3
    places = {page.name: References(page.read_text()).places for page in pages}
    for page in pages:
        found = References(page.read_text())
        for address in found.addresses:
            file, _, place = address.partition("#")
            assert not file or file in files
            assert not place or place in places[file or page.name], address
        assert len(set(found.places)) == len(found.places)
        assert not found.handlers
        assert found.elements.count("script") == (2 if page.name.startswith("tokens-") else 1)
    index = (site / "index.html").read_text()
    assert {name for name in files if name.startswith("arm-")} <= set(References(index).addresses)
    assert "lightr is above" in index or "inconclusive" in index
    assert "<code>evaluation.limit</code>" in index
    assert sum(path.stat().st_size for path in site.iterdir()) < 2_000_000


def test_the_one_script_is_named_by_its_hash_and_nothing_else_may_run_or_be_fetched(site: Path) -> None:
    text = (site / "index.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_what_models_and_problems_say_is_shown_as_text(
    quickstart_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = Inspector.items

    def hostile(self: Inspector, score: Any) -> list[dict[str, Any]]:
        found = items(self, score)
        if score.arm == "base":
            found = [item | {"paper": not item["paper"]} for item in found]
        return [item | {"problem": HOSTILE, "completion": HOSTILE, "gold": HOSTILE} for item in found]

    monkeypatch.setattr(Inspector, "items", hostile)
    export_site(["quickstart"], "embedded", STUDIES, quickstart_runs, tmp_path / "site")
    told = [path.read_text() for path in (tmp_path / "site").glob("arm-*.html")]
    assert any("&lt;script&gt;alert(1)" in text for text in told)
    for text in told:
        found = References(text)
        assert "img" not in found.elements
        assert found.elements.count("script") == 1
        assert not set(text) & {"\u202e", "\x1b"}


def test_answers_that_are_gone_are_said_to_be_and_the_rest_is_written(
    quickstart_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise StoreError("evaluate/0 is not there: it was removed")

    monkeypatch.setattr(Inspector, "items", gone)
    monkeypatch.setattr(Inspector, "scored_rollouts", gone)
    written = export_site(["quickstart"], "embedded", STUDIES, quickstart_runs, tmp_path / "site")
    assert not list(written.folder.glob("tokens-*"))
    assert any("it was removed" in path.read_text() for path in written.folder.glob("arm-*.html"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quickstrat", "there are no results of a recipe named 'quickstrat'; did you mean `quickstart`?"),
        ("ablations", "there are no results of a recipe named 'embedded_ablations'"),
    ],
)
def test_what_has_no_results_is_told(quickstart_runs: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        export_site([name], "embedded", STUDIES, quickstart_runs, tmp_path / "site")
    assert message in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_and_an_empty_folder_is_filled(quickstart_runs: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    export_site(["quickstart"], "embedded", STUDIES, quickstart_runs, tmp_path / "site")
    before = sorted((tmp_path / "site").iterdir())
    with pytest.raises(UserError, match="is there already and is not overwritten; name a new folder"):
        export_site(["quickstart"], "embedded", STUDIES, quickstart_runs, tmp_path / "site")
    assert sorted((tmp_path / "site").iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_curves_are_drawn_of_finite_values() -> None:
    (loss,) = charts_of({"loss": [(0, 2.0), (1, float("nan")), (2, 1.0)], "gradient_norm": [(0, 1.0)]})
    assert loss.points == "0.0,0.0 300.0,130.0"
    assert loss.said == "loss: from 1 to 2, updates 0 to 2"


def test_curves_have_round_ticks_on_both_axes() -> None:
    (loss,) = charts_of({"loss": [(0, 2.0), (40, 1.0)]})
    assert [(tick.text, tick.at) for tick in loss.across] == [
        ("0", "0.0"), ("10", "75.0"), ("20", "150.0"), ("30", "225.0"), ("40", "300.0")
    ]  # fmt: skip
    assert [tick.text for tick in loss.up] == ["1", "1.2", "1.4", "1.6", "1.8", "2"]
    assert (loss.up[0].at, loss.up[-1].at) == ("130.0", "0.0")
    (norm,) = charts_of({"gradient_norm": [(0, 0.001), (1, 1.0), (2, 0.1)]})
    assert norm.title == "gradient norm (logarithmic)"
    assert {"0.001", "0.1"} & {tick.text for tick in norm.up}
    assert [tick.text for tick in norm.across] == ["0", "1", "2"], "there is nothing between updates"


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_ticks_are_few_and_within_their_axis(values: list[float]) -> None:
    (chart,) = charts_of({"gradient_norm": list(enumerate(values))})
    for ticks, length in ((chart.up, 130), (chart.across, 300)):
        assert 1 <= len(ticks) <= 7
        assert all(-0.1 <= float(tick.at) <= length + 0.1 for tick in ticks)


@pytest.fixture(scope="module")
def swept_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an arm that chose one of three points on other problems, two seeds each; nothing is in the store."""
    folder = tmp_path_factory.mktemp("swept")
    recipe, arms, scores = swept_records(2)
    chosen = [
        record.model_copy(update={"arm_id": "chosen", "point": {}})
        for record in (*arms, *scores)
        if record.arm_id == "lightr-0.4-0"
    ]
    on_suite = {"protocol_hash": "suite", "suite_protocol": {"chain": "suite"}}
    chosen[1:] = [record.model_copy(update=on_suite) for record in chosen[1:]]
    taken = ChosenPoint(arm="lightr", point={"divergence.alpha": 0.4}, points=3)
    selection = Selection(
        protocol=stable_hash(scores[0].suite_protocol),
        problems=200,
        chosen=(taken,),
        measured=recipe.arm_ids,
        on_suite=("chosen",),
    )
    changed = {"selection": selection, "arm_ids": (*recipe.arm_ids, "chosen"), "claims": ()}
    scores = [score.model_copy(update={"suite": "validation"}) for score in scores]
    kept = [
        score.model_copy(update={"evaluation_key": stable_hash(score.arm_id)})
        for score in (*scores, *chosen[1:])
    ]
    Ledger(folder / "runs/ledger").append([recipe.model_copy(update=changed), *arms, *chosen[:1], *kept])
    return export_site(["quickstart"], "embedded", STUDIES, folder / "runs", folder / "site").folder


def test_the_first_page_has_contents_a_sweep_and_which_point_was_chosen(swept_site: Path) -> None:
    index = (swept_site / "index.html").read_text()
    found = References(index)
    assert found.elements.count("polygon") == 1, "one line, with its band"
    assert index.count('class="taken"') == 1
    assert "lightr alpha=0.4: best of 3 points" in index
    assert "The dotted line is base, its baseline." in index
    assert "Points chosen on 200 validation problems, then measured here: no optimism" in index
    assert re.search(r'<td class="words">alpha=0.4</td><td class="words">best of 3 points</td>', index)
    contents = index[index.index("contents") : index.index("<h2")]
    assert [name for name in ("chosen points", "sweeps", "every run") if name in contents]
    (every_run,) = re.findall(r"<details id=\"board-\d-1-runs\".*?</details>\n", index, re.DOTALL)
    assert "lightr alpha=0.4 seed 1" in every_run
    shown = index.replace(every_run, "")
    assert "lightr alpha=0.4, 2 seeds" in shown
    assert re.search(r'<th scope="row"><a href="#arm-\w+">base</a></th>', shown), "one run, beside the means"


def test_a_sweep_is_drawn_with_a_band_its_single_runs_and_its_baseline() -> None:
    recipe, arms, scores = swept_records(2)
    (board,) = build_boards(arms, scores, [recipe])
    (sweep,) = sweeps_of(board, board.rows)
    chart = sweep_chart(sweep)
    assert chart is not None
    assert [tick.text for tick in chart.across] == ["0.1", "0.2", "0.4"]
    (line,) = chart.lines
    assert (line.name, len(line.marked), len(chart.runs)) == ("", 3, 6)
    assert [mark.taken for mark in line.marked] == [False] * 3
    for (_, low, high), mark in zip(line.bars, line.marked, strict=True):
        assert float(low) > float(mark.up) > float(high)
    (dotted,) = chart.dotted
    assert (dotted.name, dotted.marked) == ("base", ())
    assert chart.said.startswith("lightr, average: alpha=0.1: 61.0 [")


def test_lines_of_a_sweep_are_told_apart_by_marks_dashes_and_names_that_do_not_cover_each_other() -> None:
    chart = sweep_chart(swept_with_its_baseline())
    assert chart is not None
    first, second = chart.lines
    assert (first.mark, first.dash, first.name) != (second.mark, second.dash, second.name)
    assert abs(float(first.name_up) - float(second.name_up)) >= 13
    assert chart.room > 10
    assert [line.name for line in chart.dotted] == ["sft updates=8", "sft updates=16"]
    assert abs(float(chart.dotted[0].name_up) - float(chart.dotted[1].name_up)) >= 13


def test_a_browser_opens_it_from_its_file_and_asks_nobody(site: Path, chromium: Any) -> None:
    context = chromium.new_context(color_scheme="dark")
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: request.url.startswith("file:") or complaints.append(request.url))
    try:
        for width in (1280, 420):
            page.set_viewport_size({"width": width, "height": 900})
            # An arm's page holds long hashes, of which a phone shows no line by itself.
            for file in sorted(site.glob("*.html")):
                page.goto(file.as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") == width, file.name
        page.goto((site / "index.html").as_uri())
        page.get_by_role("table").get_by_role("link", name="lightr", exact=True).first.click()
        page.get_by_role("link", name="What it learnt from, token by token.").click()
        page.locator(".token.kept").first.click()
        step = page.locator(".step").first
        assert "nats" in step.inner_text()
        assert step.locator("tbody tr").count() >= 1
        first = step.inner_text()
        page.keyboard.press("ArrowRight")
        assert step.inner_text() != first
        page.emulate_media(forced_colors="active")
        under = "e => getComputedStyle(e).borderBottomColor"
        kept, other = page.locator(".token.kept").first, page.locator(".token:not(.kept)").first
        assert kept.evaluate(under) != other.evaluate(under)
        page.get_by_role("link", name="What it won and lost.").click()
        assert page.get_by_role("heading", level=1).inner_text().startswith("lightr")
    finally:
        context.close()
    assert complaints == []
