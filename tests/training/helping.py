"""What helping processes of the tests do; apart, so that they start without importing models."""

from __future__ import annotations

import os
import time

import torch

from lrbench.errors import RunError
from lrbench.training.team import Team


def refuse(_team: Team, _device: torch.device) -> None:
    raise RunError("there is no more room")


def vanish(_team: Team, _device: torch.device) -> None:
    os._exit(7)


def sleep(_team: Team, _device: torch.device) -> None:
    time.sleep(1000)
