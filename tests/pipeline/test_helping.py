"""Shards of one stage made by two processes: the bytes of one alone, whoever of them is killed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from lrbench.evaluation.harness import BenchmarkTask
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages import evaluation
from lrbench.pipeline.workers import settled
from lrbench.recipe.schema import Recipe
from lrbench.store.parts import Helping, Parts
from lrbench.store.store import Store
from tests.pipeline.test_queueing import with_queue
from tests.pipeline.test_workers import contents, until

SHARDS = 4


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    """One stage of four shards."""
    made = make_recipe()
    measured = made.evaluation.model_copy(update={"benchmarks": ("one_step",), "limit": 2 * SHARDS})
    return made.model_copy(update={"arms": made.arms[:1], "evaluation": measured})


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    monkeypatch.setattr(evaluation, "ITEMS_PER_SHARD", 2)


@pytest.fixture(scope="module")
def alone(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    runs = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "ITEMS_PER_SHARD", 2)
        run_recipe(recipe, runs)
    return contents(recipe, runs)


def work(recipe: Recipe, runs: Path) -> None:
    settled(plan_recipe(recipe, runs), Store(runs / "store"), runs, Silent())


def drafts(runs: Path) -> list[Path]:
    return list(runs.glob("store/evaluate/*.draft/journal.jsonl"))


def handed(runs: Path) -> list[Path]:
    return list(runs.glob("store/evaluate/*.draft/handed/*/.whole"))


@contextmanager
def another(
    recipe: Recipe, runs: Path, before: Callable[[], object] = lambda: None, helps: bool = False
) -> Iterator[BaseProcess]:
    """A process that works on the recipe; it calls `before` ahead of every shard that it makes.

    One that `helps` comes when the stage is somebody else's.
    """

    def begin() -> None:
        if helps:
            until(lambda: drafts(runs))
        measured_after(before)
        work(recipe, runs)

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def measured_after(before: Callable[[], object]) -> Callable[..., Any]:
    measure = BenchmarkTask.measure

    def after(self: BenchmarkTask, *arguments: Any) -> Any:
        before()
        return measure(self, *arguments)

    BenchmarkTask.measure = after  # type: ignore[method-assign]
    return measure


def wait_and_die(condition: Callable[[], object]) -> None:
    until(condition)
    os.kill(os.getpid(), signal.SIGKILL)


def test_shards_that_another_process_hands_over_are_committed_and_the_rest_made(
    recipe: Recipe, alone: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    measure = BenchmarkTask.measure

    def counted(self: BenchmarkTask, *arguments: Any) -> Any:
        until(lambda: len(handed(tmp_path)) >= 2)
        made.append(1)
        return measure(self, *arguments)

    with another(recipe, tmp_path, helps=True) as helper:
        monkeypatch.setattr(BenchmarkTask, "measure", counted)
        work(recipe, tmp_path)
        helper.join()
    assert len(made) <= SHARDS - 2
    assert contents(recipe, tmp_path) == alone
    assert not list((tmp_path / "store" / "locks").iterdir())


@pytest.mark.parametrize("queue", [False, True])
def test_a_helper_that_is_killed_leaves_its_shard_to_be_made(
    recipe: Recipe, alone: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: bool
) -> None:
    measure = BenchmarkTask.measure
    recipe = with_queue(recipe, queue)
    with another(recipe, tmp_path, lambda: wait_and_die(lambda: True), helps=True) as helper:

        def after_its_death(self: BenchmarkTask, *arguments: Any) -> Any:
            until(lambda: helper.exitcode is not None)
            return measure(self, *arguments)

        monkeypatch.setattr(BenchmarkTask, "measure", after_its_death)
        work(recipe, tmp_path)
        assert helper.exitcode == -signal.SIGKILL
    assert contents(recipe, tmp_path) == alone
    assert not list((tmp_path / "store" / "locks").iterdir())


def test_who_helps_goes_on_where_the_stage_s_own_process_is_killed_with_what_was_handed_over(
    recipe: Recipe, alone: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    measure = BenchmarkTask.measure

    def counted(self: BenchmarkTask, *arguments: Any) -> Any:
        made.append(1)
        return measure(self, *arguments)

    monkeypatch.setattr(BenchmarkTask, "measure", counted)
    with another(recipe, tmp_path, lambda: wait_and_die(lambda: handed(tmp_path))) as owner:
        until(lambda: drafts(tmp_path))
        work(recipe, tmp_path)
        assert owner.exitcode == -signal.SIGKILL
    assert len(made) == SHARDS
    assert contents(recipe, tmp_path) == alone
    assert not list((tmp_path / "store" / "locks").iterdir())


def test_what_a_failed_helper_has_written_is_removed_and_its_shard_made(
    recipe: Recipe, alone: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **_: Any) -> None:
        path.write_bytes(b"0" * 1000)
        raise OSError(errno.ENOSPC, "No space left on device")

    measure, left = BenchmarkTask.measure, []

    def begin() -> None:
        until(lambda: drafts(tmp_path))
        evaluation.write_item_rows = full  # type: ignore[assignment]
        work(recipe, tmp_path)

    helper = multiprocessing.get_context("fork").Process(target=begin)
    helper.start()

    def after(self: BenchmarkTask, *arguments: Any) -> Any:
        until(lambda: helper.exitcode is not None or list(tmp_path.glob("store/evaluate/*.draft/handed")))
        until(lambda: not list(tmp_path.glob("store/evaluate/*.draft/handed/*")))
        left.append(1)
        return measure(self, *arguments)

    monkeypatch.setattr(BenchmarkTask, "measure", after)
    try:
        work(recipe, tmp_path)
    finally:
        helper.kill()
        helper.join()
    assert len(left) == SHARDS
    assert contents(recipe, tmp_path) == alone


def test_what_was_handed_over_and_is_not_what_was_said_is_made_again(
    recipe: Recipe, alone: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stage,) = plan_recipe(recipe, tmp_path).stages
    commit = Helping.commit

    def damaged(self: Helping, name: str, write: Callable[[Path], object], seconds: float = 0.0) -> None:
        commit(self, name, write, seconds)
        (place,) = tmp_path.glob(f"store/evaluate/*.draft/handed/*/{name}")
        place.write_bytes(place.read_bytes()[:-1])

    monkeypatch.setattr(Helping, "commit", damaged)
    with another(recipe, tmp_path, lambda: wait_and_die(lambda: handed(tmp_path))):
        until(lambda: drafts(tmp_path))
        work(recipe, tmp_path)
    assert contents(recipe, tmp_path) == alone
    assert Store(tmp_path / "store").find(stage.name, stage.key) is not None


def parts_of(folder: Path) -> Parts:
    return Parts(folder / "draft", lambda part: folder / f"{part}.lock")


def can_be_taken(folder: Path, part: str) -> bool:
    return parts_of(folder).take(part)


def test_a_part_has_one_maker_and_is_handed_over_once(tmp_path: Path) -> None:
    parts = parts_of(tmp_path)
    assert parts.take("part-1")
    assert parts.take("part-1")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert not pool.apply(can_be_taken, (tmp_path, "part-1"))
        parts.let_go("part-1")
        assert pool.apply(can_be_taken, (tmp_path, "part-1"))
    parts.folder("part-2").mkdir(parents=True)
    parts.take("part-2")
    parts.hand_over("part-2", [], 1.5)
    assert not parts.take("part-2")
    assert parts.handed("part-2") == ([], 1.5)
    (parts.folder("part-2") / ".whole").write_text("{")
    assert parts.handed("part-2") is None
    assert parts.take("part-2")
    parts.let_go_of_all()
    assert not (tmp_path / "part-2.lock").exists()
