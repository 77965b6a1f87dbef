"""The leaderboard as files: Markdown for people, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.claim_words import claim_lines, unread_lines
from lrbench.results.claims import judge_recipe
from lrbench.results.declarations import notes_on_declarations, standing
from lrbench.results.layout import (
    Cells,
    Script,
    accuracy_cells,
    answers_cells,
    difference_cells,
    draws_cells,
    mean_cells,
    reported_cells,
    training_cells,
    uses_cells,
)
from lrbench.results.numbers import SOURCE, Value, board_numbers, number_fields
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import Row
from lrbench.results.text import markdown, spreadsheet
from lrbench.results.wording import (
    LEGEND,
    MEANS,
    NOTHING,
    REPORTED,
    TOOK,
    baselines_of,
    chosen_texts,
    draws_text,
    expert_label,
    noise_texts,
    notes_on,
    only_seed,
    pool_text,
    reported_beside,
    sections,
    seed_means,
)

# A claim's sentence names two arms, each with its settings.
LONGEST_LINE = 1000
_SCRIPT = Script(
    text=markdown,
    number=str,
    best=lambda text: f"**{text}** \\*",
    best_of_runs=lambda text: f"**{text}** (\\*)",
)


def boards_to_markdown(boards: Sequence[Board], recipes: Iterable[RecipeRecord] = ()) -> str:
    """The boards as Markdown tables: accuracies and costs, then the differences from each baseline.

    Then the claims of `recipes`, of each name the one that it stands for, and what the paper reports.
    """
    recipes = list(recipes)
    declared = standing(recipes)
    if not boards:
        return NOTHING + "\n"
    parts = []
    for position, board in enumerate(boards):
        parts.append(f"## {markdown(board.suite)}, protocol {board.protocol_hash[:8]}")
        for section in sections(board):
            first = section[0]
            expert, recipe = markdown(expert_label(first, board)), markdown(first.recipe)
            parts.append(f"### {expert}, recipe {recipe}{_seed(section)}")
            parts.append(_table(accuracy_cells(board, section, _SCRIPT)))
            used = uses_cells(section, _SCRIPT)
            if used is not None:
                parts += [f"{TOOK}:", _table(used)]
            sampled = draws_cells(board.columns, section, _SCRIPT)
            if sampled is not None:
                parts += [f"{draws_text(section)}:", _table(sampled)]
            for title, cells in answers_cells(section, _SCRIPT):
                parts += [f"{title}:", _table(cells)]
            parts += [markdown(line, LONGEST_LINE) for line in noise_texts(board, section)]
            parts += chosen_texts(board, section)
            for baseline in baselines_of(board, section):
                parts.append(f"Difference from `{markdown(baseline)}`, these runs:")
                parts.append(_table(difference_cells(board, section, baseline, _SCRIPT)))
            parts += _over_seeds(board, section)
            if first.recipe in declared:
                parts += _claims(declared[first.recipe], board, section)
        for expert, reported in reported_beside(board).items():
            parts.append(f"### {markdown(expert)}, reported, not measured here")
            parts.append(f"{markdown(reported[0].source)}; {REPORTED}.")
            parts.append(_table(reported_cells(board, reported, _SCRIPT)))
        notes = [
            *notes_on(board, boards[0] if position else None),
            *notes_on_declarations(board.rows, recipes),
        ]
        if notes:
            parts.append("\n".join(f"- {markdown(note.strip(), LONGEST_LINE)}" for note in notes))
    parts.append("\n".join(f"- {markdown(line)}" for line in LEGEND))
    return "\n\n".join(parts) + "\n"


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


def _seed(section: list[Row]) -> str:
    seed = only_seed(section)
    return f", {seed}" if seed else ""


def _over_seeds(board: Board, section: list[Row]) -> Iterator[str]:
    """Means over seeds and their differences, where an arm has several."""
    means = seed_means(board, section)
    if not means:
        return
    yield f"{MEANS} {pool_text(board, section)}"
    yield _table(mean_cells(board, means, _SCRIPT))
    for baseline in baselines_of(board, section):
        cells = training_cells(board, means, baseline, _SCRIPT)
        if cells is not None:
            yield f"Difference from `{markdown(baseline)}`, training like this:"
            yield _table(cells)


def _claims(recipe: RecipeRecord, board: Board, section: list[Row]) -> Iterator[str]:
    """The verdicts on the recipe's claims by the rows of `section`, which are those of the recipe."""
    unread = [f"- {markdown(line, LONGEST_LINE)}" for line in unread_lines(recipe)]
    if unread:
        yield "\n".join(unread)
    for point, judgements in judge_recipe(recipe, board, section):
        yield f"Claims at {markdown(point_text(point))}:" if point else "Claims:"
        lines = []
        for judgement in judgements:
            claim, *reasons = claim_lines(judgement)
            lines.append(f"- {markdown(claim, LONGEST_LINE)}")
            lines += [f"  - {markdown(reason.strip(), LONGEST_LINE)}" for reason in reasons]
        yield "\n".join(lines)


def _table(cells: Cells) -> str:
    rule = ["---", *["---:"] * (len(cells.header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells.header, rule, *cells.lines])
