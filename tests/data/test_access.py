"""Data sets are found, fetched once, and refused unless they are the right ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lrbench.data.access import open_examples, open_set, require
from lrbench.data.sets import DATA_SETS, MMLU_STEM_EXAMPLES
from lrbench.errors import DataError
from tests.data.support import ROWS, described, jsonl

GSM8K = DATA_SETS["gsm8k_test"]
RIGHT = described(ROWS)
SOURCE_ROWS = [
    {"question": "1+1?", "answer": "1+1=2\n#### 2"},
    {"question": "2+2?", "answer": "2+2=4\n#### 4"},
]


def test_every_data_set_has_its_published_size_and_the_content_it_had(shared: Path) -> None:
    sizes = {
        name: sum(1 for _ in open_set(data_set, str(shared / "data"))) for name, data_set in DATA_SETS.items()
    }
    assert sizes == {
        "gsm8k_test": 1319,
        "math_test": 5000,
        "svamp_test": 1000,
        "asdiv_test": 2215,
        "minerva_math_test": 272,
        "olympiadbench_test": 675,
        "mmlu_stem_test": 3018,
        "gsm8k_train": 7473,
        "math_train": 7500,
    }


def test_the_worked_examples_are_the_five_of_the_reference_data(shared: Path) -> None:
    pairs = open_examples(MMLU_STEM_EXAMPLES, str(shared / "data"))
    assert [answer[-16:] for _, answer in pairs] == [f"e answer is ({letter})." for letter in "DDDCC"]


@pytest.mark.parametrize("name", ["gsm8k_test.jsonl", "gsm8k_test.jsonl.gz"])
def test_a_folder_is_used_plain_or_gzipped(tmp_path: Path, name: str) -> None:
    text = jsonl(ROWS).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert list(open_set(RIGHT, str(tmp_path))) == ROWS


def test_rows_can_be_read_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "gsm8k_test.jsonl").write_text(jsonl(ROWS))
    opened = open_set(RIGHT, str(tmp_path))
    assert list(opened) == list(opened)


def test_the_variable_names_the_folder_and_a_recipe_overrules_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gsm8k_test.jsonl").write_text(jsonl(ROWS))
    monkeypatch.setenv("LRBENCH_DATA", str(tmp_path / "one"))
    assert open_set(RIGHT, None).path.parent.name == "one"
    assert open_set(RIGHT, str(tmp_path / "two")).path.parent.name == "two"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (ROWS[:1], "found 1 with"),
        ([ROWS[0], {**ROWS[1], "answer": "yes"}], "found 2 with"),
        ([*reversed(ROWS)], "found 2 with"),
    ],
)
def test_another_content_is_refused(tmp_path: Path, rows: list[object], found: str) -> None:
    file = tmp_path / "gsm8k_test.jsonl"
    file.write_text(jsonl(rows))
    expected = f"expected 2 rows with content hash {RIGHT.content_hash[:12]}, {found}"
    with pytest.raises(
        DataError, match=f"gsm8k_test.jsonl: is not the gsm8k_test .*{expected}.*get it again"
    ):
        open_set(RIGHT, str(tmp_path))


@pytest.mark.parametrize(
    "row", [["a"], {"id": "x", "problem": "p"}, {**ROWS[0], "answer": 2}, {**ROWS[0], "solution": 1}]
)
def test_a_line_that_is_no_row_is_told(tmp_path: Path, row: object) -> None:
    (tmp_path / "gsm8k_test.jsonl").write_text(jsonl([ROWS[0], row]))
    with pytest.raises(
        DataError, match=r"gsm8k_test\.jsonl:2: each line must be an object with the texts id"
    ):
        open_set(RIGHT, str(tmp_path))


def test_a_folder_without_the_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"\(runtime.data_root\) has no gsm8k_test.jsonl or gsm8k_test.jsonl.gz"
    ):
        open_set(GSM8K, str(tmp_path))
    monkeypatch.setenv("LRBENCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(
        DataError, match=r"nowhere \(LRBENCH_DATA\) is no folder, .*set LRBENCH_DATA to the folder"
    ):
        open_set(GSM8K, None)


def test_worked_examples_of_another_content_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mmlu_stem_5shot.json").write_text(json.dumps([{"question": "a", "answer": "b"}]))
    with pytest.raises(DataError, match=r"is not the mmlu_stem_5shot .* expected 5 rows .* found 1 with"):
        open_examples(MMLU_STEM_EXAMPLES, str(tmp_path))
    for content in ("[1]", "[" * 100_000, '[{"question": "\\ud83d", "answer": "b"}]', "[NaN]"):
        (tmp_path / "mmlu_stem_5shot.json").write_text(content)
        with pytest.raises(DataError, match="is no list of objects with question and answer"):
            open_examples(MMLU_STEM_EXAMPLES, str(tmp_path))


class TestFetching:
    right = described(
        [
            {"id": "gsm8k-test-0", "problem": "1+1?", "answer": "2", "solution": "1+1=2"},
            {"id": "gsm8k-test-1", "problem": "2+2?", "answer": "4", "solution": "2+2=4"},
        ]
    )

    def test_a_set_is_fetched_once_and_kept(self, network: dict[str, bytes]) -> None:
        network[self.right.source.url] = jsonl(SOURCE_ROWS).encode()
        first = list(open_set(self.right, None))
        network.clear()
        assert list(open_set(self.right, None)) == first
        assert [row["answer"] for row in first] == ["2", "4"]

    def test_a_source_with_another_content_is_refused_and_nothing_kept(
        self, network: dict[str, bytes], tmp_path: Path
    ) -> None:
        network[self.right.source.url] = jsonl(SOURCE_ROWS[:1]).encode()
        with pytest.raises(DataError, match=r"(?s)https://raw.* is not the gsm8k_test .* found 1 with"):
            open_set(self.right, None)
        assert not list(tmp_path.rglob("*.jsonl*"))

    def test_a_file_damaged_in_the_cache_is_refused(self, network: dict[str, bytes], tmp_path: Path) -> None:
        network[self.right.source.url] = jsonl(SOURCE_ROWS).encode()
        kept = open_set(self.right, None).path
        kept.write_bytes(gzip.compress(jsonl(ROWS).encode()))
        with pytest.raises(DataError, match="is not the gsm8k_test"):
            open_set(self.right, None)

    @pytest.mark.usefixtures("network")
    def test_without_a_network_the_message_says_what_to_set(self) -> None:
        with pytest.raises(DataError) as caught:
            open_set(self.right, None)
        assert str(caught.value) == (
            "the data set gsm8k_test is not on this machine. Set LRBENCH_DATA or runtime.data_root to a "
            "folder that holds it, or give access to the network.\n"
            f"  {self.right.source.url}: cannot be fetched (<urlopen error no route to host>)"
        )

    def test_offline_nothing_is_asked_for(
        self, network: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network[self.right.source.url] = jsonl(SOURCE_ROWS).encode()
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DataError, match=r"(?s)Set LRBENCH_DATA .*HF_HUB_OFFLINE is set"):
            open_set(self.right, None)


class TestRequiring:
    def test_what_is_here_needs_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lrbench.data.fetching.check_reachable", lambda _: pytest.fail("was asked"))
        (tmp_path / "gsm8k_test.jsonl").write_text(jsonl(ROWS))
        require([GSM8K], str(tmp_path))

    def test_what_can_be_fetched_is_not_fetched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (tmp_path / "x").open("w"))
        require([GSM8K, MMLU_STEM_EXAMPLES], None)
        assert not list(tmp_path.rglob("*.jsonl*"))

    def test_what_is_out_of_reach_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError("Name or service not known")

        monkeypatch.setattr("urllib.request.urlopen", refuse)
        with pytest.raises(DataError, match=r"(?s)gsm8k_test is not on this machine.*cannot be reached"):
            require([GSM8K], None)
