"""Processes that train one adapter together, each on its share of every update's rollouts.

All of them hold the whole model and the whole adapter. Gradients are summed once an update, so every process
makes the same step; the first one alone measures, saves and reports.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch
from torch import Tensor, distributed

from lrbench.errors import LrbenchError, RunError

# Training ends in all processes at once; a helper that has not gone after that long never will.
SECONDS_TO_LEAVE = 30


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


@contextmanager
def team_of(
    size: int, device: torch.device, help_train: Callable[[Team, torch.device], object]
) -> Iterator[Team]:
    """This process as the first of `size`, the others of which do `help_train(team, device)` meanwhile.

    `help_train` is pickled; it has to make the same calls of the team as this process does. On CUDA each
    process has a device of its own. Raises `RunError` with a helper's message when one fails.
    """
    if size == 1:
        yield Team()
        return
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="lrbench-team-") as folder:
        arguments = (size, device.type, torch.get_num_threads(), folder, help_train)
        helpers = [
            context.Process(target=_help, args=(rank, *arguments), daemon=True) for rank in range(1, size)
        ]
        for helper in helpers:
            helper.start()
        try:
            _join(0, size, device, folder)
            yield Team(0, size)
            for helper in helpers:
                helper.join(SECONDS_TO_LEAVE)
        except RuntimeError as error:
            # What a broken connection raises; the reason is with the helper that is gone.
            for helper in helpers:
                helper.join(1)
            reason = _reason(helpers, Path(folder))
            if reason is None:
                raise
            raise RunError(f"a process of runtime.processes failed: {reason}") from error
        finally:
            for helper in helpers:
                helper.kill()
                helper.join()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _join(rank: int, size: int, device: torch.device, folder: str) -> None:
    # All processes are on this machine, and nobody else shall be able to take part.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(
        backend, init_method=f"file://{folder}/meeting", rank=rank, world_size=size
    )


def _help(
    rank: int,
    size: int,
    device_type: str,
    threads: int,
    folder: str,
    help_train: Callable[[Team, torch.device], object],
) -> None:
    # An interruption is the first process's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = torch.device(device_type, rank) if device_type == "cuda" else torch.device(device_type)
    if device_type == "cuda":
        torch.cuda.set_device(device)
    try:
        _join(rank, size, device, folder)
        help_train(Team(rank, size), device)
        distributed.destroy_process_group()
    except (LrbenchError, RuntimeError) as error:
        (Path(folder) / f"failed-{rank}").write_text(str(error))
        raise SystemExit(1) from None


def _reason(helpers: Sequence[SpawnProcess], folder: Path) -> str | None:
    """Why a helper is gone; None where none is."""
    for rank, helper in enumerate(helpers, start=1):
        told = folder / f"failed-{rank}"
        if told.exists():
            return told.read_text()
        if helper.exitcode:
            return f"it ended with exit code {helper.exitcode}"
    return None
