"""Recipes with seeds and sweeps in the ledger and on the board."""

from __future__ import annotations

import csv
import io
import re

import pytest
from rich.console import Console

from lrbench.recipe.expanding import point_text
from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger
from lrbench.results.records import RecipeRecord
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.terminal import show_boards
from lrbench.results.rows import AVERAGE

LOW, HIGH = {"divergence.beta": 0.2}, {"divergence.beta": 10.0}


def declared(**changes):
    values = {
        "recipe": "quickstart",
        "recipe_hash": "a" * 64,
        "recipe_yaml": "name: quickstart\n",
        "arm_ids": ("x", "y"),
        "claims": (),
        "command": "lrbench run r.yaml",
        "recorded_at": "2026-11-20T10:00:00+00:00",
    }
    return RecipeRecord(**(values | changes))


class TestWhatARecipeMeans:
    def test_is_recorded_once_while_it_stays_the_same(self, tmp_path):
        ledger = Ledger(tmp_path)
        assert ledger.declare(declared()) == 1
        assert ledger.declare(declared(recorded_at="2026-11-21T10:00:00+00:00")) == 0
        assert ledger.read().recipes == (declared(),)

    def test_is_recorded_again_when_it_goes_back_to_what_it_was(self, tmp_path):
        ledger = Ledger(tmp_path)
        for day, arms in enumerate((("x",), ("x", "y"), ("x",)), start=1):
            moment = f"2026-11-0{day}T10:00:00+00:00"
            assert ledger.declare(declared(arm_ids=arms, recorded_at=moment)) == 1
        assert [record.arm_ids for record in ledger.read().recipes] == [("x",), ("x", "y"), ("x",)]

    def test_of_one_recipe_is_apart_from_that_of_another(self, tmp_path):
        ledger = Ledger(tmp_path)
        assert [ledger.declare(declared(recipe=name)) for name in ("a", "b", "a")] == [1, 1, 0]

    def test_a_line_that_does_not_read_is_reported(self, tmp_path):
        ledger = Ledger(tmp_path)
        ledger.declare(declared())
        (tmp_path / "recipes.jsonl").open("a").write("rubbish\n")
        contents = ledger.read()
        assert contents.recipes == (declared(),)
        assert [(line.path.name, line.number) for line in contents.broken] == [("recipes.jsonl", 2)]


@pytest.fixture
def records(arm_record, score_records):
    """One base; sft with two seeds; lightr with two seeds at two points."""
    arms, scores = [], []

    def add(arm, seed, point, correct):
        arm_id = f"{arm}-{seed}-{point}"
        arms.append(arm_record(arm, seed=seed, point=point, arm_id=arm_id))
        marks = {"arm": arm, "seed": seed, "point": point, "arm_id": arm_id, "evaluation_key": arm_id}
        found = score_records({"chain": correct, "vary": correct}, benchmarks=("chain", "vary"), **marks)
        scores.extend(found)

    add("base", None, {}, 30)
    for seed in (0, 1):
        add("sft", seed, {}, 50 + seed)
        add("lightr", seed, HIGH, 60 + seed)
        add("lightr", seed, LOW, 90 + seed)
    return arms, scores


@pytest.fixture
def board(records):
    (board,) = build_boards(*records)
    return board


def test_rows_are_ordered_by_point_as_numbers_and_then_by_seed(board):
    assert [(row.arm, dict(row.point), row.seed) for row in board.rows] == [
        ("base", {}, None),
        ("sft", {}, 0),
        ("sft", {}, 1),
        ("lightr", LOW, 0),
        ("lightr", LOW, 1),
        ("lightr", HIGH, 0),
        ("lightr", HIGH, 1),
    ]


def test_rows_of_one_arm_that_differ_by_their_seeds_are_a_group(board):
    assert [[row.seed for row in group.rows] for group in board.groups] == [[None], [0, 1], [0, 1], [0, 1]]
    base, sft, *_ = board.groups
    assert base.on(AVERAGE) is None
    assert sft.on(AVERAGE).value == pytest.approx(0.505)
    assert sft.on("chain").seeds == 2


def test_rows_made_with_other_settings_are_no_group(records):
    arms, scores = records
    changed = [arm.model_copy(update={"settings": {"edited": arm.seed}}) for arm in arms]
    (other,) = build_boards(changed, scores)
    assert [len(group.rows) for group in other.groups] == [1] * 7


def test_a_row_is_set_against_the_baseline_of_its_seed_and_point(board, records, score_records):
    assert {(row.seed, row.against["sft"].baseline_seed) for row in board.rows if row.arm == "lightr"} == {
        (0, 0),
        (1, 1),
    }
    assert {row.against["base"].baseline_seed for row in board.rows if "base" in row.against} == {None}
    arms, scores = records
    marks = {"arm": "sft", "seed": 0, "point": LOW, "arm_id": "own", "evaluation_key": "own"}
    scores = [*scores, *score_records({"chain": 1, "vary": 1}, benchmarks=("chain", "vary"), **marks)]
    (swept,) = build_boards(arms, scores)
    found = {
        (row.point["divergence.beta"], row.seed): row.against["sft"]
        for row in swept.rows
        if row.arm == "lightr"
    }
    assert found[0.2, 0].baseline == found[0.2, 1].baseline == "own"
    assert (found[10.0, 0].baseline_point, found[10.0, 0].baseline_seed) == ({}, 0)


