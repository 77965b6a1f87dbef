"""A study's report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lrbench.results.rendering.terminal_tables import show_table
from lrbench.results.studies.content import Report
from lrbench.results.studies.rendering import FILLING, LONGEST, MISSING, NOTHING_MISSING, lines_of
from lrbench.results.text import plain


def show_report(report: Report, console: Console) -> None:
    """Print the tables, the cases, the notes and the commands for what is missing."""
    edition = report.edition
    console.print(Text(f"{plain(edition.title)} ({edition.edition} edition)", style="bold"))
    for table in report.tables:
        console.print()
        console.print(Text(plain(table.title, LONGEST), style="bold cyan"))
        show_table(table, console)
    for judged in report.claims:
        console.print()
        console.print(Text(plain(judged.title, LONGEST), style="bold cyan"))
        for claim in judged.claims:
            for line in claim:
                console.print(Text(plain(line, LONGEST)))
    for passage in report.passages:
        console.print()
        console.print(Text(plain(passage.title, LONGEST), style="bold cyan"))
        for name, text in passage.parts:
            console.print(Text(f"{name}:", style="dim"))
            for line in lines_of(text):
                console.print(Text(f"  {plain(line, LONGEST)}"))
    console.print()
    for note in report.notes:
        console.print(Text(plain(note, LONGEST), style="dim"))
    console.print()
    if not report.missing:
        console.print(Text(NOTHING_MISSING))
        return
    console.print(Text(f"{MISSING}. {FILLING}", style="yellow"))
    for one in report.missing:
        console.print(Text(f"  {plain(one.what, LONGEST)}"))
        # A command is copied: no line of it is broken.
        console.print(Text(f"    {plain(one.command, LONGEST)}"), soft_wrap=True)


def show_files(reports: Sequence[tuple[Report, list[Path]]], console: Console) -> None:
    """Print, a line per report, where its files are and how much of it is measured."""
    for report, files in reports:
        missing = len(report.missing)
        state = "complete" if not missing else f"{missing} command{'s' * (missing > 1)} to run"
        name = f"{report.edition.study}, {report.edition.edition}"
        console.print(Text(f"{name}: {len(files)} files in {files[0].parent}, {state}"), soft_wrap=True)
