"""Tables as a terminal shows them: whole where the window is wide enough, else folded, and nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.measure import Measurement
from rich.table import Table as TerminalTable
from rich.text import Text

from lrbench.evaluation.statistics import Comparison, Estimate, SeedMean
from lrbench.results.rendering.layout import Line, Scores
from lrbench.results.rendering.sheet import Best, BestOfRuns, Strong, Table
from lrbench.results.text import plain
from lrbench.results.wording import (
    COSTS,
    FORGETTING,
    LONGEST_NAME,
    UNKNOWN,
    comparison_text,
    forgetting_text,
    interval_text,
)

UNBOUNDED = 10_000
LONGEST = 4000
# What a column of accuracies, and one of differences, mostly needs; and what stands between columns.
ACCURACY_WIDTH, DIFFERENCE_WIDTH, BETWEEN = 18, 20, 2
# `[8.2, 9.3]` with what stands between columns.
LEAST_CELL = 12


def show_table(table: Table, console: Console) -> None:
    """Print a table without its title: whole, with headings of two lines, or a paragraph per line."""
    for broken in (False, True):
        whole = _whole(table, broken)
        if _fits(whole, console):
            console.print(whole)
            return
    if table.is_wide:
        narrow = Table(table.title, table.header[:-1], tuple(line[:-1] for line in table.lines))
        show_table(narrow, console)
        return
    for line in filter(None, table.lines):
        named = zip(table.header[table.names :], line[table.names :], strict=True)
        pieces = [f"{plain(name)} {plain(cell, LONGEST)}" for name, cell in named if cell]
        console.print(Text(plain(" ".join(line[: table.names]), LONGEST), style="bold"))
        for row in _filled(pieces, console.width - 2):
            console.print(Text(f"  {row}"))


def matrix(scores: Scores, console: Console) -> TerminalTable | None:
    """Arms down, benchmarks across, under each accuracy its interval and the differences.

    None without room for it, and of one benchmark, which a line for each arm says in less.
    """
    # To lay out what cannot fit takes longest.
    if len(scores.columns) == 1 or len(scores.columns) * LEAST_CELL > console.width:
        return None
    table = TerminalTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for heading in [_heading(scores, column, "\n") for column in scores.columns] + _second(scores, "\n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in COSTS if scores.has_costs else ():
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for place, line in enumerate(scores.lines):
        if place and scores.has_costs:
            table.add_row()
        names = [Text(plain(line.label, LONGEST), style="bold"), Text()]
        names += [Text(f"  {_versus(baseline)}", style="dim") for baseline in line.against]
        cells = [Text("\n").join(_matrix_cell(line, column)) for column in scores.columns]
        if scores.second is not None:
            cells.append(Text(forgetting_text(line.forgotten).replace(" [", "\n[", 1)))
        table.add_row(Text("\n").join(names), *cells, *line.costs)
    return table if _fits(table, console) else None


def blocks(scores: Scores, width: int) -> Stack:
    """The first column, what is beside accuracies, then every benchmark: a heading and one line per arm."""
    labels = max(cell_len(plain(line.label, LONGEST)) for line in scores.lines) + 2 * BETWEEN
    room = (width - labels - ACCURACY_WIDTH) // DIFFERENCE_WIDTH
    baselines, *further = _side_by_side(scores.baselines, max(1, room))
    names = ["accuracy", *map(_versus, baselines)]
    if scores.has_costs:
        names += [""] * (len(COSTS) - len(names))
    table = _block_table(names)
    for place, column in enumerate(scores.columns):
        if place:
            table.add_row()
        table.add_row(_heading(scores, column, "  "))
        for line in scores.lines:
            differences = (line.against.get(baseline, {}).get(column) for baseline in baselines)
            table.add_row(_label(line), _marked(line, column), *map(_compared, differences))
        if not place:
            _add_beside(scores, table)
    return Stack(table, *_further_blocks(scores, further))


def _add_beside(scores: Scores, table: TerminalTable) -> None:
    """What the lines cost and what was forgotten."""
    if scores.has_costs:
        table.add_row()
        table.add_row(Text("cost", style="bold"), *(Text(name, style="dim") for name in COSTS))
        for line in scores.lines:
            table.add_row(_label(line), *line.costs)
    for heading in _second(scores, "  "):
        table.add_row()
        table.add_row(heading)
        for line in scores.lines:
            table.add_row(_label(line), forgetting_text(line.forgotten))


def _further_blocks(scores: Scores, groups: Sequence[Sequence[str]]) -> Iterator[RenderableType]:
    """Of each further group of baselines the differences alone."""
    for baselines in groups:
        yield Text()
        table = _block_table(list(map(_versus, baselines)))
        for place, column in enumerate(scores.columns):
            if place:
                table.add_row()
            table.add_row(Text(plain(column, LONGEST_NAME), style="bold"))
            for line in scores.lines:
                found = [line.against.get(baseline, {}).get(column) for baseline in baselines]
                if any(found):
                    table.add_row(_label(line), *map(_compared, found))
        yield table


def _block_table(names: Sequence[str]) -> TerminalTable:
    table = TerminalTable(box=None, pad_edge=False, padding=(0, BETWEEN, 0, 0), header_style="dim")
    for name in ("", *names):
        table.add_column(Text(name), overflow="fold")
    return table


def _side_by_side(baselines: Sequence[str], size: int) -> list[Sequence[str]]:
    """The baselines in groups of at most `size`; one empty group without any."""
    return [baselines[start : start + size] for start in range(0, len(baselines), size)] or [()]


def _matrix_cell(line: Line, column: str) -> Iterator[Text]:
    found = line.accuracies[column]
    yield _marked(line, column, with_interval=False)
    yield Text("" if found is None else interval_text(found), style="dim")
    for differences in line.against.values():
        yield _compared(differences.get(column))


def _marked(line: Line, column: str, with_interval: bool = True) -> Text:
    found: Estimate | SeedMean | None = line.accuracies[column]
    if found is None:
        return Text(UNKNOWN, style="dim")
    cell = line.cell(column)
    text = cell if with_interval else f"{100 * found.value:.1f}"
    if not isinstance(cell, Best):
        return Text(text)
    return Text(f"{text} {'(*)' if isinstance(cell, BestOfRuns) else '*'}", style="bold green")


def _compared(comparison: Comparison | None) -> Text:
    style = "dim"
    if comparison is not None and comparison.separated:
        style = "green" if comparison.difference > 0 else "red"
    return Text(comparison_text(comparison), style=style)


def _label(line: Line) -> Text:
    return Text(f"  {plain(line.label, LONGEST)}")


def _versus(baseline: str) -> str:
    return f"vs {plain(baseline, LONGEST_NAME)}"


def _heading(scores: Scores, column: str, between: str) -> Text:
    heading = Text(plain(column, LONGEST_NAME), style="bold")
    size = scores.sizes.get(column)
    return heading.append(f"{between}{size}", style="not bold dim") if size else heading


def _second(scores: Scores, between: str) -> list[Text]:
    """The heading of what was forgotten, where that was measured."""
    if scores.second is None:
        return []
    heading = Text(FORGETTING, style="bold")
    suite = f"{between}on {plain(scores.second, LONGEST_NAME)}"
    return [heading.append(suite, style="not bold dim") if scores.second else heading]


def _fits(table: TerminalTable, console: Console) -> bool:
    return (
        Measurement.get(console, console.options.update(max_width=UNBOUNDED), table).maximum <= console.width
    )


def _whole(table: Table, broken: bool) -> TerminalTable:
    """The table; `broken` headings are of two lines."""
    shown = TerminalTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for place, name in enumerate(table.header):
        heading = plain(name).replace(" ", "\n", 1) if broken else plain(name)
        side = "left" if place < table.names else "right"
        shown.add_column(Text(heading), justify=side, vertical="bottom", overflow="fold")  # type: ignore[arg-type]
    for line in table.lines:
        if not line:
            shown.add_section()
        else:
            shown.add_row(*(Text(plain(cell, LONGEST), style=_style(cell)) for cell in line))
    return shown


def _style(cell: str) -> str:
    if isinstance(cell, Strong) and cell:
        return "bold green"
    return "dim" if cell.startswith(("inconclusive", "equivalent", "underpowered")) else ""


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
