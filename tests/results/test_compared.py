"""What results are set against is what their recipes say, whatever the arms are called."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from lrbench.recipe.schema import Compare
from lrbench.results.board import build_boards
from lrbench.results.claims.budgets import match_budgets
from lrbench.results.ledger import Ledger
from lrbench.results.records import Costs, RecipeRecord
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from lrbench.results.rendering.terminal import show_boards

MINE = "arms:\n- name: start\n  like: base\n- name: plain\n  like: sft\n- name: mine\n  like: lightr\n"
RIGHT = {"start": 40, "plain": 60, "mine": 90, "base": 40, "sft": 60, "lightr": 90}


@pytest.fixture
def results(arm_record, score_records):
    """Arms of a recipe that was written as `arms`, measured on two benchmarks."""

    def made(arms: str, *names: str, recipe: str = "quickstart", **changes):
        records = [
            arm_record(
                name, recipe, recipe_yaml=f"name: {recipe}\n{arms}claims: []\n",
                **({"settings": {}, "seed": None} if name in ("start", "base") else {}) | changes,
            )
            for name in names
        ]  # fmt: skip
        scores = [
            score
            for record in records
            for score in score_records(
                {"chain": RIGHT[record.arm], "vary": RIGHT[record.arm] + 5}, arm=record.arm, recipe=recipe,
                seed=record.seed, arm_id=record.arm_id, benchmarks=("chain", "vary"),
            )
        ]  # fmt: skip
        return records, scores

    return made


def declared(arms: str, compare: Compare, recipe: str = "quickstart", **changes) -> RecipeRecord:
    values = {
        "recipe": recipe,
        "recipe_hash": "a" * 64,
        "recipe_yaml": f"name: {recipe}\n{arms}",
        "arm_ids": (),
        "claims": (),
        "compare": compare,
        "command": "lrbench run r.yaml",
        "recorded_at": "2026-11-20T10:00:00+00:00",
    }
    return RecipeRecord(**(values | changes))


def against(board) -> dict[str, list[str]]:
    return {row.arm: list(row.against) for row in board.rows}


class TestBaselines:
    def test_are_found_by_what_arms_are_like(self, results):
        (board,) = build_boards(*results(MINE, "start", "plain", "mine"))
        assert against(board) == {"start": [], "plain": ["start"], "mine": ["start", "plain"]}
        (mine,) = [row for row in board.rows if board.is_subject(row)]
        assert (mine.arm, board.foremost(mine)) == ("mine", ["plain", "start"])
        assert mine.against["plain"].on("chain").difference == pytest.approx(30)

    def test_of_the_expert_alone_are_the_expert(self, results):
        arms = "arms:\n- name: base\n- name: mine\n  like: lightr\n"
        (board,) = build_boards(*results(arms, "base", "mine"))
        assert against(board) == {"base": [], "mine": ["base"]}
        assert board.baselines == ("base",)

    def test_are_those_that_the_recipe_declares_now(self, results):
        records = results(MINE, "start", "plain", "mine")
        first = declared(MINE, Compare(subject="mine", against=("plain",)))
        then = declared(MINE, Compare(subject="plain", against=("mine", "start")))
        assert against(*build_boards(*records, [first])) == {
            "start": [],
            "plain": [],
            "mine": ["plain"],
        }
        (board,) = build_boards(*records, [first, then])
        assert against(board) == {"start": [], "plain": ["start", "mine"], "mine": ["start"]}
        subject = next(row for row in board.rows if row.arm == "plain")
        assert board.foremost(subject) == ["mine", "start"]

    def test_are_read_from_the_recipe_behind_an_arm_where_no_other_was_recorded(self, results):
        (board,) = build_boards(*results(MINE + "compare:\n  subject: mine\n  against:\n  - plain\n", *RIGHT))
        assert against(board)["mine"] == ["plain"]

    def test_may_be_those_of_another_recipe_of_the_expert(self, results):
        own = results("arms:\n- name: base\n- name: mine\n  like: lightr\n", "base", "mine", recipe="own")
        other = results("arms:\n- name: base\n- name: sft\n", "base", "sft", recipe="other")
        (board,) = build_boards(own[0] + other[0], own[1] + other[1])
        (mine,) = [row for row in board.rows if row.arm == "mine"]
        assert mine.against["sft"].baseline_recipe == "other"
        assert mine.against["base"].baseline_recipe == "own"
        assert "mine of own, seed 0: set against sft of other" in boards_to_markdown([board])

    @pytest.mark.parametrize(
        "arms", ["", "arms: 3\n", "arms:\n- 3\n", "arms:\n- {name: [\n", MINE.replace("n", "m")]
    )
    def test_are_known_by_their_names_where_a_recipe_does_not_read(self, results, arms):
        (board,) = build_boards(*results(arms, "base", "sft", "lightr"))
        assert against(board) == {"base": [], "sft": ["base"], "lightr": ["base", "sft"]}


class TestOrder:
    ABOUT = "compare:\n  subject: mine\n  against:\n  - plain\n  - base\n"

    def test_is_the_recipes_own_and_what_it_no_longer_declares_comes_after(self, results):
        arms = "".join(f"- name: {name}\n  like: lightr\n" for name in ("plain", "mine"))
        written = f"arms:\n{arms}- name: base\n{self.ABOUT}"
        (board,) = build_boards(*results(written, "sft", "start", "base", "mine", "plain"))
        assert [row.arm for row in board.rows] == ["plain", "mine", "base", "start", "sft"]
        assert board.baselines == tuple(against(board)["mine"]) == ("plain", "base")

    def test_of_several_recipes_is_that_of_the_first_for_what_all_are_set_against(self, results):
        first = results(
            "arms:\n- name: sft\n- name: base\n- name: lightr\n", "base", "sft", "lightr", recipe="a"
        )
        second = results("arms:\n- name: base\n- name: sft\n", "base", "sft", recipe="b")
        (board,) = build_boards(first[0] + second[0], first[1] + second[1])
        assert [(row.recipe, row.arm) for row in board.rows] == [
            ("a", "sft"), ("a", "base"), ("a", "lightr"), ("b", "base"), ("b", "sft"),
        ]  # fmt: skip
        assert board.baselines == ("sft", "base")

    def test_without_one_puts_what_others_are_measured_from_first(self, results):
        (board,) = build_boards(*results("", "lightr", "sft", "plain", "base"))
        assert [row.arm for row in board.rows] == ["base", "sft", "lightr", "plain"]


class TestUntrained:
    def test_is_the_expert_whatever_it_is_called(self, results):
        (board,) = build_boards(*results(MINE, "start", "plain", "mine"))
        start, plain, mine = board.rows
        assert [row.untrained for row in board.rows] == [True, False, False]
        assert match_budgets([mine], [start]).note == "start is not trained"
        assert "not trained" not in match_budgets([mine], [plain]).note

    def test_is_no_arm_that_answers_otherwise_though_that_is_not_trained_either(self, results):
        changes = {"settings": {"answer": "mix"}, "costs": Costs()}
        (board,) = build_boards(*results(MINE, "plain", **changes))
        assert not board.rows[0].untrained
        assert match_budgets(board.rows, board.rows).note == "plain is not trained"

    def test_is_no_arm_that_is_called_base_and_was_trained(self, results):
        records, scores = results("arms:\n- name: base\n  like: lightr\n", "base")
        trained = [record.model_copy(update={"settings": {"source": "greedy"}}) for record in records]
        (board,) = build_boards(trained, scores)
        assert not board.rows[0].untrained
        assert board.is_subject(board.rows[0])


class TestTables:
    def test_have_a_column_for_every_baseline_and_no_other(self, results):
        boards = build_boards(*results(MINE, "start", "plain", "mine"))
        (line,) = [
            line
            for line in csv.DictReader(io.StringIO(boards_to_csv(boards)))
            if (line["arm"], line["benchmark"]) == ("mine", "chain")
        ]
        assert (line["start_difference"], line["plain_difference"]) == ("50", "30")
        assert not [name for name in line if name.startswith(("base_", "sft_"))]
        for write in (boards_to_markdown, boards_to_latex):
            text = write(boards)
            assert text.lower().count("difference from") == 2
            assert "base" not in text

    @pytest.mark.parametrize("width", [60, 200])
    def test_in_the_terminal_too(self, results, width):
        stream = io.StringIO()
        boards = build_boards(*results(MINE, "start", "plain", "mine"))
        show_boards(boards, Console(file=stream, width=width))
        assert "vs start" in stream.getvalue()
        assert "vs plain" in stream.getvalue()
        assert "vs sft" not in stream.getvalue()


@pytest.mark.parametrize("width", [60, 120, 250])
def test_many_baselines_are_all_shown_whole_in_any_window(results, width):
    names = ("lightr", "plain", "sft", "mine")
    arms = "arms:\n- name: base\n" + "".join(f"- name: {name}\n  like: lightr\n" for name in names)
    about = "compare:\n  subject: mine\n  against:\n" + "".join(f"  - {name}\n" for name in names[:3])
    stream = io.StringIO()
    records, scores = results(arms + about + "  - base\n", "base", *names)
    show_boards(build_boards(records, scores), Console(file=stream, width=width))
    shown = stream.getvalue().partition("What this shows")[0]
    for name in ("base", *names[:3]):
        assert f"vs {name}" in shown
    # Two arms above base on both benchmarks and on average, and one above two baselines.
    assert (shown.count("+50.0"), shown.count("+30.0")) == (6, 6)


def test_a_recipe_is_recorded_again_when_it_is_about_something_else(tmp_path):
    ledger = Ledger(tmp_path)
    about = [declared(MINE, Compare(subject=name)) for name in ("mine", "mine", "plain")]
    assert [ledger.declare(record) for record in about] == [1, 0, 1]
    assert [record.compare.subject for record in ledger.read().recipes] == ["mine", "plain"]
