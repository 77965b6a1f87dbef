"""The frontier holds what nothing cheaper beats; a step along it is tested, not only measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.results.board import Board, build_boards
from lrbench.results.frontier import ANSWERING, COSTS, Point, frontier, gain, points_of
from lrbench.results.records import Costs
from lrbench.results.rows import AVERAGE

NO_GROUP: Any = None
points = st.lists(
    st.builds(
        Point, st.just(NO_GROUP), st.just(()), st.integers(0, 5).map(float), st.integers(0, 5).map(float)
    )
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
def board(arm_record: Callable[..., Any], score_records: Callable[..., Any]) -> Board:
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
    return board


def names(points: list[Point]) -> list[str]:
    return [point.group.rows[0].arm for point in points]


def test_every_kind_of_cost_is_read_from_the_record(board: Board) -> None:
    found = {kind: points_of(board.groups, kind, AVERAGE) for kind in COSTS}
    costs = {kind: {point.group.rows[0].arm: point.cost for point in found[kind]} for kind in COSTS}
    assert costs["tuned"] == {"base": 0, "sft": 1712, "lightr": 9}
    assert costs["problems"] == {"base": 0, "sft": 256, "lightr": 0}
    assert costs["time"] == {"base": 0, "sft": 47.75, "lightr": 3.5}
    assert names(frontier(found["time"])) == ["base", "lightr"]


def test_an_arm_stands_at_the_mean_of_its_seeds_and_a_lucky_one_draws_no_frontier(
    arm_record: Callable[..., Any], score_records: Callable[..., Any]
) -> None:
    runs = [("base", None, 50), ("lucky", 0, 20), ("lucky", 1, 90), ("steady", 0, 60), ("steady", 1, 62)]
    arms = [arm_record(arm, seed=seed) for arm, seed, _ in runs]
    scores = [
        score
        for arm, seed, right in runs
        for score in score_records({"chain": right}, arm=arm, seed=seed, benchmarks=("chain",))
    ]
    (board,) = build_boards(arms, scores)
    points = points_of(board.groups, "tuned", "chain")
    lucky = next(point for point in points if point.group.rows[0].arm == "lucky")
    assert (len(lucky.rows), lucky.accuracy) == (2, 0.55)
    assert max(row.value("chain") for row in lucky.rows) == max(row.value("chain") for row in board.rows), (
        "its best seed is above all others"
    )
    assert names(frontier(points)) == ["base", "steady"]
    step = gain(board, frontier(points)[1].group, frontier(points)[0].group, "chain")
    assert step is not None
    assert step.runs is not None, "over all seeds"


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
    points = points_of(board.groups, ANSWERING, "chain")
    assert dict(zip(names(points), [point.cost for point in points], strict=True)) == {"base": 10, "cd": 20}


def test_a_result_without_a_record_of_its_cost_or_of_a_benchmark_is_no_point(
    score_records: Callable[..., Any],
) -> None:
    (board,) = build_boards([], score_records({"chain": 3}, benchmarks=("chain", "vary")))
    assert points_of(board.groups, "tuned", "chain") == []
    assert points_of(board.groups, "tuned", AVERAGE) == []


def test_a_gain_is_separated_or_a_tie_and_none_where_other_items_were_answered(board: Board) -> None:
    groups = {group.rows[0].arm: group for group in board.groups}
    for column in (AVERAGE, "chain"):
        found = gain(board, groups["sft"], groups["base"], column)
        assert found is not None
        assert found.separated
        tie = gain(board, groups["lightr"], groups["sft"], column)
        assert tie is not None
        assert not tie.separated
    assert gain(board, groups["sft"], groups["base"], "formal") is None
