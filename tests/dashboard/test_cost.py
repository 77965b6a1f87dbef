"""The cost page: every result of one protocol is drawn once, what cost nothing apart, curves by update."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrbench_dashboard.charts import palette_of
from lrbench_dashboard.cost_chart import answering_text, cost_spec, dearer_text, log_ticks
from lrbench_dashboard.curves import MOST_POINTS, curve_spec, lines_of, thinned
from streamlit.testing.v1 import AppTest

from lrbench.results.board import Board, build_boards
from lrbench.results.frontier import ANSWERING, COSTS, HOLDING, points_of
from lrbench.results.ledger import Ledger
from lrbench.results.records import Memory
from lrbench.results.rows import AVERAGE, grouped
from lrbench.results.uses import Uses
from lrbench.results.web.labels import spread
from tests.dashboard.made_up import HOSTILE, MEGABYTE, write_runs
from tests.dashboard.swept import ALPHAS, swept_records

OpenPage = Callable[..., AppTest]


def body_of(element: Any) -> str:
    return str(element.proto.body)


def bodies(app: AppTest) -> str:
    return "".join(map(body_of, app.get("html")))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_runs(tmp_path, seeds=(0, 1))
    return tmp_path


def board_of(runs: Path) -> tuple[Board, dict[str, Any]]:
    contents = Ledger(runs / "ledger").read()
    (board,) = build_boards(contents.arms, contents.scores)
    return board, {arm.arm_id: arm for arm in contents.arms}


def test_every_arm_is_a_point_with_its_interval_and_its_runs_and_the_free_one_stands_apart(
    runs: Path,
) -> None:
    board, _ = board_of(runs)
    for kind in COSTS.keys() - {ANSWERING, HOLDING}:
        points = points_of(board.groups, kind, AVERAGE)
        spec = cost_spec(points, kind, AVERAGE, palette_of(board.rows), {}, with_intervals=True)
        drawn = spec["data"]["values"]
        *free, paid = drawn
        assert (len(free), paid["name"]) == (2, "lightr, lightr, 2 seeds")
        assert all(value["cost_text"] in ("0", "0:00") and value["cost"] < paid["cost"] for value in free)
        assert all(value["low"] < value["accuracy"] < value["high"] for value in drawn)
        single = next(layer for layer in spec["layer"] if layer["mark"].get("size") == 16)
        accuracies = [run["accuracy"] for run in single["data"]["values"]]
        assert accuracies == [100 * (row.value(AVERAGE) or 0) for row in board.rows if row.arm == "lightr"]
        assert paid["accuracy"] == pytest.approx(sum(accuracies) / 2)
        json.dumps(spec)


def test_points_of_a_sweep_have_numbers_that_are_explained(tmp_path: Path, open_page: OpenPage) -> None:
    recipe, arms, scores = swept_records(2)
    Ledger(tmp_path / "ledger").append([recipe, *arms, *scores])
    app = open_page(tmp_path, "cost")
    assert not app.exception
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    labels = {value["label"] for value in spec["layer"][-1]["data"]["values"]}
    assert labels == {"base", "1", "2", "3"}
    points = next(body for body in map(body_of, app.get("html")) if 'class="lv-points"' in body)
    assert re.findall(r"<b>(\d)</b> (alpha=[\d.]+)</a>", points) == [
        (f"{number}", f"alpha={alpha}") for number, alpha in enumerate(ALPHAS, 1)
    ]
    (last,) = re.findall(r'href="[^"]*of=([^"&]+)[^"]*"[^>]*><b>3</b>', points)
    assert "<b>lightr</b>" in bodies(open_page(tmp_path, "cost", of=last)), "a point leads to itself"


def test_who_answers_at_another_price_is_marked_where_only_making_counts(runs: Path) -> None:
    board, _ = board_of(runs)
    cd = Uses(models_at_test=2, passes_per_token=2.0, tokens_per_answer=10.0)
    rows = tuple(replace(row, uses=cd) if row.untrained else row for row in board.rows)
    points = points_of(grouped(rows), "tuned", AVERAGE)
    dearer = {
        point.rows[-1].arm: (dearer_text(point.rows[-1]), answering_text(point.rows[-1])) for point in points
    }
    assert dearer["base"] == (" \u00d72", "2.00 passes per token, 2 models")
    assert dearer["lightr"] == ("", "1.00 passes per token, 1 model")
    for kind, name in (("tuned", "base \u00d72"), (ANSWERING, "base")):
        points = points_of(grouped(rows), kind, AVERAGE)
        spec = cost_spec(points, kind, AVERAGE, palette_of(rows), {}, with_intervals=False)
        labels = [value["label"] for value in spec["layer"][-1]["data"]["values"]]
        assert any(
            label.startswith(name) and label.count("\u00d7") == name.count("\u00d7") for label in labels
        )


def test_without_intervals_nothing_is_resampled(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board, _ = board_of(runs)
    monkeypatch.setattr("lrbench.results.rows.macro_average", pytest.fail)
    monkeypatch.setattr("lrbench.results.rows.mean_over_seeds", pytest.fail)
    points = points_of(board.groups, "tuned", AVERAGE)
    cost_spec(points, "tuned", AVERAGE, palette_of(board.rows), {}, with_intervals=False)


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(0.1, 20))
def test_names_that_would_touch_are_moved_apart_and_no_others(places: list[float], least: float) -> None:
    moved = spread(places, least)
    order = sorted(range(len(places)), key=lambda index: places[index])
    gaps = [moved[later] - moved[earlier] for earlier, later in pairwise(order)]
    assert all(gap >= least - 1e-6 for gap in gaps)
    if all(places[later] - places[earlier] >= least for earlier, later in pairwise(order)):
        assert moved == pytest.approx(places)


@given(st.floats(1e-3, 1e9), st.floats(1, 1e6))
def test_ticks_reach_around_what_they_measure(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= low * (1 + 1e-9)
    assert ticks[-1] >= low * factor * (1 - 1e-9)
    assert 2 <= len(ticks) <= 14


def test_seeds_are_thin_and_their_mean_is_thick(runs: Path) -> None:
    board, arms = board_of(runs)
    lines = lines_of(board.rows, arms, "loss")
    assert [line.mean for line in lines] == [False, False, True]
    first, second, mean = (dict(line.points) for line in lines)
    assert mean == {update: pytest.approx((first[update] + second[update]) / 2) for update in first}
    spec = curve_spec(lines, "loss", palette_of(board.rows), {})
    widths = {value["line"]: value["width"] for value in spec["data"]["values"]}
    assert sorted(widths.values()) == [1, 1, 2]
    axes = spec["layer"][0]["encoding"]
    assert (spec["title"]["text"], axes["y"]["title"]) == ("loss", None), "not upright, where it is cut"
    assert axes["x"]["axis"]["tickMinStep"] == 1
    assert spec["padding"]["left"] > 0
    assert lines_of(board.rows, arms, "held_out_perplexity")
    assert lines_of(board.rows, arms, "unheard of") == []


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=1000))
def test_a_thinned_curve_is_finite_in_order_and_short(values: list[float]) -> None:
    curve = thinned([(float(update), value) for update, value in enumerate(values)])
    assert len(curve) <= MOST_POINTS
    assert [update for update, _ in curve] == sorted(update for update, _ in curve)
    finite = [value for value in values if abs(value) < 1e300]
    if len(finite) == len(values):
        assert all(
            min(finite) - 1e-6 * abs(min(finite)) <= v <= max(finite) + 1e-6 * abs(max(finite))
            for _, v in curve
        )


def test_the_page_draws_one_protocol_and_its_curves(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "cost", cost="time", column="chain")
    assert not app.exception
    shown = bodies(app)
    assert "The frontier" in shown
    assert "each alone: p is not corrected for their number" in shown
    assert "lightr" in shown
    assert "p &lt;0.001" in shown
    assert "gradient_norm is not finite at 1 of 30 updates" in shown
    said = [chart.proto.alt for chart in app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")]
    assert said
    assert all(said)
    assert any("chain accuracy against" in text for text in said)


def test_filters_leave_out_and_say_when_nothing_is_left(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "cost", arm="base")
    assert not app.exception
    assert "None of these results was trained" in bodies(app)
    app = open_page(runs, "cost", arm="nonsense")
    assert not app.exception
    assert "nonsense, which is not among these results" in bodies(app)


def test_a_result_without_a_record_of_its_making_is_named_and_not_drawn(
    runs: Path, open_page: OpenPage
) -> None:
    arms = runs / "ledger" / "arms.jsonl"
    arms.write_text("".join(arms.read_text().splitlines(keepends=True)[:-1]))
    app = open_page(runs, "cost")
    assert not app.exception
    assert "Not drawn: lightr, lightr, seed 1, no record of what it cost." in bodies(app)


def test_hostile_names_stay_text(tmp_path: Path, open_page: OpenPage) -> None:
    for folder, names in (("hostile", " ".join(HOSTILE)), ("long", MEGABYTE)):
        write_runs(tmp_path / folder, names=names)
        app = open_page(tmp_path / folder, "cost")
        assert not app.exception
        shown = bodies(app)
        for text in ("<script", "<img", "\x1b", "\u202e"):
            assert text not in shown
        assert len(shown) < 50_000


def test_a_page_of_what_answering_costs_says_which_results_do_not_know_it(
    runs: Path, open_page: OpenPage
) -> None:
    for kind in (ANSWERING, HOLDING):
        app = open_page(runs, "cost", cost=kind)
        assert not app.exception
        assert "no record of what it cost" in bodies(app)


def test_memory_has_its_unit_on_the_axis_and_in_the_table(runs: Path) -> None:
    board, _ = board_of(runs)
    (point, *_) = points_of(board.groups, "tuned", AVERAGE)
    uses = replace(
        point.rows[0].uses, memory=Memory(weights=3_400_000, cache_per_token=10_000), tokens_per_answer=10.0
    )
    rows = tuple(replace(row, uses=uses) for row in point.rows)
    drawn = [replace(point, rows=rows, cost=3.5e6)]
    spec = cost_spec(drawn, HOLDING, AVERAGE, palette_of(board.rows), {}, with_intervals=False)
    assert spec["data"]["values"][0]["cost_text"] == "3.5 MB"
    assert "'B'" in json.dumps(spec["layer"])


def test_a_link_points_an_arm_out_and_says_what_it_cost(tmp_path: Path, open_page: OpenPage) -> None:
    made = write_runs(tmp_path, seeds=(0, 1))
    lightr = next(record for record in made if record.arm == "lightr")
    app = open_page(tmp_path, "cost", of=lightr.arm_id)
    assert not app.exception
    shown = "".join(element.proto.body for element in app.get("html"))
    assert "A run of <b>lightr</b> of lightr took 20 tuned tokens, 3 sampled problems and 0:02" in shown
    assert "the mean of 2 runs" in shown
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    (ring,) = spec["layer"][-1]["data"]["values"]
    assert ring["name"] == "lightr, lightr, 2 seeds"
