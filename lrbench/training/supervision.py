"""Processes that work together, watched by torch's elastic agent: when one is lost, all of them begin again.

The agent is in the process that asks for the work, which takes no part in it. All are on this machine and
meet in a folder, so that nothing listens on a network; whoever is left ends with the process that asked.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousInfo, RendezvousStoreInfo

from lrbench.training.team import Failure, Work, failure_file, take_part

logger = logging.getLogger(__name__)

# How often all begin again before a failure is told as one.
RESTARTS = 3
SECONDS_BETWEEN_LOOKS = 0.1
HERE = "127.0.0.1"
# Imported once, by the process that all others of a run are forked from: they begin within moments.
FORKED_WITH = ["lrbench.training.lesson", "lrbench.training.loop"]
# This process's signals stay its own. A file called torch.py where the user stands is not what is imported.
# Who looks for CUDA before a fork must not begin to use it.
VARIABLES = {
    "TORCHELASTIC_SIGNALS_TO_HANDLE": "",
    "PYTHONSAFEPATH": "1",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
# All that they log `work_together` says.
LOGGERS = ("torch.distributed.elastic", "torch.multiprocessing", "torchelastic-events-null")


def work_together(
    size: int, device: torch.device, work: Work, folder: Path, hear: Callable[[Any], None]
) -> Any:
    """What `work` gives in the first of `size` processes, each of which does its share of it.

    `work` is pickled, and begins anew in all of them when one is lost: what it has to go on from it keeps in
    `folder`, which is theirs alone. What the first process tells, a little at a time, `hear` is
    called with here, in order. On CUDA each process has a device of its own. Raises `RunError` with the
    reason when a process fails of itself, or is lost once more than `RESTARTS` times, and `RuntimeError` with
    the traceback for a bug in it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(FORKED_WITH)
    hearing, telling = context.Pipe(duplex=False)
    with hearing, telling, _torch_keeps_silent():
        spec = WorkerSpec(
            role="training",
            local_world_size=size,
            rdzv_handler=_OneMachine(),
            entrypoint=take_part,
            args=(device.type, torch.get_num_threads(), folder, telling, work),
            max_restarts=RESTARTS,
            monitor_interval=SECONDS_BETWEEN_LOOKS,
            local_addr=HERE,
        )
        result = _Agent(spec, folder, hearing, hear).run()
    return result.return_values[0]


class _Agent(LocalElasticAgent):
    """Torch's agent, which also listens, and begins nothing again that would end as it did."""

    def __init__(
        self, spec: WorkerSpec, folder: Path, hearing: Connection, hear: Callable[[Any], None]
    ) -> None:
        # Nothing is logged there, but torch would leave a folder of its own behind.
        logs = DefaultLogsSpecs(log_dir=str(folder / "logs"))
        super().__init__(spec, logs, start_method="forkserver")
        self._folder = folder
        self._hearing = hearing
        self._hear = hear

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        with _interruptions_are_ours():
            started: dict[int, Any] = super()._start_workers(worker_group)
        return started

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result: RunResult = super()._monitor_workers(worker_group)
        while self._hearing.poll():
            self._hear(self._hearing.recv())
        if result.is_failed():
            failure = self._failure(result)
            if failure.is_final or not self._remaining_restarts:
                raise failure.error
            logger.warning(
                "a process of runtime.processes failed: %s; all of them begin again from the last save",
                failure.reason,
            )
        return result

    def _failure(self, result: RunResult) -> Failure:
        """That of the process which was found first."""
        rank, ended = next(iter(result.failures.items()))
        told = failure_file(self._folder, RESTARTS - self._remaining_restarts, rank)
        if told.exists():
            return Failure.read(told)
        return Failure(f"it ended with exit code {ended.exitcode}", is_final=False)

    def _shutdown(self, death_sig: signal.Signals = signal.SIGKILL, timeout: int = 30) -> None:
        # They hold nothing that has to be put in order, and one that waits for another hears no other signal.
        super()._shutdown(signal.SIGKILL, timeout)


class _OneMachine(RendezvousHandler):
    """The meeting of one agent with itself. Those of torch listen on every network of the machine."""

    use_agent_store = False

    def __init__(self) -> None:
        self._store = HashStore()

    def next_rendezvous(self) -> RendezvousInfo:
        # The processes meet in a folder, and not at this port.
        return RendezvousInfo(self._store, 0, 1, RendezvousStoreInfo(HERE, 0))

    def get_backend(self) -> str:
        return "one machine"

    def get_run_id(self) -> str:
        return "one"

    def is_closed(self) -> bool:
        return False

    def set_closed(self) -> None:
        pass

    def num_nodes_waiting(self) -> int:
        return 0

    def shutdown(self) -> bool:
        return True


@contextmanager
def _interruptions_are_ours() -> Iterator[None]:
    """Have processes that are started in the block never see Ctrl-C, which a terminal sends them as well."""
    # It lets interruptions through when it starts.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _torch_keeps_silent() -> Iterator[None]:
    """Have torch's agent neither log nor take over signals in the block."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    nowhere = logging.NullHandler()
    variables, propagated = dict(os.environ), [each.propagate for each in loggers]
    os.environ.update(VARIABLES)
    for each in loggers:
        each.addHandler(nowhere)
        each.propagate = False
    try:
        yield
    finally:
        for each, propagates in zip(loggers, propagated, strict=True):
            each.removeHandler(nowhere)
            each.propagate = propagates
        for name in VARIABLES:
            os.environ.pop(name)
        os.environ.update({name: variables[name] for name in VARIABLES if name in variables})
