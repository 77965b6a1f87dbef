"""Telling the user how the work goes: bars on a terminal, plain lines when piped."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from lrbench.pipeline.progress import Progress


class TerminalReporter:
    """Progress bars on a terminal; one line per finished stage either way."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
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
        return _Bar(self._bars, label, units)

    def end(self, label: str, seconds: float, note: str = "") -> None:
        """Say in one line that the stage is done, how long it took and what else there is to say."""
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        self.say(f"done    {label} ({', '.join(filter(None, [f'{seconds:.1f} s', note]))})")

    def say(self, message: str) -> None:
        """Print one line above the bars, as plain text."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, bars: RichProgress, label: str, units: int) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=units, note="")

    def advance(self, units: int, note: str = "") -> None:
        self._bars.update(self._task, advance=units, note=note)
