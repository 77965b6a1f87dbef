"""What processes of a team do in tests; apart, so that they start without importing models."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lrbench.errors import RunError
from lrbench.training.team import Team

Tell = Callable[[Any], None]


def refuse(team: Team, _device: torch.device, tell: Tell) -> None:
    """The second process fails of itself, while the first waits for it."""
    tell("begun")
    if team.rank == 1:
        raise RunError("there is no more room")
    team.sum([torch.ones(3)])


def err(team: Team, _device: torch.device, _tell: Tell) -> None:
    """A bug in the second process."""
    if team.rank == 1:
        raise KeyError("a bug")
    team.sum([torch.ones(3)])


def vanish(team: Team, _device: torch.device, tell: Tell) -> None:
    """The second process is gone each time."""
    tell("begun")
    if team.rank == 1:
        os._exit(7)
    team.sum([torch.ones(3)])


def sleep(_team: Team, _device: torch.device, tell: Tell) -> None:
    """Say which process this is, and stay."""
    tell(os.getpid())
    time.sleep(1000)


@dataclass(frozen=True)
class Counting:
    """Count to twenty together, a number at a time; the process of a rank is killed once, at twelve."""

    folder: Path
    killed: int

    def __call__(self, team: Team, device: torch.device, tell: Tell) -> list[str]:
        saved, again = self.folder / "saved", self.folder / "again"
        count = int(saved.read_text()) if saved.exists() else 0
        tell(f"from {count}")
        while count < 20:
            if count == 12 and team.rank == self.killed and not again.exists():
                again.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            one = torch.ones(1)
            team.sum([one])
            count += int(one.item()) // team.size
            if team.rank == 0 and count % 5 == 0:
                saved.write_text(str(count))
                tell(count)
        return sorted(name for name in os.environ if name.startswith("TORCHELASTIC_RESTART"))
