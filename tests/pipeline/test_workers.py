"""Several processes on one recipe: the same bytes as one makes, whoever of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from lrbench.errors import LrbenchError, RunError
from lrbench.pipeline import workers
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.progress import Progress, Silent
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.store.store import Store
from tests.commands import LRBENCH

PATIENCE_SECONDS = 180


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


class Held(Silent):
    """Begins its first stage once `condition` holds, and keeps what is said."""

    def __init__(self, condition: Callable[[], object]) -> None:
        self.condition = condition
        self.said: list[str] = []
        self.elsewhere: list[str] = []
        self.has_begun = False

    def begin(self, label: str, units: int) -> Progress:
        if not self.has_begun:
            self.has_begun = True
            until(self.condition)
        return self

    def end(self, label: str, seconds: float, note: str = "") -> None:
        if note == "another process":
            self.elsewhere.append(label)

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[workers.Worker]:
    """The workers that the test's runs start."""
    found: list[workers.Worker] = []

    class Watched(workers.Worker):
        def __init__(self, recipe: Recipe, runs: Path, number: int, phase: int) -> None:
            super().__init__(recipe, runs, number, phase)
            found.append(self)

    monkeypatch.setattr(workers, "Worker", Watched)
    return found


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe()


def with_workers(recipe: Recipe, count: int) -> Recipe:
    return recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"workers": count})})


def contents(recipe: Recipe, runs: Path) -> dict[str, str]:
    store = Store(runs / "store")
    found = {stage.key: store.find(stage.name, stage.key) for stage in plan_recipe(recipe, runs).stages}
    return {key: artifact.content_hash for key, artifact in found.items() if artifact is not None}


def recorded(runs: Path) -> set[tuple[object, ...]]:
    read = Ledger(runs / "ledger").read()
    assert not read.broken
    return {score.identity for score in read.scores} | {(arm.arm_id,) for arm in read.arms}


def test_two_workers_make_the_bytes_and_records_of_one(
    recipe: Recipe, runs: Path, tmp_path: Path, started: list[workers.Worker]
) -> None:
    reporter = Held(lambda: started[0].worked >= 2)
    report = run_recipe(with_workers(recipe, 2), tmp_path, reporter)
    stages = plan_recipe(recipe, tmp_path).stages
    assert not report.failures, [failure.details for failure in report.failures]
    assert (report.worked, report.cached) == (len(stages), 0)
    assert len(reporter.elsewhere) >= 2
    assert not any("ended early" in line for line in reporter.said)
    assert contents(recipe, tmp_path) == contents(recipe, runs)
    assert recorded(tmp_path) == recorded(runs)
    again = run_recipe(with_workers(recipe, 2), tmp_path)
    assert (again.worked, again.cached) == (0, len(stages))
    assert len(started) == 1, "nothing was left to do, and a worker was started for it"


def test_a_killed_worker_is_told_of_and_loses_nothing(
    recipe: Recipe, runs: Path, tmp_path: Path, started: list[workers.Worker]
) -> None:
    def killed() -> bool:
        if not started[0].worked:
            return False
        os.kill(started[0]._process.pid, signal.SIGKILL)
        return True

    reporter = Held(killed)
    report = run_recipe(with_workers(recipe, 2), tmp_path, reporter)
    assert not report.failures
    assert any("a worker ended early" in line and "exit code -9" in line for line in reporter.said)
    assert contents(recipe, tmp_path) == contents(recipe, runs)


def processes_with(text: str) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text in command and "lrbench.pipeline.workers" in command:
            found.append(int(place.parent.name))
    return found


@pytest.fixture
def driver(recipe: Recipe, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`lrbench run` with a worker, both under way."""
    # Long enough that it is not at its end before it is ended.
    data = recipe.data.model_copy(update={"problems": 400})
    long = with_workers(recipe, 2).model_copy(update={"data": data})
    (tmp_path / "recipe.yaml").write_text(resolved_yaml(long))
    command = [*LRBENCH, "run", "recipe.yaml", "--runs", str(tmp_path / "runs")]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    until(lambda: list((tmp_path / "runs" / "store").glob("*/*/manifest.json")))
    assert len(processes_with(str(tmp_path))) == 1
    yield process
    process.kill()
    process.communicate()


def test_a_worker_ends_with_the_process_that_started_it(
    driver: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    driver.kill()
    until(lambda: not processes_with(str(tmp_path)))


def test_an_interruption_ends_the_worker_at_once(
    recipe: Recipe, tmp_path: Path, started: list[workers.Worker]
) -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(with_workers(recipe, 2), tmp_path, Held(interrupted))
    assert started[0]._process.returncode is not None


def test_what_fails_in_a_worker_is_left_to_the_others_to_say(recipe: Recipe, tmp_path: Path) -> None:
    never = recipe.divergence.model_copy(update={"beta": 500.0})
    recipe = recipe.model_copy(update={"divergence": never})
    plan = plan_recipe(recipe, tmp_path, fetch=False)
    workers._work(plan, Store(tmp_path / "store"), tmp_path, workers._Counted(told := BytesIO()))
    made = [stage for stage in plan_recipe(recipe, tmp_path).stages if stage.name != "samples"]
    assert 0 < len(told.getvalue()) < len(made)


def test_a_worker_that_cannot_be_started_is_one_message(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(RunError, match=r"cannot start a worker \(Resource .* lower runtime\.workers"):
        run_recipe(with_workers(recipe, 2), tmp_path)
    assert issubclass(RunError, LrbenchError)


def test_each_worker_has_gpus_of_its_own(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "visible_gpus", lambda: ("an accelerator",) * 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    runtime = recipe.runtime.model_copy(update={"workers": 2, "processes": 2})
    assert workers._devices_of(runtime, 1) == {"CUDA_VISIBLE_DEVICES": "2,3"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,GPU-c,GPU-d")
    assert workers._devices_of(runtime, 1) == {"CUDA_VISIBLE_DEVICES": "GPU-c,GPU-d"}
    assert workers._devices_of(runtime.model_copy(update={"device": "cpu"}), 1) == {}
