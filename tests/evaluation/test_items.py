"""Which items are measured: all, the first, or a list; read as they are needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrbench.data.access import open_set
from lrbench.data.sets import TRAINING_SETS
from lrbench.embedded.assets import problems
from lrbench.errors import DataError
from lrbench.evaluation.items import ItemSet, check_listed, choose_items
from lrbench.suites.declaration import SuiteDeclaration
from lrbench.suites.suite import named_suite, shipped_suite

EMBEDDED7, MATH7 = shipped_suite("embedded7"), shipped_suite("math7")
IDS = [row["id"] for row in problems("hard", "test")]


def test_all_items_are_measured_unless_something_else_is_said() -> None:
    items = choose_items(EMBEDDED7["hard"], None)
    assert list(items.ids) == IDS
    assert [row["id"] for row in items] == IDS
    assert (items.limit, items.listed) == (None, False)


def test_a_limit_takes_the_first_ones() -> None:
    items = choose_items(EMBEDDED7["hard"], None, limit=7)
    assert [row["id"] for row in items] == IDS[:7]
    assert choose_items(EMBEDDED7["hard"], None, limit=100_000).ids == tuple(IDS)


@pytest.mark.parametrize("limit", [500, 100_000])
def test_a_limit_that_leaves_nothing_out_is_none(limit: int) -> None:
    assert choose_items(EMBEDDED7["hard"], None, limit=limit) == choose_items(EMBEDDED7["hard"], None)


def test_a_list_takes_its_items_in_the_benchmarks_order() -> None:
    items = choose_items(EMBEDDED7["hard"], None, listed=[IDS[9], IDS[2], "choice-test-1"])
    assert [row["id"] for row in items] == [IDS[2], IDS[9]]
    assert items.listed


def test_hashes_tell_the_chosen_items_and_the_whole_set_apart() -> None:
    whole, some = choose_items(EMBEDDED7["hard"], None), choose_items(EMBEDDED7["hard"], None, limit=5)
    listed = choose_items(EMBEDDED7["hard"], None, listed=IDS[:5])
    assert whole.items_hash == whole.data_hash == some.data_hash
    assert some.items_hash == listed.items_hash != whole.items_hash
    assert choose_items(EMBEDDED7["formal"], None).data_hash != whole.data_hash


def test_a_listed_item_that_is_not_there_is_told() -> None:
    sets = [choose_items(EMBEDDED7["hard"], None, listed=["hard-test-1", "hard-tset-2"])]
    with pytest.raises(DataError) as caught:
        check_listed(["hard-test-1", "hard-tset-2"], sets)
    assert str(caught.value) == (
        "evaluation.items: `hard-tset-2` is no item of hard; did you mean `hard-test-2`?"
    )


def test_a_benchmark_without_a_listed_item_is_told() -> None:
    listed = ["hard-test-1"]
    sets = [choose_items(EMBEDDED7[name], None, listed=listed) for name in ("hard", "formal")]
    check_listed(listed, sets[:1])
    with pytest.raises(
        DataError, match="lists no item of formal; list one, or name the benchmarks to measure"
    ):
        check_listed(listed, sets)


def test_rows_are_read_while_they_are_measured_and_not_kept(shared: Path) -> None:
    items = choose_items(MATH7["math"], str(shared / "data"), limit=3)
    assert [row["id"] for row in items] == ["math-test-0", "math-test-1", "math-test-2"]
    assert not isinstance(items.rows, list)


@pytest.mark.parametrize("suite", ["math7", "mmlu_stem_5shot"])
def test_the_published_benchmarks_have_their_sizes(shared: Path, suite: str) -> None:
    sizes = [len(choose_items(each, str(shared / "data"))) for each in shipped_suite(suite).benchmarks]
    assert sizes == {"math7": [1319, 5000, 1000, 2215, 272, 675, 3018], "mmlu_stem_5shot": [3018]}[suite]


def test_settings_can_be_chosen_on_training_problems(shared: Path) -> None:
    declared = {"benchmarks": {"later": {"data": "gsm8k/train", "grader": {"use": "maths", "like": "gsm8k"}}}}
    (benchmark,) = named_suite(SuiteDeclaration.model_validate(declared)).benchmarks
    items = choose_items(benchmark, str(shared / "data"), None, ["gsm8k-train-7470", "gsm8k-train-7472"])
    published = open_set(TRAINING_SETS["gsm8k/train"], str(shared / "data"))
    assert list(items) == [row for row in published if row["id"] in items.ids]
    assert len(items) == 2


def test_a_benchmark_of_another_content_is_refused(tmp_path: Path) -> None:
    row = {"id": "svamp-test-0", "problem": "p", "answer": "1", "solution": None}
    (tmp_path / "svamp_test.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match="expected 1000 rows with content hash 422532116c5c, found 1 with"):
        choose_items(MATH7["svamp"], str(tmp_path))


def test_items_describe_themselves_without_their_rows() -> None:
    assert "problem" not in repr(choose_items(EMBEDDED7["hard"], None, limit=1)).replace("problems", "")
    assert isinstance(choose_items(EMBEDDED7["hard"], None, limit=1), ItemSet)
