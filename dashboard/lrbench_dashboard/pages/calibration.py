"""Calibration: what the confidences of answers are worth, result by result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.boards import (
    choose_rows,
    row_link_html,
    row_name_html,
    show_differing,
)
from lrbench_dashboard.charts import palette_of
from lrbench_dashboard.context import choose_context
from lrbench_dashboard.loading import load_results
from lrbench_dashboard.look import begin_page, table_html
from lrbench_dashboard.reliability import show_reliability
from lrbench_dashboard.theme import arm_mark_html

from lrbench.results.board import Board
from lrbench.results.confidences import Confidences
from lrbench.results.records import ScoreRecord
from lrbench.results.rows import AVERAGE, Row
from lrbench.results.text import plain
from lrbench.results.web.text import name_html
from lrbench.results.wording import CALIBRATION, UNKNOWN, accuracy_text

TOGETHER = "all benchmarks together"
WIDER = 230
PLACES = 3
# A picture is a chart of its own; what a result's confidences are worth takes up to 60 ms.
MOST_PICTURES = 12
MOST_ROWS = 40


@dataclass(frozen=True)
class Kind:
    """One thing that may be taken for a confidence: what it is, who has it, and what it is worth."""

    label: str
    says: str
    is_in: Callable[[ScoreRecord], bool]
    of: Callable[[Row, str], Confidences | None]


def _likelihood(row: Row, column: str) -> Confidences | None:
    found = row.traced(column)
    return None if found is None else found.likelihood


KINDS = {
    "stated": Kind(
        "stated",
        "How sure an answer says it is, as the pattern of <code>measure.confidence</code> finds it.",
        lambda score: score.stated is not None,
        Row.stated,
    ),
    "votes": Kind(
        "share of votes",
        "The share of an item's sampled answers that agree, as a confidence that what most say is right.",
        lambda score: score.agreeing is not None,
        Row.votes,
    ),
    "likelihood": Kind(
        "token probability",
        "The mean probability (geometric) of an answer's tokens to the arm's own model. It is no statement "
        "of being right.",
        lambda score: score.traces is not None,
        _likelihood,
    ),
}


def main() -> None:
    """Choose a board and a kind of confidence, then a picture per result and all numbers."""
    begin_page(
        "Calibration",
        "Whether answers are as often right as they are sure. Only results of one protocol are ever shown "
        "together.",
    )
    results = load_results()
    context = choose_context(results)
    board = context.board
    with st.container(horizontal=True, vertical_alignment="bottom"):
        columns = {AVERAGE: TOGETHER, **{name: plain(name, 60) for name in board.benchmarks}}
        column = state.choice("Items", columns, key="column", width=WIDER)
        kind = choose_kind(board)
    if kind is None:
        st.html(
            '<p class="lr-note" role="status">No result here says how sure its answers are. A recipe asks '
            "for it with <code>measure</code>: <code>samples</code>, <code>confidence</code> or "
            "<code>traces</code>.</p>"
        )
        show_differing(results, board)
        return
    rows = choose_rows(context) if context.rows else []
    st.html(f'<p class="lv-caption">{kind.says}</p>')
    worths = [(row, kind.of(row, column)) for row in rows[:MOST_ROWS]]
    found = [(row, worth) for row, worth in worths if worth is not None]
    if len(rows) > MOST_ROWS:
        st.html(
            f'<p class="lr-note">The first {MOST_ROWS} of {len(rows):,} results are shown: '
            "filter to see others.</p>"
        )
    if without := [row for row, worth in worths if worth is None]:
        names = "; ".join(map(row_name_html, without[:MOST_PICTURES]))
        st.html(f'<p class="lv-caption">Without it, or without a result on every benchmark: {names}.</p>')
    if found:
        show_pictures(found)
        st.html("<h2>What it is worth</h2>")
        st.html(worth_html(found, column))
    show_differing(results, board)


def choose_kind(board: Board) -> Kind | None:
    """One of the kinds that results of the board have; None where none has any."""
    scores = [cell.score for row in board.rows for cell in row.cells.values()]
    there = {token: kind.label for token, kind in KINDS.items() if any(map(kind.is_in, scores))}
    if not there:
        return None
    return KINDS[state.tab("Confidence", there, key="confidence", default=next(iter(there)))]


def show_pictures(found: Sequence[tuple[Row, Confidences]]) -> None:
    """A picture of every result whose answers have confidences, as many as there is room for."""
    drawn = [(row, worth.calibration) for row, worth in found if worth.calibration is not None]
    palette = palette_of(row for row, _ in found)
    for start in range(0, len(drawn[:MOST_PICTURES]), PLACES):
        places = st.columns(PLACES, gap="medium")
        for place, (row, calibration) in zip(places, drawn[start : start + PLACES], strict=False):
            with place:
                st.html(
                    f'<p class="lv-legend"><span class="lv-key">{arm_mark_html(row.arm)}{row_name_html(row)}'
                    "</span></p>"
                )
                show_reliability(row, calibration, palette)
    more = ""
    if len(drawn) > MOST_PICTURES:
        more = (
            f" Pictures are drawn of the first {MOST_PICTURES} of {len(drawn)} results: filter to see others."
        )
    st.html(
        '<p class="lv-caption">Each dot is a tenth of the scale: across, the mean confidence of the answers '
        "in it; up, the share of them that is right. On the dashed line answers are as often right as they "
        f"are sure, below it they are too sure. The bars are how many answers there are.{more}</p>"
    )


def worth_html(found: Sequence[tuple[Row, Confidences]], column: str) -> str:
    """The numbers of every result, with their intervals."""
    head = ["result", "have one", "n", "sure", "right", *CALIBRATION]
    lines = [[row_link_html(row), *_texts(worth)] for row, worth in found]
    where = TOGETHER if column == AVERAGE else name_html(column)
    return (
        table_html(head, lines, "What confidences are worth")
        + f'<p class="lv-caption">In percent, of {where}, with 95% intervals; the answers to one item, or to '
        "a group of items, are one unit. Error: the calibration error over ten bins, which chance alone "
        "makes positive; a calibrated one stays below the number beside it in 95 of 100. Brier: the mean "
        "squared distance of confidence and outcome, 0 at best, 25 for always saying 50. AUROC: the chance "
        "that of a right and a wrong answer the right one is surer; 50 is chance.</p>"
    )


def _texts(found: Confidences) -> list[str]:
    worth = found.calibration
    means = [found.share, found.confidence, found.accuracy]
    share, sure, right = (UNKNOWN if one is None else accuracy_text(one) for one in means)
    if worth is None:
        return [share, "0", sure, right, *[UNKNOWN] * len(CALIBRATION)]
    area = UNKNOWN if worth.area is None else accuracy_text(worth.area)
    error = [accuracy_text(worth.error), f"{100 * worth.error_of_calibrated:.1f}"]
    return [share, f"{worth.n:,}", sure, right, *error, accuracy_text(worth.brier), area]


main()
