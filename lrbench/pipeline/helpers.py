"""What a run has to know of the processes that make stages beside it, wherever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lrbench.pipeline.failures import Cause


class Helpers(Protocol):
    """Processes that make stages of the run that this process records."""

    @property
    def takes_all(self) -> bool:
        """Whether every stage is left to them now. Raises `LrbenchError` for what ends the run there."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether they work on devices that this process has none of, so that it cannot do their work."""

    @property
    def failed(self) -> Mapping[str, Cause]:
        """What could not be made by them, by the key of the stage; of use once they take nothing more."""

    def made(self, elsewhere: int) -> int:
        """How many stages they made, of which `elsewhere` were not there before and not made here."""

    @property
    def ended_early(self) -> Sequence[str]:
        """Why each of those ended that should not have, where that was not said yet."""


class Nobody:
    """No process beside this one."""

    takes_all = False
    is_elsewhere = False
    ended_early = ()

    def __init__(self) -> None:
        self.failed: dict[str, Cause] = {}

    def made(self, elsewhere: int) -> int:
        """None."""
        return 0


NOBODY = Nobody()
