"""The frontier holds what nothing cheaper beats; a step along it is tested, not only measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.results.board import build_boards
from lrbench.results.frontier import ANSWERING, COSTS, Point, frontier, gain, points_of
from lrbench.results.records import Costs
from lrbench.results.rows import AVERAGE, Row

NO_ROW: Any = None
points = st.lists(
    st.builds(Point, st.just(NO_ROW), st.integers(0, 5).map(float), st.integers(0, 5).map(float))
)


@given(points)
def test_nothing_on_the_frontier_is_beaten_and_all_else_is(drawn: list[Point]) -> None:
    best = frontier(drawn)
    assert [point.cost for point in best] == sorted({point.cost for point in best})
    for point in drawn:
        rivals = [other for other in drawn if other.cost <= point.cost and other.accuracy >= point.accuracy]
        beaten = any((other.cost, other.accuracy) != (point.cost, point.accuracy) for other in rivals)
        assert ((point.cost, point.accuracy) in {(one.cost, one.accuracy) for one in best}) == (not beaten)


@pytest.fixture
def rows(arm_record: Callable[..., Any], score_records: Callable[..., Any]) -> dict[str, Row]:
    arms = [arm_record(name) for name in ("base", "sft", "lightr")]
    arms[2] = arms[2].model_copy(
        update={"costs": Costs(tuned_tokens=9, seconds={"train": 2.0, "scores": 1.5})}
    )
    correct = {"base": 30, "sft": 80, "lightr": 81}
    scores = [
        score
        for name, right in correct.items()
        for score in score_records({"chain": right, "vary": right}, arm=name, benchmarks=("chain", "vary"))
    ]
    (board,) = build_boards(arms, scores)
    return {row.arm: row for row in board.rows}


def test_every_kind_of_cost_is_read_from_the_record(rows: dict[str, Row]) -> None:
    costs = {kind: {p.row.arm: p.cost for p in points_of(rows.values(), kind, AVERAGE)} for kind in COSTS}
    assert costs["tuned"] == {"base": 0, "sft": 1712, "lightr": 9}
    assert costs["problems"] == {"base": 0, "sft": 256, "lightr": 0}
    assert costs["time"] == {"base": 0, "sft": 47.75, "lightr": 3.5}
    assert [p.row.arm for p in frontier(points_of(rows.values(), "time", AVERAGE))] == ["base", "lightr"]


def test_answering_costs_forward_passes_of_all_models(
    arm_record: Callable[..., Any], score_record: Callable[..., Any]
) -> None:
    contrast = {"answer": {"mix": {"expert": 1.0, "amateur": -1.0}}}
    took = {"tokens": 40, "written": 40}
    scores = [
        score_record("chain", "1100", "base", benchmarks=("chain",), **took),
        score_record("chain", "1110", "cd", benchmarks=("chain",), passes={"a": 40, "b": 40}, **took),
        score_record("chain", "1111", "older", benchmarks=("chain",)),
    ]
    arms = [arm_record("base"), arm_record("cd", settings=contrast), arm_record("older", settings={})]
    (board,) = build_boards(arms, scores)
    points = points_of(board.rows, ANSWERING, "chain")
    assert {point.row.arm: point.cost for point in points} == {"base": 10, "cd": 20}


def test_a_result_without_a_record_of_its_cost_or_of_a_benchmark_is_no_point(
    score_records: Callable[..., Any],
) -> None:
    (board,) = build_boards([], score_records({"chain": 3}, benchmarks=("chain", "vary")))
    assert points_of(board.rows, "tuned", "chain") == []
    assert points_of(board.rows, "tuned", AVERAGE) == []


def test_a_gain_is_separated_or_a_tie_and_none_where_other_items_were_answered(rows: dict[str, Row]) -> None:
    for column in (AVERAGE, "chain"):
        found = gain(rows["sft"], rows["base"], column)
        assert found is not None
        assert found.separated
        tie = gain(rows["lightr"], rows["sft"], column)
        assert tie is not None
        assert not tie.separated
    assert gain(rows["sft"], rows["base"], "formal") is None
