"""A study's report in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as TerminalTable
from rich.text import Text

from lrbench.results.studies.content import Report, Strong, Table
from lrbench.results.studies.rendering import FILLING, LONGEST, MISSING, NOTHING_MISSING, lines_of
from lrbench.results.text import plain

UNBOUNDED = 10_000


def show_report(report: Report, console: Console) -> None:
    """Print the tables, the cases, the notes and the commands for what is missing."""
    edition = report.edition
    console.print(Text(f"{plain(edition.title)} ({edition.edition} edition)", style="bold"))
    for table in report.tables:
        console.print()
        console.print(Text(plain(table.caption, LONGEST), style="bold cyan"))
        _show_table(table, console)
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


def _show_table(table: Table, console: Console) -> None:
    """Print a table whole where the window is wide enough, and otherwise a paragraph per line."""
    whole = _whole(table)
    wanted = Measurement.get(console, console.options.update(max_width=UNBOUNDED), whole)
    if wanted.maximum <= console.width:
        console.print(whole)
        return
    for line in filter(None, table.lines):
        named = zip(table.header[1:], line[1:], strict=True)
        pieces = [f"{plain(name)} {plain(cell, LONGEST)}" for name, cell in named if cell]
        console.print(Text(plain(line[0], LONGEST), style="bold"))
        for row in _filled(pieces, console.width - 2):
            console.print(Text(f"  {row}"))


def _filled(pieces: Sequence[str], width: int) -> Iterator[str]:
    """The pieces in rows of at most `width` characters, none broken unless it is longer itself."""
    row = ""
    for piece in pieces:
        longer = f"{row}   {piece}" if row else piece
        if row and cell_len(longer) > width:
            yield row
            longer = piece
        row = longer
    if row:
        yield row


def _whole(table: Table) -> TerminalTable:
    shown = TerminalTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for place, name in enumerate(table.header):
        shown.add_column(Text(plain(name)), justify="right" if place else "left", overflow="fold")
    for line in table.lines:
        if not line:
            shown.add_section()
        else:
            shown.add_row(*(Text(plain(cell, LONGEST), style=_style(cell)) for cell in line))
    return shown


def _style(cell: str) -> str:
    if isinstance(cell, Strong) and cell:
        return "bold green"
    return "dim" if cell.startswith(("inconclusive", "equivalent")) else ""
