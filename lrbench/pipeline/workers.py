"""Several processes on one recipe: workers beside the process that was started, on the same store.

A worker plans the recipe for itself and makes stages as `Runner` does; the store is all that they share. It
writes no ledger. Any of them may be killed: what it had committed stays, and another goes on with it. A
worker ends when nothing is left to make, or when the process that started it does, in whatever way.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lrbench.errors import LrbenchError, RunError
from lrbench.pipeline.estimating.devices import visible_gpus
from lrbench.pipeline.failures import Cause, Failure, gathered
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.preflight import preflight
from lrbench.pipeline.progress import PART, Reporter, Silent
from lrbench.pipeline.remaining import Ahead
from lrbench.pipeline.requirements import fetched_plan
from lrbench.pipeline.runner import Runner, Workspaces
from lrbench.pipeline.selecting import chosen_lines, together
from lrbench.pipeline.sharing import announced, check_locks
from lrbench.pipeline.watching import Watcher, place_of, watched
from lrbench.recipe.schema import Recipe, Runtime
from lrbench.results.text import shown
from lrbench.store.store import Store

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Where nothing is left to make, a worker notices within moments, unless it is not that far yet.
SECONDS_TO_LEAVE = 0.5
SECONDS_TO_STOP = 10.0


class Worker:
    """One process beside this one, as this one sees it."""

    def __init__(self, recipe: Recipe, runs: Path, number: int, phase: int) -> None:
        """Start the one called `number`, from 1, of the recipe's workers, on a phase of its plan.

        Raises `OSError` where no process can be started.
        """
        # Files and not pipes: nobody reads while the process works.
        self._made = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        # -P: a file called torch.py where the user stands is not what is meant. A session of its own: Ctrl-C
        # is for this process, which then stops the other.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lrbench.pipeline.workers", str(runs)],
            stdin=subprocess.PIPE,
            stdout=self._made,
            stderr=self._errors,
            env=os.environ | _devices_of(recipe.runtime, number),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._watched = place_of(runs, recipe.name, self._process.pid)
        with suppress(BrokenPipeError):
            pickle.dump((recipe, phase), self._process.stdin)
            self._process.stdin.flush()

    @property
    def worked(self) -> int:
        """How many stages it has made."""
        return os.fstat(self._made.fileno()).st_size

    @property
    def failure(self) -> str | None:
        """Why it ended, in a line, where it should not have."""
        if not self._process.poll():
            return None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return shown(lines[-1]) if lines else f"exit code {self._process.returncode}"

    def leave(self) -> None:
        """Give it the moment that it needs to end by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_LEAVE)

    def stop(self) -> None:
        """End it, if it has not ended."""
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._made.close()
        self._errors.close()
        # It has no time to say that it has ended.
        with suppress(OSError):
            self._watched.unlink(missing_ok=True)


class WorkersHere:
    """The processes beside this one, which works as they do. See `lrbench.pipeline.helpers`."""

    takes_all = False
    is_elsewhere = False

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self.failed: dict[str, Cause] = {}

    def made(self, elsewhere: int) -> int:
        """How many stages they made."""
        return sum(worker.worked for worker in self._workers)

    @property
    def ended_early(self) -> list[str]:
        """Why each of those ended that should not have."""
        return [worker.failure for worker in self._workers if worker.failure is not None]


@contextmanager
def working_beside(recipe: Recipe, runs: Path, waiting: int, phase: int) -> Iterator[WorkersHere]:
    """The recipe's workers but this process, while the block works too; they are ended with it.

    They make the stages of one `phase` of its plan. There are no more than can have one of the `waiting`
    parts of stages each. Raises `RunError` where a process cannot be started.
    """
    workers: list[Worker] = []
    try:
        for number in range(1, min(recipe.runtime.workers, waiting)):
            workers.append(_started(recipe, runs, number, phase))
        yield WorkersHere(workers)
        for worker in workers:
            worker.leave()
    finally:
        for worker in workers:
            worker.stop()


def _started(recipe: Recipe, runs: Path, number: int, phase: int) -> Worker:
    try:
        return Worker(recipe, runs, number, phase)
    except OSError as error:
        raise RunError(f"cannot start a worker ({error.strerror}); lower runtime.workers") from error


