"""A disk that fills up while scores are written: said with path and space, and nothing is made again."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lrbench.errors import DiskFullError
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.sampling import scores

SHARDS = [f"part-{number:05}.parquet" for number in range(3)]


class AfterOneShardOfScores(Silent):
    """A reporter that does something when the first shard of scores is committed."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act
        self.scoring = False

    def begin(self, label: str, units: int) -> AfterOneShardOfScores:
        self.scoring = label.startswith("scores of")
        return self

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        if self.scoring:
            self.scoring = False
            self.act()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of its own, of some megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0


@pytest.fixture
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    """Three shards of scores, of 64, 64 and 12 rollouts."""
    return make_recipe(
        arms=["lightr"],
        data={"train": "embedded/multi_step", "problems": 140},
        evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
    )


class Writer:
    """Writes scores, and notes which shards; refuses the second one for as long as the disk is `full`."""

    def __init__(self, full: bool) -> None:
        self.full = full
        self.written: list[str] = []
        self._write = scores.write_scores

    def __call__(self, path: Path, scores: scores.Scores) -> None:
        if self.full and path.name == SHARDS[1]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self._write(path, scores)
        self.written.append(path.name)


def check_message(message: str, runs: Path) -> None:
    told = re.fullmatch(
        r"cannot write (\S+): the disk or quota is full \([\d,]+ bytes free, about ([\d,]+) needed for all "
        r"that is to come\)\. Free some space and run again; committed files stay and are not made again\.",
        message,
    )
    assert told, message
    assert Path(told[1]).name == SHARDS[1]
    assert Path(told[1]).is_relative_to(runs / "store" / "scores")
    # Two shards of three are to come, each about as large as the first.
    [first] = (runs / "store").glob("scores/*/files/*.parquet")
    assert int(told[2].replace(",", "")) == 2 * first.stat().st_size


def test_on_a_small_disk_the_run_stops_and_goes_on_from_the_finished_shard(
    recipe: Recipe, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(full=False)
    monkeypatch.setattr(scores, "write_scores", writer)
    runs = small_disk / "runs"
    with pytest.raises(DiskFullError) as refused:
        run_recipe(recipe, runs, AfterOneShardOfScores(lambda: fill(small_disk)))
    check_message(str(refused.value), runs)
    assert writer.written == SHARDS[:1]
    (small_disk / "filler").unlink()
    run_recipe(recipe, runs)
    assert writer.written == SHARDS


def test_a_write_refused_for_space_stops_the_run_and_costs_that_shard_alone(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(full=True)
    monkeypatch.setattr(scores, "write_scores", writer)
    with pytest.raises(DiskFullError) as refused:
        run_recipe(recipe, tmp_path)
    check_message(str(refused.value), tmp_path)
    writer.full = False
    run_recipe(recipe, tmp_path)
    assert writer.written == SHARDS