def test_seeds_of_one_arm_do_not_compete_and_points_do(board):
    best = {arm_id for arm_id, column in board.best if column == AVERAGE}
    assert best == {f"lightr-0-{LOW}", f"lightr-1-{LOW}"}


def test_a_model_under_two_names_does_not_compete_with_itself(records, board):
    best = {arm_id for arm_id, column in board.best if column == AVERAGE}
    arms, scores = records
    twin = {"arm_id": "twin", "recipe": "another"}
    twins = [score.model_copy(update=twin) for score in scores if score.arm_id == f"lightr-1-{LOW}"]
    (other,) = build_boards(arms, [*scores, *twins])
    assert {arm_id for arm_id, column in other.best if column == AVERAGE} & {*best, "twin"}


def test_terminal_and_tables_name_points_and_seeds_and_give_means(board):
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as captured:
        show_boards([board], console)
    shown, markdown = captured.get(), boards_to_markdown([board])
    for text in (shown, markdown):
        assert "lightr beta=0.2 seed 1" in text
        assert "sft seed 0" in text
        assert "base seed" not in text
        assert "Means over seeds" in text
        assert "lightr beta=10.0, 2 seeds" in text
    lines = boards_to_csv([board]).splitlines()
    assert any(",lightr,beta=0.2,,1," in line for line in lines)
    assert any(",base,,," in line for line in lines)


def test_csv_gives_the_means_as_lines_of_their_own_kind(board):
    lines = list(csv.DictReader(io.StringIO(boards_to_csv([board]))))
    means = [line for line in lines if line["kind"] == "mean" and line["benchmark"] == "average"]
    assert [(line["arm"], line["point"], line["seeds"]) for line in means] == [
        (group.rows[0].arm, point_text(group.rows[0].point), "2")
        for group in board.groups
        if len(group.rows) > 1
    ]
    group = next(group for group in board.groups if len(group.rows) > 1)
    mean = group.on("average")
    assert float(means[0]["accuracy"]) == pytest.approx(100 * mean.value, rel=1e-5)
    assert float(means[0]["high"]) == pytest.approx(100 * mean.interval.high, rel=1e-5)
    assert {(line["seed"], line["arm_id"], line["best"], line["base_p"]) for line in means} == {("",) * 4}
    assert sum(line["kind"] == "measured" for line in lines) == len(board.rows) * len(board.columns)


def test_claims_stand_in_markdown_beneath_their_recipe(board):
    ids = tuple(row.arm_id for row in board.rows)
    recipe = declared(arm_ids=ids, claims=("lightr > sft on average",))
    text = boards_to_markdown([board], [recipe])
    assert "Claims at beta=0.2:" in text
    assert re.search(r"^- (supported|refuted|underpowered): lightr &gt; sft on average$", text, re.MULTILINE)
    assert re.search(r"^  - .*p \S+ for the claim", text, re.MULTILINE)
    assert "Claims" not in boards_to_markdown([board])


def test_claims_stand_beneath_the_board_of_their_recipe(board):
    ids = tuple(row.arm_id for row in board.rows)
    console = Console(width=100)
    with console.capture() as captured:
        show_boards([board], console, [declared(arm_ids=ids, claims=("lightr > sft on average",))])
    lines = captured.get().splitlines()
    place = lines.index("Claim: lightr > sft on average. Supported at all 2 points")
    assert lines[place + 1].split("  ")[0] == "point"
    assert [line.split()[:2] for line in lines[place + 3 : place + 5]] == [
        ["beta=0.2", "supported"],
        ["beta=10.0", "supported"],
    ]
    assert "  lightr is above sft on average" in lines[place + 5 :]


def test_what_a_sweep_shows_begins_with_its_best_point_and_what_choosing_it_is_worth(board):
    console = Console(width=200)
    with console.capture() as captured:
        show_boards([board], console)
    _, told = captured.get().split("What this shows\n")
    first, second, *others = [line.strip() for line in told.splitlines()]
    assert first == "lightr was measured at 2 points: beta 0.2, 10.0."
    assert re.fullmatch(
        r"The best point on average is beta=0.2 with 90\.5 \[.*\]\. It was chosen by the items that it is "
        r"measured on, so it looks about \d+\.\d points better than it is\.",
        second,
    )
    assert "Against base, each point by itself: above it at 2." in others


def test_the_average_of_one_benchmark_is_not_shown_beside_it(score_record):
    boards = build_boards([], [score_record("vary", "1100", arm=arm, benchmarks=("vary",)) for arm in "ab"])
    console = Console(width=200)
    with console.capture() as captured:
        show_boards(boards, console)
    (heading,) = [line for line in captured.get().splitlines() if line.startswith("vary")]
    assert heading.split() == ["vary", "n", "4"]
    assert not re.search("^average", captured.get(), re.MULTILINE)
