"""The command line as a user calls it, in a process of its own."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.faults.process import HEAVY

ROOT = Path(__file__).parent.parent
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
# The quickstart as the fixture `quickstart_runs` runs it: all of its stages, each on less.
SMALL = [
    "data.problems=48",
    "training.updates=16",
    "training.rollouts_per_update=8",
    "evaluation.limit=8",
    "runtime.threads=1",
    "runtime.workers=1",
]
# From nothing, imports and all, where that is the point.
LRBENCH = [sys.executable, "-c", "from lrbench.cli import main; main()"]
SECONDS = 300

# Processes forked from one that has imported what takes long, once for all tests of a session's process.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.quick_work", *HEAVY])


def lrbench(*arguments: object, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with started(*arguments, cwd=cwd, **variables) as command:
        return command.end()


def said_by(code: str, *arguments: object) -> str:
    """What a Python program prints that runs in a process of its own, with these arguments."""
    with started(*arguments, code=code) as command:
        found = command.end()
    assert found.returncode == 0, found.stderr
    return found.stdout


@contextmanager
def started(
    *arguments: object, cwd: Path = ROOT, code: str | None = None, **variables: str
) -> Iterator[Command]:
    """A command that is under way; lrbench's own, or a Python program."""
    words = list(map(str, arguments))
    environment = os.environ | {"COLUMNS": "100"} | variables
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        output.touch()
        errors.touch()
        process = processes.Process(target=_become, args=(words, code, cwd, environment, output, errors))
        process.start()
        try:
            yield Command(words, process, output, errors)
        finally:
            process.kill()
            process.join()


@dataclass(frozen=True)
class Command:
    """A command, its process, and the files of what it prints."""

    words: list[str]
    process: multiprocessing.process.BaseProcess
    output: Path
    errors: Path

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        self.process.join(SECONDS)
        code = self.process.exitcode
        assert code is not None, f"{self.words} does not end: {self.errors.read_text()}"
        return subprocess.CompletedProcess(self.words, code, self.output.read_text(), self.errors.read_text())


@contextmanager
def spawned_quickly() -> Iterator[None]:
    """Processes that would be spawned are forked from the one that has imported what takes long.

    So are those that code under test would have forked from one that imports less.
    """
    get_context = multiprocessing.get_context
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            multiprocessing,
            "get_context",
            lambda method: processes if method == "spawn" else get_context(method),
        )
        patch.setattr(type(processes), "set_forkserver_preload", lambda *_: None)
        yield


def _become(
    arguments: list[str],
    code: str | None,
    cwd: Path,
    environment: Mapping[str, str],
    output: Path,
    errors: Path,
) -> None:
    """Turn this process into the command."""
    os.chdir(cwd)
    for descriptor, place in ((1, output), (2, errors)):
        opened = os.open(place, os.O_WRONLY)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    sys.argv = ["lrbench", *arguments]
    # What the process that this one was forked from does at its end is not for this one.
    atexit._clear()
    try:
        if code is None:
            from lrbench.cli import main

            main()
        else:
            exec(compile(code, "a program", "exec"), {"__name__": "__main__"})
    finally:
        # A process of this kind would end without them.
        atexit._run_exitfuncs()
