"""The leaderboard as files: Markdown for people, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.claims.in_words import claim_lines
from lrbench.results.numbers import SOURCE, Value, board_numbers, number_fields
from lrbench.results.records import RecipeRecord
from lrbench.results.rendering.layout import Scores
from lrbench.results.rendering.sections import Section, sheets_of
from lrbench.results.rendering.sheet import Best, BestOfRuns, Number, Strong, Table
from lrbench.results.text import markdown, spreadsheet
from lrbench.results.wording import LEGEND, NOTHING

# A claim's sentence names two arms, each with its settings.
LONGEST_LINE = 1000
LONGEST_CELL = 200


def boards_to_markdown(boards: Sequence[Board], recipes: Iterable[RecipeRecord] = ()) -> str:
    """The boards as Markdown tables: accuracies and costs, then the differences from each baseline.

    Then the claims of `recipes`, of each name the one that it stands for, and what the paper reports.
    """
    if not boards:
        return NOTHING + "\n"
    parts = []
    for sheet in sheets_of(boards, recipes):
        parts.append(f"## {markdown(sheet.board.suite)}, protocol {sheet.protocol}")
        for section in sheet.sections:
            parts += _section(section)
        for table in sheet.reported:
            parts += [f"### {markdown(table.title)}", f"{markdown(table.note)}.", markdown_table(table)]
        if sheet.notes:
            parts.append("\n".join(f"- {markdown(note.strip(), LONGEST_LINE)}" for note in sheet.notes))
    parts.append("\n".join(f"- {markdown(line)}" for line in LEGEND))
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table, longest: int = LONGEST_CELL) -> str:
    """A table without its title, texts of at most `longest` characters."""
    width = len(table.header)
    rule = ["---", *["---:"] * (width - 1)]
    lines = ([_cell(cell, longest) for cell in line] or [""] * width for line in table.lines)
    rows = [[markdown(name, longest) for name in table.header], rule, *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _cell(cell: str, longest: int) -> str:
    if isinstance(cell, Best):
        mark = "(\\*)" if isinstance(cell, BestOfRuns) else "\\*"
        return f"**{cell}** {mark}"
    if isinstance(cell, Number):
        return cell
    shown = markdown(cell, longest)
    return f"**{shown}**" if isinstance(cell, Strong) and cell else shown


def boards_to_csv(boards: Sequence[Board]) -> str:
    """The boards' numbers as CSV, as `board_numbers` has them, to six digits; no formula among them."""
    stream = io.StringIO()
    fields = {name: spreadsheet(name) for name in number_fields(boards)}
    writer = csv.DictWriter(stream, list(fields.values()), lineterminator="\n")
    writer.writeheader()
    for line in board_numbers(boards):
        writer.writerow({fields[name]: _csv_value(name, value) for name, value in line.items()})
    return stream.getvalue()


def csv_fields(boards: Sequence[Board]) -> list[str]:
    """The columns of `boards_to_csv`."""
    return [spreadsheet(name) for name in number_fields(boards)]


def _csv_value(name: str, value: Value) -> object:
    if isinstance(value, str):
        return value if name == SOURCE else spreadsheet(value)
    return f"{value:.6g}" if isinstance(value, float) else value


def _section(section: Section) -> Iterator[str]:
    recipe, seed = markdown(section.first.recipe), f", {section.seed}" if section.seed else ""
    yield f"### {markdown(section.expert)}, recipe {recipe}{seed}"
    runs, means = section.runs(), section.means()
    yield markdown_table(runs.accuracies(""))
    for table in section.beside():
        yield f"{table.title}:"
        yield markdown_table(table)
    yield from (markdown(line, LONGEST_LINE) for line in section.noise)
    yield from section.chosen
    yield from _differences(runs)
    if means is not None:
        yield section.of_means
        yield markdown_table(means.accuracies(""))
        yield from _differences(means)
    yield from _claims(section)


def _differences(scores: Scores) -> Iterator[str]:
    for baseline, table in scores.differences():
        yield f"Difference from `{markdown(baseline)}`, {scores.what}:"
        yield markdown_table(table)


def _claims(section: Section) -> Iterator[str]:
    """The verdicts on the recipe's claims, each with what it rests on."""
    if section.unread:
        yield "\n".join(f"- {markdown(line, LONGEST_LINE)}" for line in section.unread)
    for point, judgements in section.claims:
        yield f"Claims at {markdown(point_text(point))}:" if point else "Claims:"
        lines = []
        for judgement in judgements:
            claim, *reasons = claim_lines(judgement)
            lines.append(f"- {markdown(claim, LONGEST_LINE)}")
            lines += [f"  - {markdown(reason.strip(), LONGEST_LINE)}" for reason in reasons]
        yield "\n".join(lines)
