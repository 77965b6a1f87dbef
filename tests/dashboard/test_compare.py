"""Comparing two results: their tests, their flips, and their items, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger
from lrbench.results.rows import AVERAGE
from lrbench.results.web.items import (
    BOTH,
    EXTRACTION,
    LOST,
    NEITHER,
    REASONING,
    TRUNCATION,
    WON,
    causes,
    chosen,
    paired,
)
from tests.dashboard.made_up import write_runs

OpenPage = Callable[..., AppTest]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made-up")
    write_runs(folder)
    return folder


def bodies(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


def item(
    identifier: str, right: bool, prediction: str | None = "7", truncated: bool = False
) -> dict[str, object]:
    return {
        "id": identifier,
        "problem": f"What is {identifier}?",
        "completion": f"It is {prediction}",
        "prediction": prediction,
        "paper": right,
        "truncated": truncated,
    }


def test_items_fall_into_four_cells() -> None:
    first = [item("a", True), item("b", True), item("c", False), item("d", False), item("only", True)]
    second = [item("d", False), item("c", True), item("b", True), item("a", False)]
    pairs = paired(first, second)
    assert [(pair.first["id"], pair.outcome) for pair in pairs] == [
        ("a", WON),
        ("b", BOTH),
        ("c", LOST),
        ("d", NEITHER),
    ]
    assert [pair.first["id"] for pair in chosen(pairs, LOST)] == ["c"]
    assert [pair.first["id"] for pair in chosen(pairs, BOTH, "WHAT IS B")] == ["b"]
    assert chosen(pairs, BOTH, "what is z") == []


def test_wrong_answers_are_owed_to_truncation_extraction_or_reasoning() -> None:
    items = [item("a", True), item("b", False, None), item("c", False, None, True), item("d", False)]
    assert causes(items) == {EXTRACTION: 1, TRUNCATION: 1, REASONING: 1}


def test_the_page_opens_on_lightr_against_its_baseline(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "compare")
    assert not app.exception
    assert app.selectbox(key="first").value != app.selectbox(key="second").value
    shown = bodies(app)
    assert "lightr" in shown
    assert "Items by who is right" in shown
    assert app.query_params["first"]
    assert app.query_params["second"]


def test_the_page_opens_on_the_first_benchmark_with_a_flip(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path)
    ledger = Ledger(tmp_path / "ledger")
    scores = ledger.read().scores
    first = next(score.paper for score in scores if score.benchmark == "chain")
    (tmp_path / "ledger" / "scores.jsonl").unlink()
    ledger.append(
        [
            score.model_copy(update={"paper": first}) if score.benchmark == "chain" else score
            for score in scores
        ]
    )
    app = open_page(tmp_path, "compare")
    assert not app.exception
    assert app.selectbox(key="benchmark").value == "vary"


def test_a_link_opens_the_same_item(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "compare")
    app.selectbox(key="benchmark").select("vary").run()
    assert "0 lost" in bodies(app)
    link = dict(app.query_params) | {"items": "won", "item": "4"}
    shown = bodies(open_page(runs, "compare", **link))
    assert "1-33" in shown
    assert "paper: right" in shown
    assert "paper: wrong" in shown
    assert "<mark>42</mark>" in shown
    assert "<mark>41</mark>" in shown


def test_text_narrows_the_items_and_none_is_said(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "compare", items="both", text="0-17")
    assert not app.exception
    assert ">0-17<" in bodies(app)
    assert "No such item." in bodies(open_page(runs, "compare", items="both", text="nowhere"))


def test_formulas_are_typeset_on_request(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "compare", view="maths", items="both")
    assert not app.exception
    typeset = [element.value for element in app.markdown]
    assert any("$\\boxed{42}$" in text for text in typeset)
    assert all(text.startswith("`") for text in typeset)


def test_stale_links_fall_back_and_say_so(runs: Path, open_page: OpenPage) -> None:
    app = open_page(
        runs, "compare", first="gone", second="gone", benchmark="gone", item="99999", items="x", protocol="y"
    )
    assert not app.exception
    assert bodies(app).count('role="status"') == 6


def test_one_result_cannot_be_compared(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path, arms=("base",))
    app = open_page(tmp_path, "compare")
    assert not app.exception
    assert "Two results are needed" in bodies(app)


def test_items_that_are_gone_or_damaged_are_said_and_the_tests_still_shown(
    tmp_path: Path, open_page: OpenPage
) -> None:
    write_runs(tmp_path)
    for part in (tmp_path / "store" / "evaluate").glob("*/part-00000.jsonl"):
        part.write_text(part.read_text().replace("42", "43"))
    app = open_page(tmp_path, "compare")
    assert not app.exception
    assert "is damaged" in bodies(app)
    assert "Differences in points" in bodies(app)


class TestOverSeeds:
    """Arms are chosen, and all their seeds compared; items are those of two runs."""

    @pytest.fixture(scope="class")
    def seeded(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("seeded")
        write_runs(folder, seeds=(0, 1, 2))
        return folder

    def test_the_page_says_what_the_board_says_and_every_seed_s_items_can_be_seen(
        self, seeded: Path, open_page: OpenPage
    ) -> None:
        app = open_page(seeded, "compare")
        assert not app.exception
        assert "lightr, lightr, 3 seeds" in " ".join(app.selectbox(key="first").options)
        contents = Ledger(seeded / "ledger").read()
        (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
        (lightr,) = [group for group in board.groups if group.rows[0].arm == "lightr"]
        found = board.over_seeds(lightr, "base")[AVERAGE]
        shown = bodies(app)
        assert f"lightr is {found.difference:.1f} points above base" in shown
        assert "Over all seeds, 3 of lightr and 1 of base" in shown
        assert app.selectbox(key="run").value == "2"
        app.selectbox(key="run").select("0").run()
        assert not app.exception
        assert app.query_params["run"] == "0"

    def test_a_link_to_any_run_shows_its_arm_and_that_run(self, seeded: Path, open_page: OpenPage) -> None:
        arms = Ledger(seeded / "ledger").read().arms
        run = next(record for record in arms if (record.arm, record.seed) == ("lightr", 1))
        app = open_page(seeded, "compare", first=run.arm_id)
        assert not app.exception
        assert "lightr" in app.selectbox(key="first").value or "lightr" in bodies(app)
        assert app.selectbox(key="run").value == "1"
        assert 'role="status"' not in bodies(app)


def test_items_are_searched_on_all_benchmarks_together(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "compare", benchmark="*", items="both", text="1-17")
    assert not app.exception
    shown = bodies(app)
    assert ">vary, 1-17<" in shown
    everything = open_page(runs, "compare", benchmark="*", items="won")
    assert "61 items won" in bodies(everything)