def _devices_of(runtime: Runtime, number: int) -> dict[str, str]:
    """The variable that gives a worker the GPUs after those of the workers before it, where there are any."""
    if runtime.device == "cpu" or not visible_gpus():
        return {}
    named = os.environ.get(VISIBLE)
    devices = named.split(",") if named else [str(place) for place in range(len(visible_gpus()))]
    return {VISIBLE: ",".join(devices[number * runtime.devices : (number + 1) * runtime.devices])}


class _Counted(Silent):
    """Says how many stages were made: one byte each."""

    def __init__(self, told: IO[bytes]) -> None:
        self._told = told

    def end(self, label: str, seconds: float, note: str = "") -> None:
        """Tell of one more; a part of one is none."""
        if note != PART:
            self._told.write(b".")


@dataclass(frozen=True)
class WorkReport:
    """What a worker made: stages of its own, out of all; `failures` say what could not be done, by reason.

    `helped` is how often it made parts of a stage that another process made.
    """

    worked: int
    helped: int
    stages: int
    failures: tuple[Failure, ...]

    def followed_by(self, later: WorkReport, stages: int) -> WorkReport:
        """This and what was made in the phase after, of so many stages in all."""
        failures = (*self.failures, *later.failures)
        return WorkReport(self.worked + later.worked, self.helped + later.helped, stages, failures)


def work_from_anywhere(recipe: Recipe, runs: Path, reporter: Reporter) -> WorkReport:
    """Make stages of `recipe` beside whoever else does on the same `runs`, on this machine or another.

    Raises `UserError` where locks or libraries do not allow that, and other `LrbenchError` for what ends
    every run.
    """
    check_locks(runs)
    store = Store(runs / "store", on_damage=reporter.say)
    plan = fetched_plan(recipe, runs, store)
    with announced(runs, recipe.name, alike=True):
        report = _work(plan, store, runs, reporter)
        if plan.selecting is None:
            return report
        chosen = fetched_plan(recipe, runs, store, settled=True)
        for line in chosen_lines(chosen):
            reporter.say(line)
        return report.followed_by(_work(chosen, store, runs, reporter, phase=1), len(together(chosen).stages))


def settled(plan: Plan, store: Store, runs: Path, reporter: Reporter, phase: int = 0) -> Runner:
    """Make what can be made of one `phase` of a plan until nothing is left.

    The runner knows what was made, and what could not be. Who watches is told of all phases.
    """
    phases, whole, plan = len(plan.phases), together(plan), plan.phases[phase]
    workspaces = Workspaces(plan)
    _, failed = preflight(plan, store, workspaces.of)
    waiting = [stage for stage in whole.stages if not store.exists(stage.name, stage.key)]
    own = {stage.key for stage in plan.stages}
    ahead = Ahead(
        [stage for stage in waiting if stage.key in own], [stage for stage in waiting if stage.key not in own]
    )
    watcher = Watcher(
        reporter,
        place_of(runs, plan.recipe.name),
        plan.recipe.name,
        ahead,
        len(whole.stages),
        phase=phase + 1,
        phases=phases,
        is_worker=True,
    )
    with watched(watcher, runs):
        runner = Runner(store, workspaces, watcher, frozenset(), failed, is_alone=lambda: False)
        for _ in runner.settle(plan.arms):
            pass
    return runner


def _work(plan: Plan, store: Store, runs: Path, reporter: Reporter, phase: int = 0) -> WorkReport:
    runner = settled(plan, store, runs, reporter, phase)
    plan = plan.phases[phase]
    failures = gathered([*plan.failed, *runner.causes(plan.arms)])
    return WorkReport(runner.worked, runner.helped, len(plan.stages), tuple(failures))


def _end_with(parent: IO[Any]) -> None:
    """End this process once nobody can write to `parent` any more."""
    parent.read()
    os._exit(1)


def main() -> None:
    """The process: `python -m lrbench.pipeline.workers RUNS`, told the recipe through its standard input."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Libraries may print; the answer goes where nothing else does.
    told = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    recipe, phase = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    runs = Path(sys.argv[1])
    try:
        # The process that started this one has fetched all, and made the phases before. What fails for some
        # arms fails there too, and it says so.
        plan = plan_recipe(recipe, runs, fetch=False, settled=phase > 0)
        _work(plan, Store(runs / "store"), runs, _Counted(told), phase)
    except LrbenchError as error:
        sys.exit(str(error))
    # The other process waits for this: taking thousands of modules apart would be for nothing.
    os._exit(0)


if __name__ == "__main__":
    main()
