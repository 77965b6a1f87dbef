"""Stages whose prompts are one queue: the same artifacts, committed shard by shard."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import RunError
from lrbench.methods.answers import Vote
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.runner import Runner
from lrbench.pipeline.stages import evaluation, rollouts
from lrbench.pipeline.stages.answering import AnsweredBy
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.solutions import CheckedSolutions
from lrbench.recipe.schema import Recipe
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.queue import QueuedEngine
from lrbench.store.store import Store
from lrbench.suites.graders import Choice


def with_queue(recipe: Recipe, queue: bool, batch_size: int = 3) -> Recipe:
    runtime = recipe.runtime.model_copy(update={"queue": queue, "batch_size": batch_size})
    return recipe.model_copy(update={"runtime": runtime})


def files(recipe: Recipe, runs: Path) -> dict[tuple[str, str], str]:
    """The hash of every file that a model wrote for."""
    store = Store(runs / "store")
    written = [stage for stage in plan_recipe(recipe, runs).stages if stage.engine_choice is not None]
    found = [(stage, store.find(stage.name, stage.key)) for stage in written]
    return {
        (stage.label, record.name): record.sha256
        for stage, made in found
        if made is not None
        for record in made.files
    }


def test_shards_of_a_queue_are_those_of_batches_and_outlive_an_interruption(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    monkeypatch.setattr(evaluation, "ITEMS_PER_SHARD", 2)
    monkeypatch.setattr(rollouts, "PROBLEMS_PER_SHARD", 2)
    # Random models solve nothing; let every third sampled solution count as right.
    monkeypatch.setattr(CheckedSolutions, "is_right", lambda _self, index, *_: index % 3 == 0)
    recipe = make_recipe()
    run_recipe(with_queue(recipe, False), tmp_path / "batches")
    portions: list[int] = []
    answer = QueuedEngine.answer_requests

    def interrupted(self: QueuedEngine, requests: Any, decoding: Any) -> Any:
        portions.append(len(requests))
        if len(portions) in (2, 9):
            raise KeyboardInterrupt
        return answer(self, requests, decoding)

    with monkeypatch.context() as patch:
        patch.setattr(QueuedEngine, "answer_requests", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run_recipe(with_queue(recipe, True), tmp_path / "queue")
        # Nothing is asked that was not announced.
        patch.setattr("lrbench.sampling.engines.transformers.TransformersEngine.answer_requests", None)
        report = run_recipe(with_queue(recipe, True), tmp_path / "queue")
    assert not report.failures, [failure.details for failure in report.failures]
    assert len(portions) > 20
    expected = files(recipe, tmp_path / "batches")
    assert len(expected) > 20
    assert files(recipe, tmp_path / "queue") == expected


def forwards(recipe: Recipe, runs: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """How many forward passes a run takes, and whatever was opened to answer evaluations."""
    counted: list[int] = []
    opened: list[str] = []
    forward, open_ = Padding.forward, AnsweredBy.open

    def counting(self: Padding, rows: int, tokens: int, columns: int) -> None:
        counted.append(rows)
        forward(self, rows, tokens, columns)

    def opening(self: AnsweredBy, *arguments: Any) -> Any:
        opened.append(self.answer.label)
        return open_(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        patch.setattr(Padding, "forward", counting)
        patch.setattr(AnsweredBy, "open", opening)
        report = run_recipe(recipe, runs)
    assert not report.failures, [failure.details for failure in report.failures]
    return len(counted), opened


def test_the_benchmarks_of_an_arm_are_one_queue_for_a_process_alone_and_two_by_two_beside_others(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_queue(make_recipe(), True, batch_size=8)
    arms = len(recipe.arms)
    together, opened = forwards(recipe, tmp_path / "together", monkeypatch)
    assert len(opened) == arms
    benchmarks = len(plan_recipe(recipe, tmp_path).arms[0].scores)
    with monkeypatch.context() as patch:
        patch.setattr(BenchmarkScore, "follows", lambda *_: False)
        apart, opened = forwards(recipe, tmp_path / "apart", monkeypatch)
    assert len(opened) == arms * benchmarks
    assert together < apart / 1.3
    assert files(recipe, tmp_path / "together") == files(recipe, tmp_path / "apart")
    with monkeypatch.context() as patch:
        patch.setattr(
            "lrbench.pipeline.run.Runner", lambda *given: Runner(*given[:-1], is_alone=lambda: False)
        )
        shared = recipe.model_copy(update={"arms": recipe.arms[:1]})
        _, opened = forwards(shared, tmp_path / "shared", monkeypatch)
    assert len(opened) == -(-benchmarks // 2)
    assert not list((tmp_path / "together" / "store" / "locks").iterdir())


def test_a_benchmark_that_fails_leaves_the_others_of_its_queue_to_be_made_and_no_lock(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    recipe = with_queue(make_recipe(), True)
    first, *_, last = plan_recipe(recipe, tmp_path).arms[0].scores
    row = BenchmarkScore._row

    def failing(self: BenchmarkScore, *arguments: Any) -> Any:
        if self.key in (first.key, last.key):
            raise RunError("no verdict")
        return row(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BenchmarkScore, "_row", failing)
        report = run_recipe(recipe, tmp_path)
    (failure,) = report.failures
    assert failure.reason == "no verdict"
    assert len(failure.stages) == 2
    assert not list((tmp_path / "store" / "locks").iterdir())
    again = run_recipe(recipe, tmp_path)
    assert not again.failures
    assert again.worked == 2
    run_recipe(with_queue(recipe, False), tmp_path / "batches")
    assert files(recipe, tmp_path) == files(recipe, tmp_path / "batches")


def test_a_vote_goes_on_only_where_the_same_grader_reads_it(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    first, second, *_ = plan_recipe(make_recipe(), tmp_path).arms[0].scores
    assert isinstance(first, BenchmarkScore)
    assert isinstance(second, BenchmarkScore)
    other = replace(second, measured=replace(second.measured, grader=Choice()))
    assert second.follows(first)
    assert other.follows(first)
    by_vote = AnsweredBy(Vote(vote=3))
    first, second, other = (replace(stage, answered_by=by_vote) for stage in (first, second, other))
    assert second.follows(first)
    assert not other.follows(first)


def test_what_was_taken_ahead_and_is_found_finished_is_let_go_of(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    recipe = with_queue(make_recipe(), True, batch_size=8)
    recipe = recipe.model_copy(update={"arms": (recipe.arms[0], recipe.arms[-1])})
    run_recipe(recipe, tmp_path / "alone")
    _, second, *_ = plan_recipe(recipe, tmp_path).arms[0].scores
    row, copied = BenchmarkScore._row, []

    def beside(self: BenchmarkScore, *arguments: Any) -> Any:
        if not copied:
            copied.append(second.key)
            place = tmp_path / "runs" / "store" / second.name / second.key
            shutil.copytree(tmp_path / "alone" / "store" / second.name / second.key, place)
        return row(self, *arguments)

    monkeypatch.setattr(BenchmarkScore, "_row", beside)
    report = run_recipe(recipe, tmp_path / "runs")
    assert not report.failures
    assert files(recipe, tmp_path / "runs") == files(recipe, tmp_path / "alone")
    assert not list((tmp_path / "runs" / "store" / "locks").iterdir())
