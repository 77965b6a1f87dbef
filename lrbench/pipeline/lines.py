"""Telling how the work goes in a few plain lines, for notebooks and logs, where no bar can be drawn."""

from __future__ import annotations

import time

from lrbench.pipeline.progress import Silent
from lrbench.results.text import shown


class LineReporter(Silent):
    """Prints where the run stands, at most a line every few seconds; what needs saying is always said."""

    def __init__(self, seconds: float = 5.0) -> None:
        """At least so many `seconds` lie between two lines of progress; 0 prints every one."""
        self.seconds = seconds
        self._told = float("-inf")

    def end(self, label: str, seconds: float, note: str = "") -> None:
        """Say that the stage is done, if no line came for a while."""
        self._sometimes(f"done    {label} ({seconds:.1f} s)")

    def stand(self, text: str) -> None:
        """Say where the run stands, if no line came for a while."""
        self._sometimes(text)

    def say(self, message: str) -> None:
        """Print the message."""
        print(shown(message), flush=True)

    def fail(self, failure: str) -> None:
        """Print what could not be done."""
        self.say(f"failed  {failure}")

    def _sometimes(self, line: str) -> None:
        now = time.monotonic()
        if now - self._told >= self.seconds:
            self._told = now
            self.say(line)
