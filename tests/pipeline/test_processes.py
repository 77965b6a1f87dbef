"""Training by two processes: the same adapter whoever is killed, and nobody is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

import psutil
import pytest

from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.progress import Progress, Silent
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.schema import Recipe
from lrbench.store.store import Store

PATIENCE_SECONDS = 120
UPDATES = 60

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_processes")]


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(
        arms=["lightr"],
        training={"updates": UPDATES, "rollouts_per_update": 8, "learning_rate": 1e-3},
        evaluation={"suite": "embedded7", "benchmarks": ["hard"], "limit": 1},
        runtime={"processes": 2, "threads": 1, "updates_between_saves": 5},
    )


def adapter(recipe: Recipe, runs: Path) -> str:
    """The hash of all that training has made."""
    (stage,) = [stage for stage in plan_recipe(recipe, runs).stages if stage.name == "train"]
    artifact = Store(runs / "store").find(stage.name, stage.key)
    assert artifact is not None
    return artifact.content_hash


@pytest.fixture(scope="module")
def undisturbed(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> str:
    runs = tmp_path_factory.mktemp("undisturbed")
    assert not run_recipe(recipe, runs).failures
    return adapter(recipe, runs)


def taking_part(driver: int) -> list[psutil.Process]:
    """The processes that train for the one that runs a recipe; they are forked from one of its own."""
    found = psutil.Process(driver).children(recursive=True)
    return [process for process in found if process.ppid() != driver]


class Killing(Silent):
    """Kills one of the processes that train at an update, and counts updates.

    Processes that were there before are another test's.
    """

    def __init__(self, at: int, others: Collection[int] = ()) -> None:
        self.at = at
        self.others = others
        self.done = 0
        self.is_training = False

    def begin(self, label: str, units: int) -> Progress:
        self.is_training = label.startswith("adapter of")
        return self

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        if not self.is_training:
            return
        before, self.done = self.done, self.done + units
        if before < self.at <= self.done:
            trains = [process for process in taking_part(os.getpid()) if process.pid not in self.others]
            trains[-1].kill()


def test_a_killed_process_changes_no_byte_and_no_update_is_counted_twice(
    recipe: Recipe, undisturbed: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = {process.pid for process in taking_part(os.getpid())}
    reporter = Killing(at=12, others=others)
    report = run_recipe(recipe, tmp_path, reporter)
    assert not report.failures
    assert adapter(recipe, tmp_path) == undisturbed
    assert reporter.done == UPDATES
    assert any("it ended with exit code -9; all of them begin again" in line for line in caplog.messages)
    assert {process.pid for process in taking_part(os.getpid())} <= others


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_nobody_and_goes_on_from_its_save(
    how: signal.Signals, recipe: Recipe, undisturbed: str, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_text(resolved_yaml(recipe))
    runs = tmp_path / "runs"
    # Not what anybody means by torch, though it lies where the command is typed.
    (tmp_path / "torch.py").write_text("raise SystemExit('the wrong torch')")
    script = Path(sys.executable).with_name("lrbench")
    command = [str(script), "run", "recipe.yaml", "--runs", str(runs)]
    # As a terminal has it: Ctrl-C goes to every process of the group.
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until(lambda: list(runs.glob("**/save.safetensors")) or process.poll() is not None)
        members = taking_part(process.pid)
        assert len(members) == 2
        os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in errors
    until(lambda: not any(map(is_at_work, members)))
    reporter = Killing(at=UPDATES + 1)
    assert not run_recipe(recipe, runs, reporter).failures
    assert reporter.done == UPDATES
    assert adapter(recipe, runs) == undisturbed


def is_at_work(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
