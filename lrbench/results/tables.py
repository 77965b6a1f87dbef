"""The leaderboard as files: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from lrbench.evaluation.statistics import Comparison, Estimate, SeedMean
from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.claim_words import claim_lines, unread_lines
from lrbench.results.claims import judge_recipe
from lrbench.results.declarations import notes_on_declarations, standing
from lrbench.results.layout import (
    Cells,
    Script,
    accuracy_cells,
    difference_cells,
    mean_cells,
    reported_cells,
    training_cells,
    uses_cells,
)
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.text import markdown, spreadsheet
from lrbench.results.uses import UNKNOWN
from lrbench.results.wording import (
    LEGEND,
    MEANS,
    NOTHING,
    REPORTED,
    TOOK,
    baselines_of,
    chosen_texts,
    expert_label,
    notes_on,
    only_seed,
    pool_text,
    reported_beside,
    reported_on,
    sections,
    seed_means,
)

_PLACE = (
    "kind",
    "suite",
    "protocol",
    "expert",
    "recipe",
    "arm",
    "point",
    "variant",
    "seed",
    "arm_id",
    "benchmark",
)
_RESULT = ("seeds", "n", "correct", "correct_exact", "accuracy", "low", "high", "best", "best_of")
# Of one run each; then of all seeds: training like this, and whether these runs differ.
_DIFFERENCE = ("difference", "low", "high", "p", "p_adjusted", "separated", "verdict")
_TRAINING = (
    "difference",
    "low",
    "high",
    "p",
    "p_adjusted",
    "verdict",
    "pooled_arms",
    "runs_p_adjusted",
    "runs_verdict",
)
# A claim's sentence names two arms, each with its settings.
LONGEST_LINE = 1000
_COST = ("tuned_tokens", "sampled_problems", "sampled_tokens", "seconds")
_USES = tuple(UNKNOWN.fields)


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
    """The boards as CSV, one line per result and benchmark (or `average`), numbers to six digits.

    `kind` says of what: `measured` of an arm with one seed, `mean` of its mean over `seeds` seeds, and
    `reported` of a number that the paper reports, as `source` says, under a protocol of its own.
    Accuracies and their intervals are in percent, differences in points; empty where there is no number.
    Of every baseline on the boards there are columns that begin with its arm. The last columns say what an
    arm uses and what its answers took, over all benchmarks together.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, csv_fields(boards), lineterminator="\n")
    writer.writeheader()
    for board in boards:
        for row in board.rows:
            writer.writerows(_csv_lines(board, row))
        for group in board.groups:
            if len(group.rows) > 1:
                writer.writerows(_csv_means(board, group))
    published = (tuple(line.items()) for board in boards for line in _csv_reported(board))
    # Boards of one suite may stand beside the same published numbers.
    writer.writerows(map(dict, dict.fromkeys(published)))
    return stream.getvalue()


def csv_fields(boards: Sequence[Board]) -> list[str]:
    """The columns of `boards_to_csv`."""
    baselines = dict.fromkeys(baseline for board in boards for baseline in board.baselines)
    return [
        *_PLACE,
        *_RESULT,
        *(_csv_field(baseline, field) for baseline in baselines for field in _DIFFERENCE),
        *(_csv_field(baseline, f"training_{field}") for baseline in baselines for field in _TRAINING),
        *_COST,
        "source",
        *_USES,
    ]


def _csv_field(baseline: str, field: str) -> str:
    return spreadsheet(f"{baseline}_{field}")


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


def _csv_lines(board: Board, row: Row) -> Iterator[dict[str, object]]:
    for column in board.columns:
        estimate = row.on(column)
        if estimate is None:
            continue
        line: dict[str, object] = {
            **_csv_place("measured", board, row, column),
            "seed": row.seed,
            "arm_id": spreadsheet(row.arm_id),
            **_csv_accuracy(estimate),
            "best": (row.arm_id, column) in board.best,
            "best_of": _best_of(board, row, column),
        }
        if column in row.cells:
            score = row.cells[column].score
            line |= {"n": score.n, "correct": score.correct, "correct_exact": score.correct_exact}
        for baseline, delta in row.against.items():
            comparison = delta.on(column)
            if comparison is not None:
                line |= _csv_difference(baseline, comparison)
        if row.costs is not None and row.seconds is not None:
            line |= {
                "tuned_tokens": row.costs.tuned_tokens,
                "sampled_problems": row.costs.sampled_problems,
                "sampled_tokens": row.costs.sampled_tokens,
                "seconds": _number(row.seconds),
            }
        yield line | _csv_uses(row)


