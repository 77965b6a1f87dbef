"""What stages and the runner tell while they work, and the one that keeps silent."""

from __future__ import annotations

from typing import Protocol

# How the end of a stage is noted that another process goes on with.
PART = "a part of it"


class Progress(Protocol):
    """What a stage may report while it works."""

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        """`units` more of the stage's units are done; what was `measured` of them goes into curves."""


class Reporter(Protocol):
    """What the runner reports about stages."""

    def begin(self, label: str, units: int) -> Progress:
        """A stage starts to work."""

    def end(self, label: str, seconds: float, note: str = "") -> None:
        """The stage's artifact is finished; `note` says more of how it went."""

    def say(self, message: str) -> None:
        """One line for the user."""

    def fail(self, failure: str) -> None:
        """Something could not be done, and the rest goes on."""

    def stand(self, text: str) -> None:
        """Where the whole run stands, every few seconds."""


class Silent:
    """Reports nothing; for use as a library."""

    def begin(self, label: str, units: int) -> Progress:
        """Nothing is shown."""
        return self

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        """Nothing is shown."""

    def end(self, label: str, seconds: float, note: str = "") -> None:
        """Nothing is shown."""

    def say(self, message: str) -> None:
        """Nothing is shown."""

    def fail(self, failure: str) -> None:
        """Nothing is shown."""

    def stand(self, text: str) -> None:
        """Nothing is shown."""
