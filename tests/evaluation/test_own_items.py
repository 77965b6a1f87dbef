"""Items of one's own file: what rows become, and every mistake with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError
from lrbench.evaluation.items import choose_items
from lrbench.evaluation.own_items import own_rows
from lrbench.evaluation.prompts import user_turn, worked_examples
from lrbench.suites.declaration import SuiteDeclaration
from lrbench.suites.suite import Benchmark, suite_of


class Evaluation:
    """As a recipe has it."""

    def __init__(self, suite: SuiteDeclaration) -> None:
        self.suite = suite
        self.benchmarks = None
        self.lm_eval = None


def benchmark(folder: Path, rows: list[Any] | str, **said: Any) -> Benchmark:
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "a.jsonl").write_text(text)
    declared = {"file": str(folder / "a.jsonl"), "grader": "maths"} | said
    return suite_of(Evaluation(SuiteDeclaration.model_validate({"benchmarks": {"mine": declared}})))["mine"]


def test_rows_are_read_as_the_field_map_says(tmp_path: Path) -> None:
    rows = [
        {"uid": 7, "question": "1+1?", "target": 2, "of": "sums"},
        {"uid": "b", "question": "2.5?", "target": 2.5, "of": 3},
    ]
    names = {"problem": "question", "answer": "target", "id": "uid", "group": "of"}
    assert own_rows(benchmark(tmp_path, rows, fields=names)) == (
        {"id": "7", "problem": "1+1?", "answer": "2", "solution": None, "group": "sums"},
        {"id": "b", "problem": "2.5?", "answer": "2.5", "solution": None, "group": "3"},
    )


def test_items_without_an_id_are_called_by_their_number(tmp_path: Path) -> None:
    mine = benchmark(tmp_path, '{"problem": "a", "answer": 1}\n\n{"problem": "b", "answer": 2}\n')
    assert [row["id"] for row in own_rows(mine)] == ["1", "2"]


@pytest.mark.parametrize(
    ("answer", "letter"), [("B", "B"), ("Paris", "B"), (1, "B"), (0, "A"), ("Oslo", "C")]
)
def test_choices_are_shown_and_gold_becomes_a_letter(tmp_path: Path, answer: object, letter: str) -> None:
    rows = [{"problem": "Capital?", "choices": ["Rome", "Paris", "Oslo"], "answer": answer}]
    mine = benchmark(tmp_path, rows, fields={"choices": "choices"}, grader="choice")
    (row,) = own_rows(mine)
    assert row["problem"] == "Capital?\nAnswer Choices: (A) Rome (B) Paris (C) Oslo"
    assert row["answer"] == letter


CHOICES = {"fields": {"choices": "choices"}, "grader": "choice"}


@pytest.mark.parametrize(
    ("rows", "said", "told"),
    [
        (
            [{"problem": "a", "answer": 1}, {"problem": "b"}],
            {},
            ":2: has no `answer`; its fields are `problem`;",
        ),
        (
            [{"problem": "a", "answr": 1}],
            {},
            ":1: has no `answer`; its fields are `problem`, `answr`; did you mean",
        ),
        ([{"problem": "a", "answer": None}], {}, ":1: has no `answer`"),
        ([{"problem": " ", "answer": 1}, {"problem": "b"}], {}, "a.jsonl:2: has no `answer`; its fields are"),
        ([{"problem": " ", "answer": 1}], {}, ":1: `problem` is empty"),
        ([{"problem": ["a"], "answer": 1}], {}, ":1: `problem` has to be text or a number, found a list"),
        ([{"problem": "a", "answer": True}], {}, ":1: `answer` has to be text or a number, found true"),
        ([{"id": 1, "problem": "a", "answer": 1}] * 2, {}, "a.jsonl:1 already"),
        (
            [{"problem": "a", "answer": ""}],
            {},
            ':1: the gold answer `answer` is the text "", which is empty; the grader `maths`',
        ),
        (
            [{"problem": "a", "answer": "x"}],
            {"grader": "integer"},
            "which is no whole number; the grader `integer`",
        ),
        ([], {}, "a.jsonl: has no items; each row needs a `problem`"),
        ("[1, 2]\n", {}, ":1: is no object"),
        ([{"problem": "a", "answer": "D", "choices": ["x", "y"]}], CHOICES, "which is none of the choices"),
        (
            [{"problem": "a", "answer": 2, "choices": ["x", "y"]}],
            CHOICES,
            "2 is none of the choices, of which there are 2",
        ),
        (
            [{"problem": "a", "answer": 1, "choices": ["1", "2"]}],
            CHOICES,
            "1 may be a choice's number or its text",
        ),
        (
            [{"problem": "a", "answer": "A", "choices": ["B", "A"]}],
            CHOICES,
            "is one choice's letter and another one's text",
        ),
        (
            [{"problem": "a", "answer": "A", "choices": ["x", "x"]}],
            CHOICES,
            'has the choice the text "x" twice',
        ),
        (
            [{"problem": "a", "answer": "A", "choices": ["x"]}],
            CHOICES,
            "a list of 2 to 20 choices, found a list of 1",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, rows: Any, said: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        own_rows(benchmark(tmp_path, rows, **said))
    assert str(caught.value).startswith(str(tmp_path / "a.jsonl"))
    assert told in str(caught.value)


def test_examples_come_before_the_problem_in_the_same_prompt(tmp_path: Path) -> None:
    (tmp_path / "shots.csv").write_text("problem,steps\n1+1?,It is 2.\n2+2?,It is 4.\n3+3?,It is 6.\n")
    examples = {"file": str(tmp_path / "shots.csv"), "count": 2, "fields": {"answer": "steps"}}
    mine = benchmark(tmp_path, [{"problem": "5+5?", "answer": 10}], examples=examples, prompt="Q: {problem}")
    shown = worked_examples(mine, None)
    assert user_turn("5+5?", shown, mine.prompt) == "Q: 1+1?\nIt is 2.\n\nQ: 2+2?\nIt is 4.\n\nQ: 5+5?"
    with pytest.raises(DataError, match="has 3 worked examples, and 4 are asked for"):
        worked_examples(benchmark(tmp_path, [], examples=examples | {"count": 4}), None)


def test_hashes_are_of_the_content_and_not_of_the_file(tmp_path: Path) -> None:
    rows = [{"id": "a", "problem": "x", "answer": "1"}, {"id": "b", "problem": "y", "answer": "2"}]
    first = choose_items(benchmark(tmp_path, rows), None)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "b.csv").write_text("uid,q,answer\na,x,1\nb,y,2\n")
    names = {"problem": "q", "id": "uid"}
    second = choose_items(benchmark(other, rows, file=str(other / "b.csv"), fields=names), None)
    assert (second.data_hash, second.ids) == (first.data_hash, first.ids)
    for changed in ({"id": "c"}, {"problem": "z"}, {"answer": "3"}):
        assert (
            choose_items(benchmark(tmp_path, [rows[0], rows[1] | changed]), None).data_hash != first.data_hash
        )
    grouped = benchmark(tmp_path, [row | {"of": "g"} for row in rows], fields={"group": "of"})
    assert choose_items(grouped, None).data_hash != first.data_hash
