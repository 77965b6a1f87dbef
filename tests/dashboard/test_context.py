"""Suite, protocol, recipe and expert are chosen once: pages name them, links carry them, nothing switches."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from lrbench_dashboard.context import latest_moment, shown_first
from streamlit.testing.v1 import AppTest

from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger
from lrbench.store.keys import stable_hash
from tests.dashboard.made_up import write_runs
from tests.dashboard.test_state import notes
from tests.results.conftest import make_arm, make_score

OpenPage = Callable[..., AppTest]
KEYS = ("suite", "protocol", "recipe", "expert")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One recipe, measured again a year later under another protocol."""
    folder = tmp_path_factory.mktemp("two-protocols")
    write_runs(folder)
    ledger = Ledger(folder / "ledger")
    later = []
    for score in ledger.read().scores:
        hashes = {name: stable_hash([name, "later"]) for name in score.suite_protocol}
        changes = {
            "protocol_hash": hashes[score.benchmark],
            "suite_protocol": hashes,
            "recorded_at": "2027-11-20T10:00:00+00:00",
        }
        later.append(score.model_copy(update=changes))
    ledger.append(later)
    return folder


def tokens(app: AppTest) -> dict[str, object]:
    return {key: app.query_params[key] for key in KEYS}


@pytest.mark.parametrize(
    "page", ["leaderboard", "compare", "cost", "calibration", "sweep", "provenance", "microscope"]
)
def test_a_page_names_the_context_and_keeps_the_one_that_was_chosen(
    runs: Path, open_page: OpenPage, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = open_page(runs)
    older = next(token for token in newest.selectbox(key="protocol").options if "2026" in token).partition(
        ","
    )[0]
    first = open_page(runs, protocol=_whole(older, runs))
    held = tokens(first)
    assert held["protocol"] != tokens(newest)["protocol"]
    monkeypatch.setattr("lrbench_dashboard.state.carried", lambda: held)
    # As when a page is gone to by its name: the address says nothing.
    app = open_page(runs, page)
    assert not app.exception
    assert tokens(app) == held
    (said,) = [note for note in notes(app) if "measured later under another protocol" in note]
    assert f"stays under {older}" in said
    links = re.findall(r'href="((?:\./|compare|microscope|cost|provenance|sweep)\?[^"]*)"', _html(app))
    assert links
    carried = [parse_qs(urlsplit(link.replace("&amp;", "&")).query) for link in links]
    assert all({"suite", "protocol", "recipe", "expert"} <= query.keys() for query in carried)


def test_the_newest_is_shown_at_first_and_announces_nothing(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs)
    assert "2027" in app.selectbox(key="protocol").options[0]
    assert not notes(app)


def test_a_link_to_a_result_without_a_context_brings_its_own(runs: Path, open_page: OpenPage) -> None:
    arm = Ledger(runs / "ledger").read().arms[-1]
    app = open_page(runs, "provenance", arm=arm.arm_id)
    assert app.query_params["recipe"] == arm.recipe


def test_a_recipe_that_is_under_another_protocol_is_found_there(tmp_path: Path, open_page: OpenPage) -> None:
    later = {"recipe": "later", "arm_id": "later", "recorded_at": "2027-11-20T10:00:00+00:00"}
    scores = [make_score(), make_score(limit=18, **later)]
    Ledger(tmp_path / "ledger").append([make_arm(), make_arm(recipe="later", arm_id="later"), *scores])
    app = open_page(tmp_path, recipe="quickstart")
    assert not app.exception
    newest, older = app.selectbox(key="protocol").options
    assert newest.endswith("1 result, 2027-11-20: later")
    assert older.endswith(": quickstart")
    assert app.selectbox(key="recipe").value == "*", "the newer protocol stays"
    (said,) = [note for note in notes(app) if "It was measured under" in note]
    assert older in said
    (link,) = re.findall(r'href="\?([^"]*)"', said)
    # Chosen in a page, it is no less lost than by a link: it is said.
    app = open_page(tmp_path, protocol=app.selectbox(key="protocol").value, recipe="later")
    app.selectbox(key="protocol").set_value(_other(app, tmp_path)).run()
    assert app.selectbox(key="recipe").value == "*"
    assert any("The recipe later has no result under" in note for note in notes(app))
    there = open_page(tmp_path, **{key: each for key, (each,) in parse_qs(html.unescape(link)).items()})
    assert there.selectbox(key="recipe").value == "quickstart"
    assert not any("It was measured under" in note for note in notes(there))
    assert any("which is not among" in note for note in notes(open_page(tmp_path, recipe="nowhere")))


def test_a_recipe_that_is_under_both_protocols_is_kept_when_another_is_chosen(
    runs: Path, open_page: OpenPage
) -> None:
    app = open_page(runs, "cost", recipe="lightr")
    app.selectbox(key="protocol").set_value(_other(app, runs)).run()
    assert app.selectbox(key="recipe").value == "lightr"
    assert not any("has no result under" in note for note in notes(app))


def _other(app: AppTest, runs: Path) -> str:
    """The token of the protocol that is not chosen."""
    box = app.selectbox(key="protocol")
    (name,) = [name for name in box.options if not name.startswith(box.value[:8])]
    return _whole(name[:8], runs)


def _whole(short: str, runs: Path) -> str:
    hashes = {stable_hash(score.suite_protocol)[:12] for score in Ledger(runs / "ledger").read().scores}
    return next(token for token in hashes if token.startswith(short))


def _html(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


def test_a_board_that_points_are_chosen_on_is_not_shown_first(runs: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    older, newer = sorted(build_boards(contents.arms, contents.scores), key=latest_moment)
    assert shown_first([newer, older]) is newer
    choosing = replace(newer, validation_of=frozenset(row.recipe for row in newer.rows))
    assert shown_first([choosing, older]) is older
    assert shown_first([choosing]) is choosing
