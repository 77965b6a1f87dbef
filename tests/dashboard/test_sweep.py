"""A sweep is read from its table: its best with its luck, its claims as one family, and its picture."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from lrbench_dashboard.charts import Palette
from lrbench_dashboard.sweep_chart import sweep_spec
from lrbench_dashboard.sweep_table import best_html, none_html, summary_html
from streamlit.testing.v1 import AppTest

from lrbench.results.board import Board, build_boards
from lrbench.results.choosing import Sweep, sweeps_of
from lrbench.results.ledger import Ledger
from lrbench.results.selection import ChosenPoint, Selection
from lrbench.results.web.sweep_baselines import Baselines, baselines_html, baselines_of
from lrbench.results.web.sweep_picture import picture_of
from tests.dashboard.swept import ALPHAS, swept_records, swept_with_its_baseline
from tests.dashboard.test_state import notes
from tests.results.conftest import make_arm, make_score

LATER = "2026-11-21T10:00:00+00:00"
OpenPage = Callable[..., AppTest]


def board_and_sweep(runs: int = 2) -> tuple[Board, Sweep]:
    recipe, arms, scores = swept_records(runs)
    (board,) = build_boards(arms, scores, [recipe])
    (sweep,) = sweeps_of(board, board.rows)
    return board, sweep


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    recipe, arms, scores = swept_records(2)
    Ledger(folder / "ledger").append([recipe, *arms, *scores])
    return folder


def test_every_point_is_in_the_table_and_the_best_says_how_lucky_it_was(
    runs: Path, open_page: OpenPage
) -> None:
    app = open_page(runs, "sweep")
    assert not app.exception
    shown = "".join(element.proto.body for element in app.get("html"))
    _, sweep = board_and_sweep()
    assert sweep.chosen is not None
    assert (sweep.fields, sweep.chosen.points) == ({"divergence.alpha": list(ALPHAS)}, 3)
    assert "<b>lightr at alpha=0.4</b> is the highest of 3 points" in shown
    assert f"{sweep.chosen.optimism:.1f} points too high" in shown
    points = re.findall(r'<tr><th scope="row">([\d.]+)', shown)
    assert points == ["0.4", "0.2", "0.1"], "the highest first"
    assert shown.index("highest of 3") < shown.index("Every point of the sweep")
    assert "The 3 claims of all points are one family" in shown
    assert len(app.get("vega_lite_chart")) == 1


def test_points_without_a_best_say_whether_they_tie_or_cannot_be_compared() -> None:
    def shown(*papers: str) -> str:
        arms, scores = [], []
        for number, paper in enumerate(papers):
            same: dict[str, Any] = {"arm_id": f"{number}", "point": {"divergence.alpha": number}}
            arms.append(make_arm("lightr", settings={"divergence": {"alpha": number}}, **same))
            scores.append(make_score("chain", paper, benchmarks=("chain",), **same))
        scores.append(make_score("chain", "1100", "base", benchmarks=("chain",), arm_id="base"))
        (board,) = build_boards(arms, scores, [])
        (sweep,) = sweeps_of(board, board.rows)
        assert sweep.chosen is None
        return best_html(sweep)

    assert "highest: all 3 points tie with 75.0 on average." in shown("1110", "0111", "1011")
    assert "the same items as the highest." in shown("1110", "111", "11000")


def test_every_point_leads_to_its_flips_its_cost_and_its_provenance(runs: Path, open_page: OpenPage) -> None:
    board, sweep = board_and_sweep()
    rows = {group.rows[-1].arm_id: group.rows[-1] for group in sweep.groups}
    table = summary_html(board, sweep, "average", scored=rows.keys())
    leads = re.findall(r'<a href="([^"?]+)\?([^"]+)"[^>]*>(\w+)</a>', table)
    assert [name for _, _, name in leads] == ["flips", "tokens", "cost", "provenance"] * len(rows)
    for page, query, name in leads:
        asked = parse_qs(html.unescape(query))
        key = {"flips": "first", "tokens": "arm", "cost": "of", "provenance": "arm"}[name]
        row = rows[asked[key][0]]
        if name == "flips":
            assert asked["second"] == [row.against["base"].baseline]
        elif name != "tokens":
            app = open_page(runs, page, **{key: row.arm_id})
            assert not app.exception
            assert "the link asks for" not in "".join(notes(app))


def test_what_is_asked_of_comes_first(tmp_path: Path, open_page: OpenPage) -> None:
    recipe, arms, scores = swept_records(1)
    others = [
        record.model_copy(update={"arm": "aside", "arm_id": f"aside-{record.arm_id}"})
        for record in (*arms, *scores)
        if record.point
    ]
    Ledger(tmp_path / "ledger").append([recipe, *others, *arms, *scores])
    assert open_page(tmp_path, "sweep").selectbox(key="of").value.endswith("lightr")
    assert open_page(tmp_path, "provenance").selectbox(key="arm").value == "lightr-0.4-0"
    claimed = recipe.model_copy(update={"claims": ("aside > base on average",), "recorded_at": LATER})
    Ledger(tmp_path / "ledger").append([claimed])
    assert open_page(tmp_path, "sweep").selectbox(key="of").value.endswith("aside")
    assert open_page(tmp_path, "provenance").selectbox(key="arm").value == "aside-lightr-0.4-0"


def test_what_made_an_arm_whose_point_was_chosen_says_the_point(tmp_path: Path, open_page: OpenPage) -> None:
    # The recipe on that page has the field's value from before the sweep.
    recipe, arms, scores = swept_records(1)
    selection = Selection(
        protocol="p" * 64,
        problems=8,
        chosen=(ChosenPoint(arm="lightr", point={"divergence.alpha": 0.4}, points=3),),
        measured=recipe.arm_ids,
        on_suite=("taken",),
    )
    taken = [record.model_copy(update={"arm_id": "taken", "point": {}}) for record in (arms[-1], scores[-1])]
    declared = recipe.model_copy(update={"selection": selection, "arm_ids": (*recipe.arm_ids, "taken")})
    Ledger(tmp_path / "ledger").append([*arms, *scores, *taken, declared])
    app = open_page(tmp_path, "provenance", arm="taken")
    assert not app.exception
    said = "".join(element.proto.body for element in app.get("html"))
    assert "It is at alpha=0.4, chosen on 8 validation problems (best of 3 points)." in said


def test_the_picture_has_a_band_a_mark_and_the_runs_of_every_point_and_the_baseline() -> None:
    _, sweep = board_and_sweep()
    picture = picture_of(sweep, "divergence.alpha", "average")
    spec = sweep_spec(picture, "lightr", "average", Palette(False, ()))
    values = spec["data"]["values"]
    assert [value["x"] for value in values] == list(ALPHAS)
    assert all(value["low"] < value["y"] < value["high"] for value in values)
    kinds = [layer["mark"]["type"] for layer in spec["layer"]]
    assert kinds == ["area", "line", "tick", "point", "line", "point", "text"]
    assert len(spec["layer"][2]["data"]["values"]) == 2 * len(ALPHAS)
    assert baselines_html(picture.baselines) == "The dotted line is base, its baseline."


def test_every_line_has_its_own_baseline_or_says_that_it_has_none() -> None:
    """The baseline is swept over one of the two fields: along that one it is a curve, beside it a level."""
    sweep = swept_with_its_baseline()
    along = baselines_of(sweep, "training.updates", "average")
    (curve,) = along.lines
    assert (curve.name, curve.of, curve.level) == ("sft", ("beta=0.2", "beta=0.4"), False)
    assert curve.points == ((8, 40.0), (16, 50.0))
    beside = baselines_of(sweep, "divergence.beta", "average")
    assert [(line.name, line.of, line.level) for line in beside.lines] == [
        ("sft updates=8", ("updates=8",), True),
        ("sft updates=16", ("updates=16",), True),
    ]
    assert baselines_html(beside) == (
        "Dotted lines: sft updates=8 is the baseline of updates=8; "
        "sft updates=16 is the baseline of updates=16."
    )
    picture = picture_of(sweep, "divergence.beta", "average")
    spec = sweep_spec(picture, "lightr", "average", Palette(False, ()))
    line, _, names = spec["layer"][-4:-1]
    assert [value["y"] for value in line["data"]["values"]] == [40.0, 40.0, 50.0, 50.0]
    assert {value["name"] for value in names["data"]["values"]} == {"sft updates=8", "sft updates=16"}
    lacking = Baselines(beside.lines[:1], ("updates=16",))
    assert "No baseline is measured of updates=16." in baselines_html(lacking)
    alone = baselines_of(swept_with_its_baseline(updates=()), "divergence.beta", "average")
    assert (alone.lines, alone.without) == ((), ("updates=8", "updates=16"))
    assert baselines_html(alone) == "No baseline of it is measured."


def test_what_is_no_number_stands_in_the_order_of_the_sweep_and_one_run_has_no_ticks() -> None:
    _, sweep = board_and_sweep(runs=1)
    named = Sweep(sweep.board, tuple(_renamed(group) for group in sweep.groups))
    spec: dict[str, Any] = sweep_spec(
        picture_of(named, "training.schedule", "average"), "lightr", "average", Palette(True, ())
    )
    across = spec["layer"][0]["encoding"]["x"]
    assert (across["type"], across["sort"]) == ("ordinal", None)
    assert spec["layer"][2]["data"]["values"] == []


def _renamed(group: Any) -> Any:
    from dataclasses import replace

    names = {0.1: "linear", 0.2: "constant", 0.4: "cosine"}
    rows = tuple(
        replace(row, point={"training.schedule": names[row.point["divergence.alpha"]]}) for row in group.rows
    )
    return type(group)(rows)


def test_without_a_sweep_that_is_said(runs: Path, open_page: OpenPage, tmp_path: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    Ledger(tmp_path / "ledger").append([score for score in contents.scores if score.arm == "base"])
    app = open_page(tmp_path, "sweep")
    assert not app.exception
    assert any("No arm here stands at several points" in note for note in notes(app))


def test_where_no_arm_has_points_the_board_that_they_were_chosen_on_is_told() -> None:
    board, _ = board_and_sweep()
    recipe = board.rows[0].recipe
    asked = "A recipe asks for them with <code>sweep</code>."
    assert asked in none_html(board.rows, [board])
    choosing = replace(board, suite="validation", validation_of=frozenset({recipe, "another"}))
    said = none_html(board.rows, [board, choosing])
    assert asked not in said
    assert f"the points of {recipe} were chosen among" in said
    (link,) = re.findall(r'href="([^"]*)"', said)
    assert parse_qs(html.unescape(link).removeprefix("?"))["suite"] == ["validation"]
