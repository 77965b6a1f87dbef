from __future__ import annotations

import json
from collections import Counter

import pytest

from lrbench.embedded import assets, families, problem_sets
from lrbench.embedded.arithmetic import Step
from lrbench.embedded.corpus import split_of
from lrbench.embedded.families import BUILDERS, Question
from lrbench.embedded.problem_sets import problem_set, size, small_talk_set, write_problem_sets
from lrbench.embedded.solutions import REGISTERS
from lrbench.errors import DataError


@pytest.mark.parametrize("family", BUILDERS)
def test_a_test_set_has_five_hundred_different_questions(family):
    found = problem_set(family, "test", size(family, "test"))
    assert len({problem["meta"]["question"] for problem in found}) == len(found) == 500


def test_the_tuned_family_has_the_largest_training_set():
    assert size("multi_step", "train") == 1024
    assert {size(family, "train") for family in BUILDERS if family != "multi_step"} == {512}


@pytest.mark.parametrize("split", ["train", "test"])
def test_registers_are_spread_evenly(split):
    counts = Counter(problem["meta"]["register"] for problem in problem_set("multi_step", split, 256))
    assert set(counts) == set(REGISTERS)
    assert set(counts.values()) == {32}


def test_a_problem_is_its_register_and_its_question():
    for problem in problem_set("choice", "test", 20):
        meta = problem["meta"]
        assert problem["problem"] == REGISTERS[meta["register"]].prefix + meta["question"]
        assert problem["solution"].endswith(rf"\boxed{{{problem['answer']}}}.")
        assert meta["steps"][-1].endswith(f"={problem['answer']}")


def test_a_smaller_set_is_the_beginning_of_a_larger_one():
    assert problem_set("formula", "test", 100)[:40] == problem_set("formula", "test", 40)


def test_a_family_that_runs_dry_says_so_instead_of_looking_for_ever(monkeypatch):
    def meagre(rng):
        text = f"What is {rng.randint(1, 40)}?"
        return Question("meagre", text, text, (Step(1, "+", 1),))

    monkeypatch.setitem(families.BUILDERS, "meagre", meagre)
    with pytest.raises(
        DataError, match=r"family meagre has only \d+ different questions in train, 100 are wanted"
    ):
        problem_set("meagre", "train", 100)


def test_what_ships_is_what_the_program_generates(tmp_path):
    write_problem_sets(tmp_path)
    for family in BUILDERS:
        for split in ("train", "test"):
            file = assets.problems_file(family, split)
            assert (tmp_path / file.name).read_bytes() == file.read_bytes()
            first = json.loads(file.read_text().splitlines()[0])
            assert first["id"] == f"{family}-{split}-0"
            assert len(assets.problems(family, split)) == problem_sets.size(family, split)
    shipped = {file.name: file.read_bytes() for file in (assets.ROOT / "problems").iterdir()}
    assert shipped == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_small_talk_is_answered_by_how_its_reply_begins():
    found = list(small_talk_set(100))
    assert len({row["problem"] + row["solution"] for row in found}) == 100
    for row in found:
        assert row["solution"].startswith(row["answer"] + " ")
        assert len(row["answer"].split()) == 2
        assert split_of(f"{row['problem']} {row['solution']}") == "test"
    assert len({row["answer"] for row in found}) == 8


def test_more_small_talk_than_there_is_is_refused():
    with pytest.raises(DataError, match=r"only \d+ different ones are found, 400 are wanted"):
        list(small_talk_set(400))