def _csv_uses(row: Row) -> dict[str, object]:
    """What the arm uses, the same for all its benchmarks; empty where it is not recorded."""
    return {name: _csv_value(value) for name, value in row.uses.fields.items()}


def _csv_value(value: bool | str | int | float | None) -> object:
    if isinstance(value, str):
        return spreadsheet(value)
    return _number(value) if isinstance(value, float) else value


def _best_of(board: Board, row: Row, column: str) -> str:
    """Of what the row is the best: of `training` like this, of these `runs` alone, or of nothing."""
    if (row.arm_id, column) not in board.best:
        return ""
    return "runs" if (row.arm_id, column) in board.best_of_runs else "training"


def _csv_means(board: Board, group: Group) -> Iterator[dict[str, object]]:
    against = {baseline: board.over_seeds(group, baseline) for baseline in board.baselines}
    for column in board.columns:
        mean = group.on(column)
        if mean is not None:
            rows = [row for row in group.rows if row.value(column) is not None]
            line: dict[str, object] = {}
            for baseline, found in against.items():
                if column in found:
                    line |= _csv_training(baseline, found[column])
            yield line | {
                **_csv_place("mean", board, rows[0], column),
                "seeds": len(rows),
                "n": None if column == AVERAGE else rows[0].cells[column].n,
                **_csv_accuracy(mean),
            }


def _csv_reported(board: Board) -> Iterator[dict[str, object]]:
    for reported in reported_beside(board).values():
        for row in reported:
            for column in board.columns:
                yield {
                    "kind": "reported",
                    "suite": spreadsheet(board.suite),
                    "expert": spreadsheet(row.expert),
                    "arm": spreadsheet(row.arm),
                    "benchmark": spreadsheet(column),
                    "n": None if column == AVERAGE else row.n(column),
                    **_csv_accuracy(reported_on(row, column, board)),
                    "source": row.source,
                }


def _csv_place(kind: str, board: Board, row: Row, column: str) -> dict[str, object]:
    return {
        "kind": kind,
        "suite": spreadsheet(board.suite),
        "protocol": board.protocol_hash,
        "expert": spreadsheet(row.expert),
        "recipe": spreadsheet(row.recipe),
        "arm": spreadsheet(row.arm),
        "point": spreadsheet(point_text(row.point)),
        "variant": spreadsheet(row.variant),
        "benchmark": spreadsheet(column),
    }


def _csv_accuracy(estimate: Estimate | SeedMean) -> dict[str, object]:
    return {
        "accuracy": _number(100 * estimate.value),
        "low": _number(100 * estimate.interval.low),
        "high": _number(100 * estimate.interval.high),
    }


def _csv_numbers(comparison: Comparison) -> tuple[object, ...]:
    """The difference, the ends of its interval, p, and p after Holm."""
    low, high = comparison.interval.low, comparison.interval.high
    values = (comparison.difference, low, high, comparison.p, comparison.p_adjusted)
    return tuple(_number(value) for value in values)


def _csv_training(baseline: str, comparison: Comparison) -> dict[str, object]:
    runs = comparison.runs
    values = (
        *_csv_numbers(comparison),
        comparison.verdict,
        comparison.pooled,
        None if runs is None else _number(runs.p_adjusted),
        None if runs is None else runs.verdict,
    )
    fields = (_csv_field(baseline, f"training_{field}") for field in _TRAINING)
    return dict(zip(fields, values, strict=True))


def _csv_difference(baseline: str, comparison: Comparison) -> dict[str, object]:
    values = (
        *_csv_numbers(comparison),
        comparison.separated,
        comparison.verdict,
    )
    return dict(zip((_csv_field(baseline, field) for field in _DIFFERENCE), values, strict=True))


def _number(value: float) -> str:
    return f"{value:.6g}"
