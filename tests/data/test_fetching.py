"""What the sources give, read in every form they come in; the real rows become the real sets."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lrbench.data.access import open_examples, open_set
from lrbench.data.fetching import fetch_examples, fetch_rows
from lrbench.data.sets import DATA_SETS, MMLU_STEM_EXAMPLES
from lrbench.errors import DataError
from tests.data.support import jsonl
from tests.data.test_rules import reference_rows, source_row

MATH_TRAIN = DATA_SETS["math_train"]


def archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"agents-e8c4e3c/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def problem_file(problem: str) -> bytes:
    return json.dumps({"problem": problem, "solution": r"\boxed{1}"}).encode()


@pytest.mark.parametrize("name", [name for name in DATA_SETS if name != "math_train"])
def test_source_files_become_the_verified_sets(shared: Path, network: dict[str, bytes], name: str) -> None:
    rows = [source_row(row) for row in reference_rows(shared / "data", name)]
    network[DATA_SETS[name].source.url] = jsonl(rows).encode()
    assert sum(1 for _ in open_set(DATA_SETS[name], None)) == DATA_SETS[name].rows


def test_the_files_of_math_train_become_the_verified_set(shared: Path, network: dict[str, bytes]) -> None:
    rows = [source_row(row) for row in reference_rows(shared / "data", "math_train")]
    files = {MATH_TRAIN.source.path + row["path"].removeprefix("train/"): json.dumps(row) for row in rows}
    network[MATH_TRAIN.source.url] = archive({name: text.encode() for name, text in sorted(files.items())})
    assert sum(1 for _ in open_set(MATH_TRAIN, None)) == 7500


def test_worked_examples_are_read_from_python_without_running_it(
    shared: Path, network: dict[str, bytes]
) -> None:
    pairs = open_examples(MMLU_STEM_EXAMPLES, str(shared / "data"))
    network[MMLU_STEM_EXAMPLES.source.url] = (
        "raise SystemExit\n"
        "def get_examples():\n"
        "    examples = {}\n"
        "    examples['gsm8k'] = [('a', 'b')]\n"
        f"    examples['mmlu_stem'] = {pairs!r}\n"
        "    return examples\n"
    ).encode()
    assert open_examples(MMLU_STEM_EXAMPLES, None) == pairs


def test_files_of_an_archive_are_ordered_by_subject_and_number(network: dict[str, bytes]) -> None:
    folder = MATH_TRAIN.source.path
    network[MATH_TRAIN.source.url] = archive(
        {
            f"{folder}geometry/2.json": problem_file("third"),
            f"{folder}algebra/10.json": problem_file("second"),
            f"{folder}algebra/9.json": problem_file("first"),
            f"{folder}algebra/notes.txt": b"not a problem",
            f"{folder.replace('train', 'test')}algebra/1.json": problem_file("of the test set"),
            "algebra/3.json": problem_file("elsewhere"),
        }
    )
    rows = fetch_rows(MATH_TRAIN)
    assert [row["problem"] for row in rows] == ["first", "second", "third"]
    assert [row["id"] for row in rows] == ["math-train-0", "math-train-1", "math-train-2"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gsm8k_test", b"<html>Not found</html>"),
        ("gsm8k_test", b'{"question": "1+1?"}'),
        ("gsm8k_test", b"[1]"),
        ("mmlu_stem_test", b'{"question": "a", "choices": ["b"], "answer": 0}'),
        ("olympiadbench_test", b'{"question": "a", "final_answer": [], "solution": []}'),
        ("math_train", b"not an archive"),
        ("gsm8k_test", b"\xff"),
    ],
)
def test_a_source_that_gives_something_else_is_told(
    network: dict[str, bytes], name: str, body: bytes
) -> None:
    network[DATA_SETS[name].source.url] = body
    with pytest.raises(DataError, match=f"is not the {name} that was expected"):
        fetch_rows(DATA_SETS[name])


@pytest.mark.parametrize("text", ["examples['gsm8k'] = []", "def (", "examples['mmlu_stem'] = run()", "\0"])
def test_examples_that_are_not_there_are_told(network: dict[str, bytes], text: str) -> None:
    network[MMLU_STEM_EXAMPLES.source.url] = text.encode()
    with pytest.raises(DataError, match="is not the mmlu_stem_5shot that was expected"):
        fetch_examples(MMLU_STEM_EXAMPLES)


def test_sources_are_pinned_to_whole_commits() -> None:
    sources: list[Any] = [*DATA_SETS.values(), MMLU_STEM_EXAMPLES]
    for data_set in sources:
        assert len(data_set.source.commit) == 40
        assert data_set.source.commit in data_set.source.url
