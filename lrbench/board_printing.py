"""Printing the leaderboard, or writing it where it is no text."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.errors import UserError
from lrbench.output import complain, tell

if TYPE_CHECKING:
    from lrbench.results.board import Board
    from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord


class TableFormat(StrEnum):
    """How `results` prints."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    EVERY_EVAL_EVER = "every-eval-ever"


# What is no text to print, with an example of where it goes.
WRITTEN = {TableFormat.PARQUET: "scores.parquet", TableFormat.EVERY_EVAL_EVER: "a_new_folder"}


def print_results(
    runs: Path,
    wanted: Callable[[ArmRecord | ScoreRecord], bool],
    format_: TableFormat,
    as_run_last: bool = False,
    recipe: str | None = None,
    to: Path | None = None,
    everything: bool = True,
) -> None:
    """Print the wanted results; `as_run_last`, a recipe means what it was run as last, overrides included.

    Where not `everything` is wanted, a table of many rows shows what was measured last. What is no text is
    written `to` a file or folder. Raises `UserError` when there are none of `recipe`.
    """
    example = WRITTEN.get(format_)
    if example is not None and to is None:
        raise UserError(f"--format {format_} is no text to print; say where it goes: `--to {example}`")
    if example is None and to is not None:
        raise UserError(
            f"--format {format_} is printed: `lrbench results --format {format_} > {shlex.quote(str(to))}` "
            f"writes it down. `--to` is for --format {' and '.join(WRITTEN)}"
        )
    from lrbench.results.board import build_boards
    from lrbench.results.computed import computed_once
    from lrbench.results.console import Screen
    from lrbench.results.ledger import Ledger
    from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
    from lrbench.results.rendering.latex import boards_to_latex
    from lrbench.results.rendering.terminal import MOST_ROWS, show_boards

    contents = Ledger(runs / "ledger").read()
    for broken in contents.broken:
        complain(f"warning: {broken}")
    declared = [record.recipe for record in contents.recipes]
    known = dict.fromkeys([*declared, *(record.recipe for record in contents.scores)])
    if recipe is not None and recipe not in known:
        from lrbench.results.bundle.contents import unknown_recipe

        raise unknown_recipe(recipe, list(known))

    recipes: Sequence[RecipeRecord] = contents.recipes
    if as_run_last:
        recipes = list({record.recipe: record for record in recipes}.values())
    boards = build_boards(contents.arms, filter(wanted, contents.scores), recipes)
    with computed_once(runs / "ledger"):
        if format_ is TableFormat.TABLE:
            show_boards(boards, Screen(), recipes, None if everything else MOST_ROWS)
        elif format_ is TableFormat.MARKDOWN:
            tell(boards_to_markdown(boards, recipes), nl=False)
        elif format_ is TableFormat.LATEX:
            tell(boards_to_latex(boards), nl=False)
        elif format_ is TableFormat.CSV:
            tell(boards_to_csv(boards), nl=False)
        elif format_ is TableFormat.JSON:
            from lrbench.results.rendering.number_files import boards_to_json

            tell(boards_to_json(boards))
        elif to is not None:
            _write_results(boards, format_, runs, to)


def _write_results(boards: Sequence[Board], format_: TableFormat, runs: Path, to: Path) -> None:
    from lrbench.results.foreign.exporting import export_boards
    from lrbench.results.rendering.number_files import write_parquet

    if format_ is TableFormat.PARQUET:
        tell(f"{to}: {write_parquet(boards, to):,} lines")
    else:
        tell(str(export_boards(boards, runs, to)))
