"""What was counted, for programs: a line per result and benchmark with nothing that takes draws or tests.

The fields are those of `board_numbers` and mean the same; the average comes without its interval. Thousands
of results take a second.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.rows import AVERAGE, Row
from lrbench.results.text import spreadsheet

FIELDS = (
    *("kind", "suite", "protocol", "expert", "recipe", "arm", "point", "variant", "seed", "arm_id"),
    *("benchmark", "n", "correct", "correct_exact", "accuracy", "low", "high"),
    *("tuned_tokens", "sampled_problems", "sampled_tokens", "seconds"),
)


def counts_to_csv(boards: Sequence[Board]) -> str:
    """The lines of all results of the boards as CSV, to six digits; no formula among them."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(FIELDS)
    for board in boards:
        for row in board.rows:
            writer.writerows(_lines(board, row))
    return stream.getvalue()


def _lines(board: Board, row: Row) -> Iterator[list[object]]:
    imported = any(cell.score.imported for cell in row.cells.values())
    named = (board.suite, board.protocol_hash, row.expert, row.recipe, row.arm)
    apart = (point_text(row.point), row.variant)
    kind = "imported" if imported else "measured"
    place = [kind, *map(spreadsheet, (*named, *apart)), row.seed, row.arm_id]
    costs: list[object] = [""] * 4
    if row.costs is not None and row.seconds is not None:
        made = row.costs
        costs = [made.tuned_tokens, made.sampled_problems, made.sampled_tokens, _digits(row.seconds)]
    average = row.value(AVERAGE)
    if average is not None:
        yield [*place, AVERAGE, "", "", "", _digits(100 * average), "", "", *costs]
    for name, cell in row.cells.items():
        found = cell.accuracy
        shares = (found.value, found.interval.low, found.interval.high)
        counts = [cell.n, cell.correct, cell.score.correct_exact]
        yield [*place, spreadsheet(name), *counts, *(_digits(100 * share) for share in shares), *costs]


def _digits(value: float) -> str:
    return f"{value:.6g}"
