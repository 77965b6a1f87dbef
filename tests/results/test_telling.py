"""What a board shows and leaves open is said in words, by the same verdicts as its numbers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.results.board import build_boards
from lrbench.results.records import RecipeRecord
from lrbench.results.rendering.terminal import MOST_TOLD, show_boards
from lrbench.results.telling import words_on

RECIPE = """
name: quickstart
pair: {expert: {model: embedded/expert}, amateur: {model: embedded/amateur}}
data: {train: embedded/multi_step, problems: 8}
training: {updates: 4, steps_per_update: 16, learning_rate: 0.001}
arms: [base, sft, lightr, {name: random, like: lightr, selector: {signal: random, match: lightr}}, cd]
compare: {subject: lightr, against: [cd, random, sft, base]}
evaluation: {suite: embedded7, limit: 400}
"""
RIGHT = {"base": 160, "sft": 300, "lightr": 300, "cd": 302, "random": 340}
# Seeds that lie so close that training like this is as certain as the runs.
WOBBLE = {0: 0, 1: 2, 2: -2}


@pytest.fixture(scope="module")
def declared(tmp_path_factory) -> RecipeRecord:
    file = tmp_path_factory.mktemp("recipe") / "quickstart.yaml"
    file.write_text(RECIPE)
    return RecipeRecord(
        recipe="quickstart",
        recipe_hash="hash",
        recipe_yaml=resolved_yaml(load_recipe(file)),
        arm_ids=(),
        claims=(),
        compare=load_recipe(file).compare,
        command=f"lrbench run {file}",
        recorded_at="2026-11-20T10:00:00+00:00",
    )


def board_of(score_records, declared, seeds=(0,), recipes=("quickstart",), **right):
    """A board on which arms are right on as many of 400 items, in nested order, as `right` says."""
    scores = [
        score
        for recipe in recipes
        for arm, correct in (RIGHT | right).items()
        for seed in (seeds if arm not in ("base", "cd") else (None,))
        for score in score_records(
            {"chain": correct + WOBBLE.get(seed, 0)}, n=400, arm=arm, seed=seed, recipe=recipe,
            arm_id=f"{recipe}-{arm}-{seed}", benchmarks=("chain",), limit=400,
        )
    ]  # fmt: skip
    renamed = [declared.model_copy(update={"recipe": recipe}) for recipe in recipes]
    (board,) = build_boards([], scores, renamed)
    return board, renamed


def test_every_verdict_of_one_run_has_its_sentence(score_records, declared):
    board, _ = board_of(score_records, declared)
    words = words_on(board, board.rows, declared)
    assert words.shown[0] == "lightr is above base (+35.0) on average in these runs."
    assert words.shown[1] == "lightr is below random (-10.0) on average in these runs."
    assert {name for sentence in words.shown[2:] for name in ("cd", "sft") if f" {name} (" in sentence} == {
        "cd",
        "sft",
    }
    assert len(words.left_open) == 4
    seeds, controls, items, models = words.left_open
    assert "seeds: [0, 1, 2]" in seeds
    assert "prefill (one given first word)" in controls
    assert "`controls: lightr` adds them" in controls
    assert " cd (" not in controls
    assert "first 400" in items
    assert "designed" in models


def test_an_arm_below_the_untrained_expert_is_said_to_be(score_records, declared):
    board, _ = board_of(score_records, declared, lightr=100)
    words = words_on(board, board.rows, declared)
    assert "lightr is below" in words.shown[0]
    assert " base (-15.0)" in words.shown[0]


def test_several_seeds_are_spoken_of_together(score_records, declared):
    board, _ = board_of(score_records, declared, seeds=(0, 1, 2))
    words = words_on(board, board.rows, declared)
    assert words.shown[0] == "lightr is above base (+35.0) on average over 3 seeds."
    assert not any("seeds" in sentence for sentence in words.left_open)


def test_without_a_declaration_nothing_is_said_of_items_and_controls(score_records, declared):
    board, _ = board_of(score_records, declared)
    unread = declared.model_copy(update={"recipe_yaml": "nonsense: ["})
    for record in (None, unread):
        (seeds,) = words_on(board, board.rows, record).left_open
        assert "Other seeds" in seeds


def test_where_nothing_was_asked_nothing_is_told(score_records, declared):
    board, _ = board_of(score_records, declared)
    assert words_on(board, [row for row in board.rows if row.arm != "lightr"], declared) is None


def test_the_terminal_ends_with_the_words_where_they_are_about_few_recipes(score_records, declared):
    def shown(recipes):
        board, records = board_of(score_records, declared, recipes=recipes)
        stream = io.StringIO()
        show_boards([board], Console(file=stream, width=200), records)
        return stream.getvalue()

    one = shown(("quickstart",))
    assert one.rstrip().endswith("the method can be seen at work.")
    assert one.index("What this shows") > one.index("inconclusive: not separated")
    assert "What this shows of" not in one
    assert "What this shows of b" in shown(("a", "b"))
    assert "What this shows" not in shown(tuple(f"r{number}" for number in range(MOST_TOLD + 1)))
