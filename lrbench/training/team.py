"""A process among those that train one adapter together, each on its share of every update's rollouts.

All of them hold the whole model and the whole adapter. Gradients are summed once an update, so every process
makes the same step; the first one alone measures, saves and tells.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from lrbench.errors import LrbenchError, RunError

# Whose connection to a lost process broke waits for so long to be ended: what is said is of the lost one.
SECONDS_TO_BE_ENDED = 1.0
SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Team:
    """This process among `size`; one process alone by default."""

    rank: int = 0
    size: int = 1

    @property
    def share(self) -> slice:
        """Which rollouts of an update, longest first, this process takes."""
        return slice(self.rank, None, self.size)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, the same bits in all of them."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten().float() for tensor in tensors])
        distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def agreed(self, value: float, device: torch.device) -> float:
        """The first process's `value`."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.broadcast(told, src=0)
        return told.item()


# What each process does: told its team, its device, and how the first one tells whoever asked for the work.
Work = Callable[[Team, torch.device, Callable[[Any], None]], Any]


@dataclass(frozen=True)
class Failure:
    """Why a process ended. A `final` one would end so again; `details` are where, for what is a bug."""

    reason: str
    is_final: bool
    details: str = ""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Only a `RuntimeError` may be another process's fault: torch raises it for broken connections."""
        if isinstance(error, LrbenchError):
            return cls(str(error), is_final=True)
        if isinstance(error, RuntimeError):
            from lrbench.models.memory import out_of_memory

            return cls(str(error), is_final=out_of_memory(error))
        return cls(repr(error), is_final=True, details=traceback.format_exc())

    @classmethod
    def read(cls, path: Path) -> Failure:
        """The failure that another process has written."""
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Tell the process that asked for the work."""
        path.write_text(json.dumps(asdict(self)))

    @property
    def error(self) -> Exception:
        """What is raised by the process that asked for the work."""
        said = f"a process of runtime.processes failed: {self.reason}"
        if not self.details:
            return RunError(said)
        bug = RuntimeError(said)
        bug.add_note(self.details)
        return bug


def failure_file(folder: Path, attempt: int, rank: int) -> Path:
    """Where a process says why it ended."""
    return folder / f"failed-{attempt}-{rank}"


def take_part(device_type: str, threads: int, folder: Path, telling: Connection, work: Work) -> Any:
    """What `work` gives in the first process of a team that torch's agent has started; None in the others."""
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    attempt, rank, size, place = (
        int(os.environ[name]) for name in ("TORCHELASTIC_RESTART_COUNT", "RANK", "WORLD_SIZE", "LOCAL_RANK")
    )
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = torch.device(device_type, place) if device_type == "cuda" else torch.device(device_type)
    if device_type == "cuda":
        torch.cuda.set_device(device)
    # All processes are on this machine, and nobody else shall be able to take part.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "nccl" if device_type == "cuda" else "gloo"
    try:
        distributed.init_process_group(
            backend, init_method=f"file://{folder}/meeting-{attempt}", rank=rank, world_size=size
        )
        given = work(Team(rank, size), device, telling.send if rank == 0 else _unheard)
        distributed.destroy_process_group()
    except Exception as error:
        failure = Failure.of(error)
        failure.write(failure_file(folder, attempt, rank))
        if not failure.is_final:
            time.sleep(SECONDS_TO_BE_ENDED)
        raise SystemExit(1) from None
    return given if rank == 0 else None


def _unheard(_told: Any) -> None:
    """What the others tell: the first one speaks for all."""


def _end_with_parent(folder: Path) -> None:
    """End this process with the one that asked for the work, or the one it was forked from, however they end.

    Without the latter nobody would know any more that this one is there.
    """
    asked, forked = multiprocessing.parent_process(), os.getppid()
    assert asked is not None
    while asked.is_alive() and os.getppid() == forked:
        asked.join(SECONDS_BETWEEN_LOOKS)
    if not asked.is_alive():
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
