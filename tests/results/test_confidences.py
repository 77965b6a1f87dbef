"""Simulated forecasters are told for what they are, from what they wrote to the tables."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from lrbench.evaluation.statistics import calibration
from lrbench.results.answers import Answers
from lrbench.results.board import build_boards
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from lrbench.results.rendering.terminal import show_boards
from lrbench.results.rows import AVERAGE

PATTERN = r"I am (\d+)% sure"
ITEMS = 400


def answers_of(confidences, right, draws=1):
    """Graded answers that say so, a line per draw of an item."""
    rows = [
        {
            "id": f"item-{place // draws}",
            "paper": bool(correct),
            "exact": bool(correct),
            "completion": "So 5." if percent is None else f"So 5. I am {percent}% sure.",
            **({} if draws == 1 else {"draw": place % draws, "vote": str(bool(correct))}),
        }
        for place, (percent, correct) in enumerate(zip(confidences, right, strict=True))
    ]
    return Answers.of(rows, PATTERN)


def score_of(score_record, arm, answers, **changes):
    read = {"confidence": PATTERN, "stated": answers.stated(PATTERN)} | changes
    return score_record(
        "chain",
        answers.paper,
        arm=arm,
        benchmarks=("chain",),
        draws=answers.draws,
        majority=answers.majority,
        agreeing=answers.agreeing,
        **read,
    )


@pytest.fixture
def forecasters(score_record):
    """One that is right as often as it says, one that says too much, one that always says 80."""
    generator = np.random.default_rng(11)
    said = generator.integers(1, 100, size=ITEMS)
    chance = generator.random(ITEMS)
    found = {
        "perfect": (said.tolist(), chance < said / 100),
        "overconfident": (said.tolist(), chance < (said / 100) ** 3),
        "constant": ([80] * ITEMS, chance < 0.8),
    }
    return {arm: score_of(score_record, arm, answers_of(*one)) for arm, one in found.items()}


@pytest.fixture
def rows(forecasters):
    (board,) = build_boards([], forecasters.values())
    return {row.arm: row.stated(AVERAGE) for row in board.rows}


def test_one_that_is_right_as_often_as_it_says_is_calibrated(rows):
    found = rows["perfect"]
    assert found.share.value == 1
    assert found.calibration.error.value < found.calibration.error_of_calibrated
    assert found.confidence.value in found.accuracy.interval
    assert found.calibration.area.value > 0.7
    assert sum(one.n for one in found.calibration.bins) == ITEMS


def test_one_that_says_too_much_is_not_and_still_ranks_its_answers(rows):
    found = rows["overconfident"]
    assert found.calibration.error.interval.low > found.calibration.error_of_calibrated
    assert found.confidence.interval.low > found.accuracy.interval.high
    assert found.calibration.brier.value > rows["perfect"].calibration.brier.value
    assert found.calibration.area.interval.low > 0.6


def test_one_that_always_says_the_same_may_be_calibrated_and_ranks_nothing(rows):
    found = rows["constant"]
    assert found.confidence.value == pytest.approx(0.8)
    assert [one.n for one in found.calibration.bins] == [ITEMS]
    assert found.calibration.error.value < found.calibration.error_of_calibrated
    assert found.calibration.area.value == 0.5


def test_answers_that_say_nothing_count_for_the_share_alone(score_record):
    right = [True, False] * 50
    some = score_of(score_record, "some", answers_of([60, None] * 50, right))
    none = score_of(score_record, "none", answers_of([None] * 100, right))
    (board,) = build_boards([], [some, none])
    found = {row.arm: row.stated("chain") for row in board.rows}
    assert found["some"].share.value == 0.5
    assert found["some"].accuracy.value == 1
    assert found["some"].calibration == calibration([0.6] * 50, [True] * 50)
    assert found["none"].share.value == 0
    assert found["none"].calibration is None
    assert "| none | 0.0 [0.0, 3.7] | 0 |" in boards_to_markdown([board])


def test_the_draws_of_an_item_are_one_unit(score_record):
    generator = np.random.default_rng(3)
    said = np.repeat(generator.integers(1, 100, size=60), 4)
    right = np.repeat(generator.random(60) < 0.5, 4)
    score = score_of(score_record, "arm", answers_of(said.tolist(), right, draws=4))
    (board,) = build_boards([], [score])
    found = board.rows[0].stated("chain")
    units = [str(place // 4) for place in range(240)]
    assert found.calibration.n == 240
    assert found.calibration.brier == calibration(said / 100, right, units).brier
    alone = calibration(said / 100, right).brier.interval
    brier = found.calibration.brier.interval
    assert brier.high - brier.low > 1.5 * (alone.high - alone.low)


def test_all_tables_have_it_and_none_where_it_was_not_read(forecasters):
    boards = build_boards([], forecasters.values())
    console = Console(width=160, record=True, file=io.StringIO())
    show_boards(boards, console)
    for text in (console.export_text(), boards_to_markdown(boards), boards_to_latex(boards)):
        assert "How sure answers say they are" in text
        assert "AUROC" in text
    lines = {line["arm"]: line for line in csv.DictReader(io.StringIO(boards_to_csv(boards)))}
    line = lines["overconfident"]
    assert line["stated_n"] == str(ITEMS)
    assert float(line["stated_accuracy"]) == pytest.approx(float(line["accuracy"]))
    for name in ("share", "confidence", "accuracy", "calibration_error", "brier", "auroc"):
        low, value, high = (float(line[f"stated_{name}{end}"]) for end in ("_low", "", "_high"))
        assert 0 <= low <= value <= high <= 100
    plain = [score.model_copy(update={"confidence": None, "stated": None}) for score in forecasters.values()]
    boards = build_boards([], plain)
    assert "How sure" not in boards_to_markdown(boards)
    assert "stated" not in boards_to_csv(boards)


def test_read_by_another_pattern_the_answers_are_recorded_anew_and_the_latest_counts(forecasters):
    before = forecasters["perfect"]
    after = before.model_copy(
        update={
            "confidence": "(9)",
            "stated": ((None,) * ITEMS,),
            "recorded_at": "2026-11-21T10:05:00+00:00",
        }
    )
    plain = before.model_copy(update={"confidence": None, "stated": None})
    assert len({before.identity, after.identity, plain.identity}) == 3
    (board,) = build_boards([], [after, before])
    assert board.rows[0].stated("chain").share.value == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"stated": None},
        {"confidence": None},
        {"stated": ((0.5,) * (ITEMS - 1),)},
        {"stated": ((0.5,) * ITEMS,) * 2},
        {"stated": ((1.5,) * ITEMS,)},
        {"confidence": "no group"},
        {"confidence": "(("},
    ],
)
def test_what_cannot_have_been_read_is_no_record(forecasters, changes):
    values = forecasters["perfect"].model_dump() | changes
    with pytest.raises(ValueError, match=r"stated|confidence"):
        type(forecasters["perfect"]).model_validate(values)
