"""Telling the user how the work goes: bars on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from lrbench.pipeline.progress import Progress, Silent

# Where nothing moves, a line says how things stand no more often.
SECONDS_BETWEEN_LINES = 30.0


class TerminalReporter:
    """Progress bars on a terminal; one line per finished stage either way, none where it is `quiet`."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self._told = time.monotonic()
        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TextColumn("{task.fields[stand]}", markup=False, style="dim"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def begin(self, label: str, units: int) -> Progress:
        """Open a bar for the stage."""
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        return Silent() if self.quiet else _Bar(self._bars, label, units)

    def end(self, label: str, seconds: float, note: str = "") -> None:
        """Say in one line that the stage is done, how long it took and what else there is to say."""
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        if not self.quiet:
            self.say(f"done    {label} ({', '.join(filter(None, [f'{seconds:.1f} s', note]))})")

    def say(self, message: str) -> None:
        """Print one line above the bars, as plain text."""
        self._told = time.monotonic()
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def fail(self, failure: str) -> None:
        """Print what could not be done."""
        self.say(f"failed  {failure}")

    def stand(self, text: str) -> None:
        """Beside the bar on a terminal; elsewhere a line with the time, if none came for a while."""
        for task in self._bars.task_ids:
            self._bars.update(task, stand=text.partition(";")[0])
        is_due = time.monotonic() - self._told >= SECONDS_BETWEEN_LINES
        if is_due and not self.quiet and not self.console.is_terminal:
            self.say(f"{datetime.now():%H:%M:%S}  {text}")


class _Bar:
    def __init__(self, bars: RichProgress, label: str, units: int) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=units, note="", stand="")

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        self._bars.update(self._task, advance=units, note=note)
