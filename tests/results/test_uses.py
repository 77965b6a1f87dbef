"""What an arm uses besides the pair and what its answers took, and where a board says so."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from lrbench.results.board import Board, build_boards
from lrbench.results.frontier import HOLDING, points_of
from lrbench.results.records import ArmRecord, Costs, Memory, ScoreRecord
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from lrbench.results.rendering.terminal import show_boards
from lrbench.results.rows import Row
from lrbench.results.uses import Uses
from lrbench.results.wording import TOOK, bytes_text

CONTRAST = {"source": "greedy", "selector": "kl", "target": "contrast"}
OWN_SOLUTIONS = {"source": "solutions", "selector": "all", "target": "own_token"}
TAUGHT = CONTRAST | {"target": {"use": "soft", "of": "teacher", "temperature": 1.0}}
CD = {"answer": {"mix": {"expert": 1.0, "amateur": -1.0}, "alpha": 0.2}}
MOVED = {"answer": {"mix": {"peer": 1.0, "arm:sft": 1.0, "expert": -1.0}}}
VOTE = {"answer": {"vote": 8}}
PLAIN = {"tokens": 40, "written": 40}

MakeArm = Callable[..., ArmRecord]
MakeScore = Callable[..., ScoreRecord]
Given = dict[str, tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture
def board(arm_record: MakeArm, score_record: MakeScore) -> Callable[[Given], Board]:
    """A board of arms, each with its settings and what its answers to four items took."""

    def make(given: Given) -> Board:
        arms = [arm_record(name, settings=settings) for name, (settings, _) in given.items()]
        scores = [
            score_record("chain", "1100", name, benchmarks=("chain",), **took)
            for name, (_, took) in given.items()
        ]
        (made,) = build_boards(arms, scores)
        return made

    return make


def rows_of(board: Board) -> dict[str, Row]:
    return {row.arm: row for row in board.rows}


def shown(board: Board, width: int = 100) -> str:
    stream = io.StringIO()
    show_boards([board], Console(file=stream, width=width))
    return stream.getvalue()


def test_what_has_learnt_from_labels_is_told_from_what_has_not(board: Callable[[Given], Board]) -> None:
    rows = rows_of(board({"base": ({}, PLAIN), "sft": (OWN_SOLUTIONS, PLAIN), "lightr": (CONTRAST, PLAIN)}))
    assert {arm: row.uses.labels for arm, row in rows.items()} == {
        "base": False,
        "sft": True,
        "lightr": False,
    }
    assert all(row.uses.models_at_test == 1 and row.uses.passes_per_token == 1 for row in rows.values())


def test_models_besides_the_pair_count_wherever_they_are_read(board: Callable[[Given], Board]) -> None:
    rows = rows_of(
        board({"cd": (CD, PLAIN), "taught": (TAUGHT, PLAIN), "moved": (MOVED, PLAIN), "sft": (TAUGHT, PLAIN)})
    )
    found = {arm: row.uses.other_models for arm, row in rows.items()}
    assert found == {"cd": (), "taught": ("teacher",), "moved": ("peer", "teacher"), "sft": ("teacher",)}
    assert (rows["cd"].uses.models_at_test, rows["moved"].uses.models_at_test) == (2, 3)


def matched(to: str, on: str, **budget: Any) -> dict[str, Any]:
    """What an arm that learns as much of something as another has among its settings."""
    return CONTRAST | {"training": {"budget": {"match": to, "on": on, **budget}}}


def test_a_number_of_an_arm_with_labels_uses_labels_unless_it_is_declared(
    board: Callable[[Given], Board],
) -> None:
    timed = {"training": {"budget": {"seconds": 9.0}}}
    given = {
        "sft": OWN_SOLUTIONS,
        "as_much": matched("sft", "tuned_tokens"),
        "as_much_as_that": matched("as_much", "problems"),
        "as_often": matched("sft", "updates"),
        "timed": OWN_SOLUTIONS | timed,
        "as_often_as_timed": matched("timed", "updates"),
        "as_often_as_that": matched("as_often_as_timed", "updates"),
        "as_long": matched("lightr", "seconds"),
        "lightr": CONTRAST,
        "begun": CONTRAST | {"start": "as_much"},
        "of_nobody": matched("nobody", "problems"),
        "ring": matched("round", "problems"),
        "round": matched("ring", "problems"),
    }
    rows = rows_of(board({name: (settings, PLAIN) for name, settings in given.items()}))
    assert {name for name, row in rows.items() if row.uses.labels} == {
        *("sft", "as_much", "as_much_as_that", "timed", "as_often_as_timed", "as_often_as_that", "begun")
    }
    assert {name for name, row in rows.items() if row.uses.labels is None} == {"of_nobody"}
    # A number costs nothing.
    assert rows["as_much"].uses.arms == ()


def test_an_arm_that_answers_with_another_uses_what_that_one_does(board: Callable[[Given], Board]) -> None:
    rows = rows_of(board({"moved": (MOVED, PLAIN), "sft": (OWN_SOLUTIONS, PLAIN)}))
    assert rows["moved"].uses.labels is True
    alone = rows_of(board({"moved": (MOVED, PLAIN)}))
    assert (alone["moved"].uses.labels, alone["moved"].uses.other_models) == (None, None)


def test_an_arm_that_reads_another_cost_what_that_one_did_each_stage_once(
    arm_record: MakeArm, score_record: MakeScore
) -> None:
    own = {"source": "greedy", "selector": "all", "target": "own_token"}
    taught = own | {"target": {"use": "soft", "of": "arm:second", "temperature": 1.0}}
    both = {"answer": {"mix": {"arm:first": 1.0, "arm:taught": 1.0}}}

    def made(name: str, settings: dict[str, Any], tuned: int, **stages: tuple[str, float]) -> ArmRecord:
        seconds = {stage: taken for stage, (_, taken) in stages.items()}
        costs = Costs(updates=2, tuned_tokens=tuned, sampled_problems=8, sampled_tokens=80, seconds=seconds)
        keys = {stage: key * 64 for stage, (key, _) in stages.items()}
        return arm_record(name, settings=settings, costs=costs, stages=keys)

    arms = [
        made("first", own, 10, rollouts=("a", 1.0), train=("b", 2.0)),
        made("second", own, 20, rollouts=("a", 1.0), train=("c", 4.0)),
        made("taught", taught, 40, rollouts=("d", 8.0), train=("e", 16.0)),
        arm_record("both", settings=both, costs=Costs(), stages={}),
        arm_record("lost", settings={"answer": {"mix": {"arm:nobody": 1.0}}}, costs=Costs(), stages={}),
    ]
    (board,) = build_boards(
        arms, [score_record("chain", "1100", arm.arm, benchmarks=("chain",)) for arm in arms]
    )
    rows = rows_of(board)
    assert rows["first"].costs == arms[0].costs
    assert rows["taught"].costs == Costs(
        updates=4,
        tuned_tokens=60,
        sampled_problems=16,
        sampled_tokens=160,
        seconds={"rollouts": 9.0, "train": 20.0},
    )
    assert rows["both"].uses.arms == ("first", "taught", "second")
    assert rows["both"].costs == Costs(
        updates=6,
        tuned_tokens=70,
        sampled_problems=16,
        sampled_tokens=160,
        seconds={"rollouts": 9.0, "train": 22.0},
    )
    assert rows["lost"].costs is None
    assert (
        "both of quickstart, seed 0: its costs hold those of first, taught, second, whose adapter"
        in shown(board, 200)
    )


def test_continuations_of_rollouts_that_were_counted_are_counted_besides(
    arm_record: MakeArm, score_record: MakeScore
) -> None:
    own = {"source": "greedy", "selector": "all", "target": "own_token"}
    critical = own | {"selector": {"signal": "critical"}}
    both = {"answer": {"mix": {"arm:first": 1.0, "arm:continued": 1.0}}}
    plain = Costs(sampled_problems=8, sampled_tokens=80)
    more = Costs(sampled_problems=8, sampled_tokens=110)
    stages = {"rollouts": "a" * 64, "continuations": "b" * 64, "train": "c" * 64}
    arms = [
        arm_record("first", settings=own, costs=plain, stages={"rollouts": "a" * 64, "train": "d" * 64}),
        arm_record(
            "continued", settings=critical, costs=more, stages=stages, statistics={"continued_tokens": 30}
        ),
        arm_record("both", settings=both, costs=Costs(), stages={}),
    ]
    (board,) = build_boards(
        arms, [score_record("chain", "1100", arm.arm, benchmarks=("chain",)) for arm in arms]
    )
    found = rows_of(board)["both"].costs
    assert found is not None
    # Which of the two is counted first does not matter.
    assert (found.sampled_problems, found.sampled_tokens) == (8, 110)


def test_problems_that_are_drawn_again_are_counted_apart_from_their_draws(
    arm_record: MakeArm, score_record: MakeScore
) -> None:
    own = {"source": "greedy", "selector": "all", "target": "own_token"}
    both = {"answer": {"mix": {"arm:first": 1.0, "arm:again": 1.0}}}
    once, again = Costs(sampled_problems=8), Costs(sampled_problems=8, drawn_problems=20)
    arms = [
        arm_record("first", settings=own, costs=once, stages={"rollouts": "a" * 64, "train": "d" * 64}),
        arm_record(
            "again", settings=own | {"objective": {"online": 2}}, costs=again, stages={"train": "e" * 64}
        ),
        arm_record("both", settings=both, costs=Costs(), stages={}),
    ]
    (board,) = build_boards(
        arms, [score_record("chain", "1100", arm.arm, benchmarks=("chain",)) for arm in arms]
    )
    found = rows_of(board)["both"].costs
    assert found is not None
    assert (found.sampled_problems, found.drawn_problems, once.draws) == (16, 28, 8)


def test_of_what_several_write_for_an_arm_nothing_is_counted_twice(
    arm_record: MakeArm, score_record: MakeScore
) -> None:
    own = {"source": "greedy", "selector": "all", "target": "own_token"}
    one, two = {"written": "a" * 64}, {"written": "a" * 64, "written 2": "b" * 64}
    half, whole = (Costs(sampled_problems=8 * each, sampled_tokens=80 * each) for each in (1, 2))
    # Begun as the other, whose mixture has what this one learns from as well; and the other way round.
    for first, second in (((one, half), (two, whole)), ((two, whole), (one, half))):
        arms = [
            arm_record("first", settings=own | {"start": "second"}, costs=first[1], stages=first[0]),
            arm_record("second", settings=own, costs=second[1], stages=second[0]),
        ]
        (board,) = build_boards(arms, [score_record("chain", "1100", "first", benchmarks=("chain",))])
        found = rows_of(board)["first"].costs
        assert found is not None
        assert (found.sampled_problems, found.sampled_tokens) == (16, 160)


def test_arms_that_answer_with_each_other_do_not_go_round_for_ever(board: Callable[[Given], Board]) -> None:
    round_ = {"answer": {"mix": {"arm:first": 1.0, "arm:second": 1.0}}}
    rows = rows_of(board({"first": (round_, PLAIN), "second": (round_, PLAIN)}))
    assert rows["first"].uses.other_models is None


def test_passes_and_tokens_are_over_all_benchmarks_together(
    arm_record: MakeArm, score_record: MakeScore
) -> None:
    both = ("chain", "vary")
    scores = [
        score_record(
            "chain", "1100", "cd", benchmarks=both, tokens=10, written=10, passes={"a": 10, "b": 10}
        ),
        score_record("vary", "11", "cd", benchmarks=both, tokens=30, written=30, passes={"a": 30, "b": 2}),
    ]
    (made,) = build_boards([arm_record("cd", settings=CD)], scores)
    uses = made.rows[0].uses
    assert uses.passes_per_token == pytest.approx(52 / 40)
    assert uses.tokens_per_answer == pytest.approx(40 / 6)


def test_memory_is_said_where_it_is_recorded(arm_record: MakeArm, score_record: MakeScore) -> None:
    memory = Memory(weights=1_400_000, cache_per_token=2048)
    took = {"tokens": 40, "written": 40, "passes": {"amateur": 40, "expert": 40}}
    arms = [arm_record("base"), arm_record("cd", settings=CD).model_copy(update={"memory": memory})]
    scores = [score_record("chain", "1100", arm, benchmarks=("chain",), **took) for arm in ("base", "cd")]
    (made,) = build_boards(arms, scores)
    assert rows_of(made)["cd"].uses.memory_per_answer == 1_400_000 + 10 * 2048
    assert "| cd | 2 | 2.00 | 10.0 | no | none | 1.4 MB |" in boards_to_markdown([made])
    lines = {line["arm"]: line for line in csv.DictReader(io.StringIO(boards_to_csv([made])))}
    assert (lines["cd"]["weight_bytes"], lines["cd"]["cache_bytes_per_token"]) == ("1400000", "2048")
    assert lines["base"]["weight_bytes"] == ""
    points = points_of(made.groups, HOLDING, "chain")
    assert [(point.group.rows[0].arm, point.cost) for point in points] == [("cd", 1_420_480)]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (3_534_000, "3.5 MB"), (2.5e13, "25.0 TB")],
)
def test_bytes_are_told_in_powers_of_ten(count: float, text: str) -> None:
    assert bytes_text(count) == text


def test_samples_that_were_outvoted_are_passes_of_the_answer(board: Callable[[Given], Board]) -> None:
    took = {"tokens": 40, "written": 300, "passes": {"own": 300}}
    uses = rows_of(board({"vote": (VOTE, took)}))["vote"].uses
    assert (uses.models_at_test, uses.passes_per_token, uses.tokens_per_answer) == (1, 7.5, 10)


def test_a_model_without_a_say_is_not_read(board: Callable[[Given], Board]) -> None:
    alone = {"answer": {"mix": {"expert": 1.0, "amateur": 0.0}}}
    assert rows_of(board({"alone": (alone, PLAIN)}))["alone"].uses.models_at_test == 1


def test_what_is_not_recorded_is_not_made_up(
    board: Callable[[Given], Board], score_record: MakeScore
) -> None:
    rows = rows_of(board({"base": ({}, {}), "cd": (CD, {}), "odd": ({"answer": {"oracle": 1}}, {})}))
    assert rows["base"].uses == Uses(False, (), 1, 1.0, None)
    assert rows["cd"].uses == Uses(False, (), 2, None, None)
    assert rows["odd"].uses == Uses()
    (unknown,) = build_boards([], [score_record("chain", "10", benchmarks=("chain",))])
    assert unknown.rows[0].uses == Uses()


def test_a_board_of_arms_that_use_the_pair_alone_says_nothing_of_it(board: Callable[[Given], Board]) -> None:
    plain = board({"base": ({}, PLAIN), "lightr": (CONTRAST, PLAIN)})
    assert TOOK not in shown(plain)
    assert TOOK not in boards_to_markdown([plain])
    assert TOOK[1:] not in boards_to_latex([plain])


@pytest.mark.parametrize("width", [72, 200])
def test_a_board_with_others_says_it_of_all_in_any_window(
    board: Callable[[Given], Board], width: int
) -> None:
    took = {"tokens": 40, "written": 40, "passes": {"arm:sft": 40, "expert": 40, "peer": 40}}
    text = shown(board({"base": ({}, PLAIN), "moved": (MOVED, took), "sft": (OWN_SOLUTIONS, PLAIN)}), width)
    lines = [line.split() for line in text.split(TOOK)[1].splitlines()]
    assert ["base", "1", "1.00", "10.0", "no", "none"] in lines
    assert ["moved", "3", "3.00", "10.0", "yes", "peer"] in lines
    assert all(len(line) <= width for line in text.splitlines())


def test_markdown_latex_and_csv_say_the_same(board: Callable[[Given], Board]) -> None:
    took = {"tokens": 40, "written": 40, "passes": {"amateur": 10, "expert": 40}}
    made = board({"base": ({}, {}), "cd": (CD, took)})
    assert "| cd | 2 | 1.25 | 10.0 | no | none |" in boards_to_markdown([made])
    assert "cd & 2 & 1.25 & 10.0 & no & none" in boards_to_latex([made])
    lines = list(csv.DictReader(io.StringIO(boards_to_csv([made]))))
    names = (
        *("uses_labels", "labels_to_choose", "other_models"),
        *("models_at_test", "passes_per_token", "tokens_per_answer"),
    )
    assert tuple(lines[0])[-6:] == names
    found = {line["arm"]: [line[name] for name in names] for line in lines}
    assert found == {"base": ["False", "", "", "1", "1", ""], "cd": ["False", "", "", "2", "1.25", "10"]}


def test_names_of_models_are_text_wherever_they_stand(board: Callable[[Given], Board]) -> None:
    odd = {"answer": {"mix": {"=cmd()|[red]": 1.0, "expert": 1.0}}}
    made = board({"odd": (odd, PLAIN)})
    assert "[red]" in shown(made)
    assert "\\[red\\]" in boards_to_markdown([made])
    assert "{[}red{]}" in boards_to_latex([made])
    (line, *_) = csv.DictReader(io.StringIO(boards_to_csv([made])))
    assert not line["other_models"].startswith("=")
