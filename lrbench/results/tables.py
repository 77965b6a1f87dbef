"""The leaderboard as files: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from lrbench.evaluation.statistics import Comparison
from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board, Group, Row
from lrbench.results.text import markdown, spreadsheet
from lrbench.results.wording import (
    BASELINES,
    COSTS,
    LEGEND,
    MEANS,
    NOTHING,
    UNKNOWN,
    accuracy_text,
    comparison_text,
    cost_texts,
    delta_to,
    expert_label,
    notes_on,
    only_seed,
    row_label,
    sections,
    seed_means,
    size_text,
)

_PLACE = ("suite", "protocol", "expert", "recipe", "arm", "point", "seed", "arm_id", "benchmark")
_RESULT = ("n", "correct", "correct_exact", "accuracy", "low", "high", "best")
_DIFFERENCE = ("difference", "low", "high", "p", "p_adjusted", "separated")
_COST = ("tuned_tokens", "sampled_problems", "sampled_tokens", "seconds")
CSV_FIELDS = (
    *_PLACE,
    *_RESULT,
    *(f"{baseline}_{field}" for baseline in BASELINES for field in _DIFFERENCE),
    *_COST,
)


def boards_to_markdown(boards: Sequence[Board]) -> str:
    """The boards as Markdown tables: accuracies and costs, then the differences from each baseline."""
    if not boards:
        return NOTHING + "\n"
    parts = []
    for position, board in enumerate(boards):
        parts.append(f"## {markdown(board.suite)}, protocol {board.protocol_hash[:8]}")
        for section in sections(board):
            first = section[0]
            expert, recipe = markdown(expert_label(first, board)), markdown(first.recipe)
            parts.append(f"### {expert}, recipe {recipe}{_seed(section)}")
            parts.append(_accuracies(board, section))
            means = seed_means(board, section)
            if means:
                parts.append(MEANS)
                parts.append(_means(board, means))
            for baseline in BASELINES:
                if any(delta_to(row, baseline) for row in section):
                    parts.append(f"Difference from `{baseline}`:")
                    parts.append(_differences(board, section, baseline))
        notes = list(notes_on(board, boards[0] if position else None))
        if notes:
            parts.append("\n".join(f"- {markdown(note.strip())}" for note in notes))
    parts.append("\n".join(f"- {markdown(line)}" for line in LEGEND))
    return "\n\n".join(parts) + "\n"


def boards_to_csv(boards: Sequence[Board]) -> str:
    """The boards as CSV, one line per arm and benchmark (or `average`), numbers to six digits.

    Accuracies and their intervals are in percent, differences in points; empty where there is no number.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    for board in boards:
        for row in board.rows:
            writer.writerows(_csv_lines(board, row))
    return stream.getvalue()


def _seed(section: list[Row]) -> str:
    seed = only_seed(section)
    return f", {seed}" if seed else ""


def _accuracies(board: Board, section: list[Row]) -> str:
    header = ["arm"]
    for column in board.columns:
        size = size_text(column, section)
        header.append(f"{markdown(column)}, {size}" if size else markdown(column))
    lines = []
    for row in section:
        cells = []
        for column in board.columns:
            estimate = row.on(column)
            text = UNKNOWN if estimate is None else accuracy_text(estimate)
            best = (row.arm_id, column) in board.best
            cells.append(f"**{text}** \\*" if best else text)
        lines.append([markdown(row_label(row, section)), *cells, *cost_texts(row)])
    return _table([*header, *COSTS], lines)


def _means(board: Board, means: list[tuple[str, Group]]) -> str:
    lines = [
        [
            markdown(label),
            *(
                UNKNOWN if mean is None else accuracy_text(mean)
                for mean in (group.on(column) for column in board.columns)
            ),
        ]
        for label, group in means
    ]
    return _table(["arm", *map(markdown, board.columns)], lines)


def _differences(board: Board, section: list[Row], baseline: str) -> str:
    lines = [
        [markdown(row_label(row, section)), *(comparison_text(delta.on(column)) for column in board.columns)]
        for row in section
        if (delta := delta_to(row, baseline))
    ]
    return _table(["arm", *map(markdown, board.columns)], lines)


def _table(header: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *lines])


def _csv_lines(board: Board, row: Row) -> Iterator[dict[str, object]]:
    for column in board.columns:
        estimate = row.on(column)
        if estimate is None:
            continue
        line: dict[str, object] = {
            "suite": spreadsheet(board.suite),
            "protocol": board.protocol_hash,
            "expert": spreadsheet(row.expert),
            "recipe": spreadsheet(row.recipe),
            "arm": spreadsheet(row.arm),
            "point": spreadsheet(point_text(row.point)),
            "seed": row.seed,
            "arm_id": spreadsheet(row.arm_id),
            "benchmark": spreadsheet(column),
            "accuracy": _number(100 * estimate.value),
            "low": _number(100 * estimate.interval.low),
            "high": _number(100 * estimate.interval.high),
            "best": (row.arm_id, column) in board.best,
        }
        if column in row.cells:
            score = row.cells[column].score
            line |= {"n": score.n, "correct": score.correct, "correct_exact": score.correct_exact}
        for baseline in BASELINES:
            delta = delta_to(row, baseline)
            comparison = None if delta is None else delta.on(column)
            if comparison is not None:
                line |= _csv_difference(baseline, comparison)
        if row.costs is not None and row.seconds is not None:
            line |= {
                "tuned_tokens": row.costs.tuned_tokens,
                "sampled_problems": row.costs.sampled_problems,
                "sampled_tokens": row.costs.sampled_tokens,
                "seconds": _number(row.seconds),
            }
        yield line


def _csv_difference(baseline: str, comparison: Comparison) -> dict[str, object]:
    values = (
        _number(comparison.difference),
        _number(comparison.interval.low),
        _number(comparison.interval.high),
        _number(comparison.p),
        _number(comparison.p_adjusted),
        comparison.separated,
    )
    return {f"{baseline}_{field}": value for field, value in zip(_DIFFERENCE, values, strict=True)}


def _number(value: float) -> str:
    return f"{value:.6g}"
