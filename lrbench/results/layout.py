"""What stands in the cells of a board's tables, whatever they are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lrbench.evaluation.statistics import Calibration
from lrbench.results.board import Board
from lrbench.results.confidences import Confidences
from lrbench.results.reported import ReportedResult
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.wording import (
    CALIBRATED,
    CALIBRATION,
    COSTS,
    FORGETTING,
    LIKELIHOOD,
    LIKELY,
    SAID,
    STATED,
    TRACED,
    TRACES,
    UNKNOWN,
    USES,
    accuracy_text,
    comparison_text,
    cost_texts,
    forgetting_text,
    number_text,
    reported_on,
    reported_size_text,
    row_label,
    size_text,
    uses_texts,
)


@dataclass(frozen=True)
class Script:
    """How a format writes `text` of anybody's, a `number` of ours, and one that is `best` of its column.

    `best_of_runs` is best of these runs alone.
    """

    text: Callable[[str], str]
    number: Callable[[str], str]
    best: Callable[[str], str]
    best_of_runs: Callable[[str], str]


@dataclass(frozen=True)
class Cells:
    """A table's header and lines, which have as many cells; the first names what a line is about.

    The last column `is_wide` where it takes more room than a terminal has.
    """

    header: list[str]
    lines: list[list[str]]
    is_wide: bool = False


def accuracy_cells(board: Board, section: list[Row], script: Script) -> Cells:
    """Accuracies and costs, a line per row."""
    header = ["arm", *(_headed(column, size_text(column, section), script) for column in board.columns)]
    lost = board.forgetting.get(section[0].recipe)
    header += [] if lost is None else [_headed(FORGETTING, script.text(lost.board.suite), script)]
    lines = []
    for row in section:
        cells = []
        for column in board.columns:
            estimate = row.on(column)
            text = script.number(UNKNOWN if estimate is None else accuracy_text(estimate))
            cells.append(_marked(board, row, column, text, script))
        cells += [] if lost is None else [script.number(forgetting_text(lost.of(row)))]
        lines.append([script.text(row_label(row, section)), *cells, *map(script.number, cost_texts(row))])
    return Cells([*header, *COSTS], lines)


def uses_cells(section: list[Row], script: Script) -> Cells | None:
    """What answers took and what arms use, a line per row; None where no row uses more than the pair."""
    if not any(row.uses.notable for row in section):
        return None
    lines = [
        [script.text(row_label(row, section)), *map(script.text, uses_texts(row.uses))] for row in section
    ]
    return Cells(["arm", *USES], lines)


def draws_cells(columns: Sequence[str], section: list[Row], script: Script) -> Cells | None:
    """pass@k and maj@k in `columns`, two lines per row; None where answers were not sampled."""
    lines = []
    for row in section:
        found = {column: row.of_draws(column) for column in columns}
        if any(found.values()):
            for place, name in enumerate((f"pass@{row.draws}", f"maj@{row.draws}")):
                texts = [accuracy_text(both[place]) if both else UNKNOWN for both in found.values()]
                lines.append([script.text(row_label(row, section)), name, *map(script.number, texts)])
    return Cells(["arm", "of k", *map(script.text, columns)], lines) if lines else None


def answers_cells(section: list[Row], script: Script) -> Iterator[tuple[str, Cells]]:
    """What is known of answers besides whether they are right: a title and a table each, where measured."""
    for title, cells in (
        (CALIBRATED, calibration_cells(section, script)),
        (STATED, stated_cells(section, script)),
        (LIKELIHOOD, likelihood_cells(section, script)),
        (TRACES, traced_cells(section, script)),
    ):
        if cells is not None:
            yield title, cells


def calibration_cells(section: list[Row], script: Script) -> Cells | None:
    """What the share of votes is worth as a confidence, a line per row; None without sampled answers."""
    lines = []
    for row in section:
        found = row.votes(AVERAGE)
        if found is not None:
            n, _, _, *rest = _worth_texts(found)
            texts = map(script.number, (n, *rest))
            lines.append([script.text(row_label(row, section)), *texts])
    header = ["arm", "n", *CALIBRATION, "n up to a share of"]
    return Cells(header, lines, is_wide=True) if lines else None


def traced_cells(section: list[Row], script: Script) -> Cells | None:
    """What the tokens of answers say, a line per row; None where that was not measured."""
    lines = []
    for row in section:
        found = row.traced(AVERAGE)
        if found is None:
            continue
        texts = (
            str(found.n),
            UNKNOWN if found.nats_per_token is None else number_text(found.nats_per_token, 3),
            number_text(found.tokens, 1),
            accuracy_text(found.right_once),
            UNKNOWN if found.beyond is None else number_text(found.beyond, 1),
            accuracy_text(found.cut),
        )
        lines.append([script.text(row_label(row, section)), *map(script.number, texts)])
    return Cells(["arm", *TRACED], lines) if lines else None


def likelihood_cells(section: list[Row], script: Script) -> Cells | None:
    """What the likelihood of tokens is worth as a confidence, a line per row; None where not measured."""
    lines = []
    for row in section:
        found = row.traced(AVERAGE)
        if found is not None:
            texts = map(script.number, _worth_texts(found.likelihood))
            lines.append([script.text(row_label(row, section)), *texts])
    header = ["arm", *LIKELY, *CALIBRATION, "n up to a confidence of"]
    return Cells(header, lines, is_wide=True) if lines else None


def stated_cells(section: list[Row], script: Script) -> Cells | None:
    """How sure answers say they are and what that is worth, a line per row; None where it was not read."""
    lines = []
    for row in section:
        found = row.stated(AVERAGE)
        if found is not None:
            texts = map(script.number, (accuracy_text(found.share), *_worth_texts(found)))
            lines.append([script.text(row_label(row, section)), *texts])
    header = ["arm", *SAID, *CALIBRATION, "n up to a confidence of"]
    return Cells(header, lines, is_wide=True) if lines else None


def _worth_texts(found: Confidences) -> list[str]:
    """How many confidences there are, their mean, how many are right, and what they are worth."""
    means = [UNKNOWN if one is None else accuracy_text(one) for one in (found.confidence, found.accuracy)]
    worth = found.calibration
    n, *rest = ("0", *[UNKNOWN] * 5) if worth is None else (str(worth.n), *_calibration_texts(worth))
    return [n, *means, *rest]


def _calibration_texts(found: Calibration) -> list[str]:
    """The cells under `CALIBRATION`, and how many there are in each bin."""
    return [
        accuracy_text(found.error),
        f"{100 * found.error_of_calibrated:.1f}",
        accuracy_text(found.brier),
        UNKNOWN if found.area is None else accuracy_text(found.area),
        ", ".join(f"{one.high:g}: {one.n}" for one in found.bins),
    ]


def difference_cells(board: Board, section: list[Row], baseline: str, script: Script) -> Cells:
    """Differences from `baseline` in points, a line per row that can be compared with it."""
    lines = [
        [
            script.text(row_label(row, section)),
            *(script.number(comparison_text(delta.on(column))) for column in board.columns),
        ]
        for row in section
        if (delta := row.against.get(baseline))
    ]
    return Cells(["arm", *map(script.text, board.columns)], lines)


def mean_cells(board: Board, means: Sequence[tuple[str, Group]], script: Script) -> Cells:
    """Means over seeds, a line per arm that has several."""
    lost = board.forgetting.get(means[0][1].rows[0].recipe)
    lines = []
    for label, group in means:
        found = map(group.on, board.columns)
        texts = (UNKNOWN if mean is None else accuracy_text(mean) for mean in found)
        cells = list(map(script.number, texts))
        cells += [] if lost is None else [script.number(forgetting_text(lost.over_seeds(group)))]
        lines.append([script.text(label), *cells])
    header = ["arm", *map(script.text, board.columns), *([] if lost is None else [FORGETTING])]
    return Cells(header, lines)


def training_cells(
    board: Board, means: Sequence[tuple[str, Group]], baseline: str, script: Script
) -> Cells | None:
    """Differences from `baseline` over all seeds, a line per arm with several; None where there are none."""
    lines = []
    for label, group in means:
        found = board.over_seeds(group, baseline)
        if found:
            texts = (comparison_text(found.get(column)) for column in board.columns)
            lines.append([script.text(label), *map(script.number, texts)])
    return Cells(["arm", *map(script.text, board.columns)], lines) if lines else None


def _marked(board: Board, row: Row, column: str, text: str, script: Script) -> str:
    place = (row.arm_id, column)
    if place in board.best_of_runs:
        return script.best_of_runs(text)
    return script.best(text) if place in board.best else text


def reported_cells(board: Board, reported: Sequence[ReportedResult], script: Script) -> Cells:
    """What the paper reports for one expert, a line per arm."""
    header = [_headed(column, reported_size_text(reported[0], column), script) for column in board.columns]
    lines = [
        [
            f"{script.text(row.arm)}, reported",
            *(script.number(accuracy_text(reported_on(row, column, board))) for column in board.columns),
        ]
        for row in reported
    ]
    return Cells(["arm", *header], lines)


def _headed(column: str, size: str, script: Script) -> str:
    return f"{script.text(column)}, {size}" if size else script.text(column)
