"""Processes under torch's agent: what they tell, and how they are lost, fail, begin again and end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from lrbench.errors import RunError
from lrbench.training.supervision import RESTARTS, work_together
from lrbench.training.team import Work
from tests.training.helping import Counting, err, refuse, sleep, vanish

CPU = torch.device("cpu")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_processes")]


def heard_as_in_a_terminal(request: pytest.FixtureRequest, number: signal.Signals) -> None:
    """Have the signal do for one test what it does in a terminal."""
    earlier = signal.signal(number, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(number, earlier))


def told_by(work: Work, folder: Path) -> list[Any]:
    told: list[Any] = []
    work_together(2, CPU, work, folder, told.append)
    return told


@pytest.mark.parametrize("killed", [0, 1])
def test_all_begin_again_from_what_was_saved_when_one_is_killed(
    killed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert told_by(Counting(tmp_path, killed), tmp_path) == ["from 0", 5, 10, "from 10", 15, 20]
    (line,) = caplog.messages
    assert line.startswith("a process of runtime.processes failed: it ended with exit code -9; all of them")


def test_what_fails_of_itself_is_told_and_not_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    with pytest.raises(RunError) as found:
        work_together(2, CPU, refuse, tmp_path, told.append)
    assert str(found.value) == "a process of runtime.processes failed: there is no more room"
    assert told == ["begun"]
    assert not caplog.messages


def test_a_bug_is_told_with_where_it_is(tmp_path: Path) -> None:
    said = r"a process of runtime\.processes failed: KeyError\('a bug'\)"
    with pytest.raises(RuntimeError, match=said) as found:
        told_by(err, tmp_path)
    assert "in err" in found.value.__notes__[0]


def test_a_process_that_is_lost_each_time_is_told_after_the_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    with pytest.raises(RunError, match=r"a process of runtime\.processes failed: it ended with exit code 7$"):
        work_together(2, CPU, vanish, tmp_path, told.append)
    assert told == ["begun"] * (RESTARTS + 1)
    assert len(caplog.messages) == RESTARTS


def test_an_error_of_whoever_listens_ends_them_all(tmp_path: Path) -> None:
    found: list[int] = []

    def fail(process: int) -> None:
        found.append(process)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        work_together(2, CPU, sleep, tmp_path, fail)
    assert not any(map(psutil.pid_exists, found))


def test_an_interruption_ends_them_all_and_is_what_it_was(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found: list[int] = []
    # Where tests run in the background of a shell, they ignore it.
    heard_as_in_a_terminal(request, signal.SIGINT)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), dict(os.environ)

    def interrupt(process: int) -> None:
        found.append(process)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        work_together(2, CPU, sleep, tmp_path, interrupt)
    assert not any(map(psutil.pid_exists, found))
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), dict(os.environ))
    assert logging.getLogger("torch.distributed.elastic").propagate
