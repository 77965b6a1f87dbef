"""An arm measured once more prices rounding, and takes back what only one of both measurements shows."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from lrbench.evaluation.statistics import count_flips, wilson_interval
from lrbench.recipe.claims import parse_claim
from lrbench.results.board import build_boards
from lrbench.results.claims import judge_claims
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from lrbench.results.rendering.terminal import show_boards
from lrbench.results.rows import AVERAGE
from lrbench.results.wording import noise_texts, notes_on, sections

N = 400
AGAIN = {"answer": {"again": "1/2"}}
BASE = "1" * 180 + "0" * 220
# Twelve more of the expert's items, and eight of them another way.
CLOSE = "0" * 3 + "1" * 177 + "1" * 2 + "0" * 218
LEANING = "1" * 212 + "0" * 188
LIGHTR = "1" * 200 + "0" * 200


@pytest.fixture
def board_of(arm_record, score_record):
    def build(again, same=None, **arms):
        made = {"base": {}, "again": AGAIN, "lightr": None}
        outcomes = {"base": BASE, **({} if again is None else {"again": again}), "lightr": LIGHTR, **arms}
        records = [
            arm_record(
                name,
                seed=0,
                arm_id=f"id-{name}",
                stages={} if name in ("base", "again") else {"train": "t" * 64},
                **({} if made.get(name, {}) is None else {"settings": made.get(name, {}), "amateur": None}),
            )
            for name in outcomes
        ]
        scores = [
            score_record(
                "chain",
                paper,
                arm=name,
                arm_id=f"id-{name}",
                benchmarks=("chain",),
                evaluation_key=f"key-{name}",
                answers_hash=same or f"texts of {name}",
            )
            for name, paper in outcomes.items()
        ]
        (board,) = build_boards(records, scores)
        return board

    return build


def row(board, arm):
    return next(row for row in board.rows if row.arm == arm)


def printed(board):
    console = Console(width=200, file=io.StringIO())
    show_boards([board], console)
    return console.file.getvalue()


def test_flips_are_counted_both_ways_with_their_interval(board_of):
    board = board_of(CLOSE)
    assert [one.arm for one in board.rows] == ["base", "again", "lightr"]
    flips = count_flips(BASE, CLOSE)
    interval = wilson_interval(flips.won + flips.lost, N)
    (line,) = noise_texts(board, next(sections(board)))
    assert line == (
        "Noise: again is base measured once more, with fewer rows written at once. "
        f"1.2% [{100 * interval.low:.1f}, {100 * interval.high:.1f}] of 400 verdicts flipped "
        "(3 right in base alone, 2 in again alone). On average equivalent (-0.2, within 2)."
    )
    assert line in printed(board)
    for text in (boards_to_markdown([board]), boards_to_latex([board])):
        assert "of 400 verdicts flipped (3 right in base alone" in text.replace("{-}", "-")
    lines = {one["arm"]: one for one in csv.DictReader(io.StringIO(boards_to_csv([board])))}
    found = lines["again"]
    assert [
        found[name] for name in ("repeats", "flipped_of", "flipped_first", "flipped_again", "flipped")
    ] == [
        "base",
        "400",
        "3",
        "2",
        "1.25",
    ]
    assert lines["base"]["repeats"] == ""


def test_where_every_answer_is_the_same_the_line_says_so(board_of):
    board = board_of(BASE, same="equal")
    (line,) = noise_texts(board, next(sections(board)))
    assert line.endswith("Every answer is the same, all 400 of them.")
    lines = {one["arm"]: one for one in csv.DictReader(io.StringIO(boards_to_csv([board])))}
    assert lines["again"]["same_answers"] == "True"
    # Verdicts may agree where texts do not.
    (other,) = noise_texts(board_of(BASE), next(sections(board_of(BASE))))
    assert "0.0% [0.0, 1.0] of 400 verdicts flipped" in other


def test_while_both_measurements_tie_nothing_else_changes(board_of):
    without, board = board_of(None), board_of(CLOSE)
    assert row(board, "lightr").against["base"].average == row(without, "lightr").against["base"].average
    assert board.best == without.best == {("id-lightr", AVERAGE), ("id-lightr", "chain")}
    assert not [note for note in notes_on(board) if "weaker" in note]


def test_where_rounding_leans_the_weaker_verdict_holds_and_is_explained(board_of):
    board = board_of(LEANING)
    alone = row(board_of(None), "lightr").against["base"]
    held = row(board, "lightr").against["base"]
    assert alone.average.separated
    assert not held.average.separated
    assert not held.on("chain").separated
    assert board.best == frozenset()
    (note,) = (note for note in notes_on(board) if "weaker" in note)
    assert note == (
        "again of quickstart, seed 0 is separated from base, the same measured before, in average, chain: "
        "verdicts there against base are the weaker of those against base and against again."
    )
    # What is better than both stays so.
    better = board_of(LEANING, lightr="1" * 260 + "0" * 140)
    assert row(better, "lightr").against["base"].average.separated
    assert better.best == {("id-lightr", AVERAGE), ("id-lightr", "chain")}


def test_claims_have_to_hold_of_both_measurements(board_of):
    claim = [parse_claim("lightr > base on average")]
    (tied,) = judge_claims(claim, board_of(CLOSE).rows)
    (leaning,) = judge_claims(claim, board_of(LEANING).rows)
    assert (tied.verdict, leaning.verdict) == ("supported", "underpowered")
    assert any("has to hold of both" in note for note in leaning.evidence.notes)


def test_another_arm_is_no_second_measurement(arm_record, score_record):
    """An answer once more is that of the arm that was made in the same way, seed and adapter."""
    settings = {"divergence": {"beta": 0.4}}
    records = [
        arm_record("lightr", settings=settings, stages={"train": "a" * 64}),
        arm_record("more", settings=settings | AGAIN, stages={"train": "a" * 64}),
        arm_record("other", settings=settings | AGAIN, stages={"train": "b" * 64}),
    ]
    scores = [score_record(arm=record.arm, benchmarks=("chain",)) for record in records]
    (board,) = build_boards(records, scores)
    repeats = {one.arm: one.repeats for one in board.rows}
    assert repeats == {"lightr": None, "more": "quickstart-lightr-0", "other": None}
