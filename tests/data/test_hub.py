"""Data sets of the hub: which files hold a split, what is in the cache, and what is said of the rest.

Nothing is fetched here: the cache is laid out as `huggingface_hub` lays it out, and where the hub would be
asked, its two functions are answered from that cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from lrbench.data.hub import AbsentHubDataError, chosen_files, hub_files
from lrbench.errors import DataError

COMMIT = "c" * 40
FILES = ("main/train-00000-of-00002.parquet", "main/train-00001-of-00002.parquet")
GSM8K = ("main/test-00000-of-00001.parquet", *FILES, "socratic/train-00000-of-00001.parquet", "README.md")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with `openai/gsm8k` in it at one commit, to which `main` points."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "datasets--openai--gsm8k"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    for number, file in enumerate(FILES):
        path = home / "snapshots" / COMMIT / file
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.table({"question": [f"{number}?"], "answer": ["1"]}), path)
    return home


@pytest.mark.parametrize(
    ("files", "split", "config", "chosen"),
    [
        (GSM8K, "train", "main", FILES),
        (GSM8K, "test", None, ("main/test-00000-of-00001.parquet",)),
        (("data/train-00000-of-00001-0123456789abcdef.parquet",), "train", None, None),
        (("data/train-00000-of-00001.parquet",), "train", "default", None),
        (("train.parquet",), "train", None, None),
        (("default/train/0000.parquet", "default/train/0001.parquet"), "train", None, None),
        (("a/b/train.parquet", "a/train.parquet"), "train", "a/b", ("a/b/train.parquet",)),
    ],
)
def test_files_of_a_split_are_found_by_their_names(
    files: Sequence[str], split: str, config: str | None, chosen: Sequence[str] | None
) -> None:
    assert chosen_files("o/n", files, split, config) == tuple(files if chosen is None else chosen)


@pytest.mark.parametrize(
    ("files", "split", "config", "told"),
    [
        (
            GSM8K,
            "train",
            None,
            r"several configurations with a split `train`; there are main/test, main/train",
        ),
        (GSM8K, "dev", None, r"no split `dev`; there are main/test, main/train, socratic/train"),
        (GSM8K, "test", "socratic", r"no split `test` of a configuration `socratic`"),
        (FILES[:1], "train", "main", r"has 1 of the 2 files of `train`"),
        (("train.jsonl",), "train", None, r"no Parquet files; .*at the revision o/n@refs/convert/parquet"),
    ],
)
def test_what_cannot_be_chosen_is_told(
    files: Sequence[str], split: str, config: str | None, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        chosen_files("o/n", files, split, config)


def test_the_cache_is_read_without_the_network_by_name_and_by_commit(cache: Path) -> None:
    for name in ("openai/gsm8k", f"openai/gsm8k@{COMMIT}"):
        found = hub_files(name, "train", None, fetch=False)
        assert found.commit == COMMIT
        assert [path.relative_to(cache / "snapshots" / COMMIT).as_posix() for path in found.paths] == [*FILES]


def test_what_is_not_in_the_cache_is_absent(cache: Path) -> None:
    with pytest.raises(AbsentHubDataError, match="the data set nobody/nothing of the hub is not here"):
        hub_files("nobody/nothing", "train", None, fetch=False)
    with pytest.raises(AbsentHubDataError, match="the data set openai/gsm8k@v2 of the hub is not here"):
        hub_files("openai/gsm8k@v2", "train", None, fetch=False)
    (cache / "snapshots" / COMMIT / FILES[0]).unlink()
    with pytest.raises(AbsentHubDataError, match="1 of the 2 files"):
        hub_files("openai/gsm8k", "train", None, fetch=False)


@pytest.mark.usefixtures("cache")
def test_without_network_a_run_takes_the_cache_or_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert len(hub_files("openai/gsm8k", "train", None, fetch=True).paths) == len(FILES)
    with pytest.raises(
        DataError, match=r"the data set nobody/nothing cannot be fetched from the hub .* network"
    ):
        hub_files("nobody/nothing", "train", None, fetch=True)
    with pytest.raises(DataError, match=r"the data set a--b/c cannot be fetched from the hub"):
        hub_files("a--b/c", "train", None, fetch=True)


def test_a_run_asks_for_the_files_of_the_split_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: dict[str, Any] = {}

    def listed(repository: str, **said: Any) -> list[str]:
        asked["list"] = (repository, said)
        return list(GSM8K)

    def downloaded(repository: str, **said: Any) -> str:
        asked["download"] = (repository, said)
        return str(cache / "snapshots" / COMMIT)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", listed)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", downloaded)
    assert hub_files("openai/gsm8k@v1", "train", "main", fetch=True).commit == COMMIT
    assert asked["list"] == ("openai/gsm8k", {"revision": "v1", "repo_type": "dataset"})
    assert asked["download"] == (
        "openai/gsm8k",
        {
            "repo_type": "dataset",
            "revision": "v1",
            "allow_patterns": list(FILES),
            "local_files_only": False,
        },
    )
    with pytest.raises(DataError, match="no split `dev`"):
        hub_files("openai/gsm8k@v1", "dev", "main", fetch=True)
