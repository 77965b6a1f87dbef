"""Training problems of several sources: what is read, how much of each, and what is said of mistakes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from lrbench.errors import DataError
from lrbench.recipe.schema import Data
from lrbench.sampling.problems import Problems, load_held_out, load_problems, shares


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def load(train: Any, problems: int, **said: Any) -> Problems:
    return load_problems(Data.model_validate({"train": train, "problems": problems} | said))


@given(
    st.integers(1, 500),
    st.lists(st.fractions(min_value=Fraction(1, 50), max_value=50), min_size=1, max_size=6),
)
def test_shares_are_whole_complete_and_never_one_away_from_exact(count: int, weights: list[Fraction]) -> None:
    given_out = shares(count, weights)
    exact = [count * weight / sum(weights) for weight in weights]
    assert sum(given_out) == count
    assert all(abs(share - right) < 1 for share, right in zip(given_out, exact, strict=True))
    # Largest remainder: whoever was rounded up has no smaller remainder than whoever was not.
    up = [right - int(right) for share, right in zip(given_out, exact, strict=True) if share > right]
    down = [right - int(right) for share, right in zip(given_out, exact, strict=True) if share < right]
    assert not up or not down or min(up) >= max(down)


def test_every_kind_of_file_is_read_with_its_own_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,target\na?,1\n")
    (tmp_path / "b.json").write_text('[{"problem": "b?", "answer": 2, "solution": "so 2"}]')
    parquet.write_table(pyarrow.table({"problem": ["c?"], "uid": ["x"]}), tmp_path / "c.parquet")
    train = [
        {"file": str(tmp_path / "a.csv"), "fields": {"problem": "question", "answer": "target"}},
        str(tmp_path / "b.json"),
        {"file": str(tmp_path / "c.parquet"), "fields": {"id": "uid"}},
    ]
    found = load(train, 3)
    assert found.texts == ["a?", "b?", "c?"]
    assert found.answers == ["1", "2", None]
    assert found.solutions == [None, "so 2", None]
    # Rows without ids are numbered in each file; the second file's number is taken.
    assert found.ids == ["1", "2/1", "x"]
    assert found.place(0) == f"{tmp_path / 'a.csv'}:2"


def test_a_list_of_one_file_is_what_the_file_is(tmp_path: Path) -> None:
    file = lines(tmp_path / "p.jsonl", [{"problem": f"{n}?", "answer": str(n)} for n in range(9)])
    for selection in ("first", "sample"):
        alone, listed = load(file, 5, selection=selection), load([file], 5, selection=selection)
        assert (alone.texts_hash, alone.answers_hash) == (listed.texts_hash, listed.answers_hash)
        assert alone.ids == listed.ids


def test_neither_names_nor_kinds_of_files_decide_what_is_asked(tmp_path: Path) -> None:
    rows = [{"problem": "a?"}, {"problem": "b?"}]
    (tmp_path / "b.json").write_text(json.dumps(rows))
    first = load([{"file": lines(tmp_path / "a.jsonl", rows)}], 2)
    assert first.texts_hash == load(str(tmp_path / "b.json"), 2).texts_hash


def test_weights_say_how_much_of_each_is_drawn_and_any_beginning_is_in_proportion(tmp_path: Path) -> None:
    files = [
        lines(tmp_path / f"{x}.jsonl", [{"id": f"{x}{n}", "problem": f"{x}{n}?"} for n in range(40)])
        for x in "ab"
    ]
    train = [{"file": files[0], "weight": 3}, {"file": files[1]}]
    ids = load(train, 40).ids
    assert [one for one in ids if one.startswith("a")] == [f"a{n}" for n in range(30)]
    assert [one for one in ids if one.startswith("b")] == [f"b{n}" for n in range(10)]
    for length in range(1, 41):
        assert abs(sum(one.startswith("a") for one in ids[:length]) - 0.75 * length) <= 1
    sampled = load(train, 40, selection="sample", seed=3).ids
    alone = load(files[0], 30, selection="sample", seed=3).ids
    assert [one for one in sampled if one.startswith("a")] == alone


def test_held_out_problems_come_from_every_source_and_are_not_learnt_from(tmp_path: Path) -> None:
    train = [
        lines(tmp_path / f"{x}.jsonl", [{"id": f"{x}{n}", "problem": "?", "solution": "s"} for n in range(9)])
        for x in "ab"
    ]
    data = Data.model_validate({"train": train, "problems": 8, "held_out": 4, "selection": "sample"})
    learnt, held_out = load_problems(data).ids, load_held_out(data).ids
    assert not set(learnt) & set(held_out)
    assert sorted(one[0] for one in held_out) == ["a", "a", "b", "b"]


def test_answers_of_each_source_are_checked_by_its_own_rules(tmp_path: Path) -> None:
    file = lines(tmp_path / "p.jsonl", [{"problem": "a?", "answer": "1"}])
    mixed = load([file, "embedded/multi_step"], 2)
    assert mixed.checked_as == ["math", "multi_step"]
    assert sorted(mixed.checker_versions) == ["math", "multi_step"]
    assert load([file], 1).checked_as == "math"
    with pytest.raises(DataError, match=r"different ways \(math, multi_step\).*set data.train to one"):
        _ = mixed.benchmark


@pytest.mark.parametrize(
    ("rows", "fields", "told"),
    [
        ([{"question": "a"}], {}, r"p\.jsonl:1: has no `problem`; its fields are `question`"),
        ([{"problem": "a"}], {"answer": "target"}, r"p\.jsonl:1: has no `target`"),
        ([{"problem": " "}], {}, r"p\.jsonl:1: `problem` is empty"),
        ([{"problem": "a"}, {"problem": []}], {}, r"p\.jsonl:2: `problem` has to be text or a number"),
        (
            [{"problem": "a", "id": 1}, {"problem": "b", "id": "1"}],
            {},
            r"p\.jsonl:2: the id 1 is that of .*p\.jsonl:1 already",
        ),
        ([], {}, r"p\.jsonl: has no problems; each row needs a `problem`"),
    ],
)
def test_rows_that_cannot_be_used_are_named(
    tmp_path: Path, rows: list[dict[str, Any]], fields: dict[str, str], told: str
) -> None:
    file = lines(tmp_path / "p.jsonl", rows)
    with pytest.raises(DataError, match=told):
        load([{"file": file, "fields": fields}], 1)


def test_a_field_that_is_named_may_be_null_in_a_row(tmp_path: Path) -> None:
    file = lines(tmp_path / "p.jsonl", [{"problem": "a", "target": None}])
    assert load([{"file": file, "fields": {"answer": "target"}}], 1).answers == [None]


def test_a_kind_of_file_that_is_not_known_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a")
    with pytest.raises(
        DataError, match=r"p\.txt: is of an unknown kind; allowed are files that end in \.jsonl"
    ):
        load([{"file": str(tmp_path / "p.txt")}], 1)


def test_the_source_that_is_short_is_named(tmp_path: Path) -> None:
    short = lines(tmp_path / "short.jsonl", [{"problem": "a"}])
    with pytest.raises(
        DataError, match=r"data.problems: .*short\.jsonl has 1 problems, and 3 are asked for, its"
    ):
        load(["embedded/multi_step", short], 6)
    with pytest.raises(
        DataError, match=r"data.held_out: .*short\.jsonl has 1 problems, .* and 1 more are asked"
    ):
        load(["embedded/multi_step", short], 2, held_out=2)


def test_ids_that_collide_with_their_number_too_are_refused(tmp_path: Path) -> None:
    first = lines(tmp_path / "a.jsonl", [{"id": "x", "problem": "a"}, {"id": "2/x", "problem": "b"}])
    second = lines(tmp_path / "b.jsonl", [{"id": "x", "problem": "c"}])
    with pytest.raises(DataError, match=r"b\.jsonl:1: the id x is that of an earlier source, and so is 2/x"):
        load([first, second], 2)
