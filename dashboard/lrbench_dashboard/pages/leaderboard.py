"""Experts x arms x benchmarks: did it help, by how much, at what cost, and what is noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.answers import answers_html
from lrbench_dashboard.boards import NARROW, choose_board, show_differing
from lrbench_dashboard.leaderboard_rows import (
    DECLARED,
    Filters,
    difference_label,
    draw_averages,
    filtered,
    foremost,
    in_order,
    marks,
    sort_columns,
)
from lrbench_dashboard.leaderboard_table import INTERVAL, View, table_html
from lrbench_dashboard.loading import load_results
from lrbench_dashboard.text import name_html, names_shown

from lrbench.results.board import Board
from lrbench.results.latex import boards_to_latex
from lrbench.results.rows import Row
from lrbench.results.tables import boards_to_csv, boards_to_markdown
from lrbench.results.wording import chosen_texts, noise_texts, notes_on, sections

# Few enough that a page of rows never seen before is estimated in half a second.
ROWS_PER_PAGE = 10
SECONDS_PER_ROW = 0.06


def main() -> None:
    """Draw the page: the answer first, then what to show, then the table."""
    results = load_results()
    st.html("<h1>Leaderboard</h1>")
    answers = st.empty()
    with st.container(horizontal=True):
        whole = choose_board(results)
        column = state.choice("Sort by", sort_columns(whole), key="sort", default=DECLARED, width=NARROW)
        orders = {"down": "highest first", "up": "lowest first"}
        ascending = state.choice("Order", orders, key="order", default="down", width=NARROW) == "up"
        under = {name: difference_label(name) for name in foremost(whole)} | {INTERVAL: "interval"}
        baseline = state.choice("Under each benchmark", under, key="under", width=NARROW)
    filters = _filters(whole)
    board = filtered(whole, filters)
    ordered = in_order(board, column, ascending)
    if not ordered:
        st.html('<p class="lr-note" role="status">No result passes these filters.</p>')
        return
    table, notes, pager = st.empty(), st.empty(), st.container()
    with pager:
        pages = -(-len(ordered) // ROWS_PER_PAGE)
        page = state.page_number(pages, key="page")
    rows = ordered[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE]
    # What needs no random draws is seen at once; the rest follows.
    grouped = column == DECLARED
    table.html(table_html(View(board, rows, baseline, grouped, complete=False)))
    draw_averages(rows)
    table.html(table_html(View(board, rows, baseline, grouped, True, marks(board, rows), whole)))
    answers.html(
        _answers((results.stamp, board.suite, board.protocol_hash, filters), board, whole, results.meant)
    )
    if lacking := _notes_html(board, rows):
        notes.html(lacking)
    _downloads(board)
    show_differing(results, whole)


def _filters(board: Board) -> Filters:
    filtering = state.is_given("expert", "arm", "recipe", "from", "until")
    with st.expander("Filter by expert, arm, recipe, date", expanded=filtering):
        left, middle, right = st.columns(3)
        with left:
            experts = state.choices("Experts", names_shown(row.expert for row in board.rows), key="expert")
            first_day = state.day("Recorded from", key="from")
        with middle:
            arms = state.choices("Arms", names_shown(row.arm for row in board.rows), key="arm")
            last_day = state.day("Recorded until", key="until")
        with right:
            recipes = state.choices("Recipes", names_shown(row.recipe for row in board.rows), key="recipe")
    return Filters(tuple(experts), tuple(recipes), tuple(arms), first_day, last_day)


@st.cache_data(max_entries=64, show_spinner=False)
def _answers(
    which: tuple[object, ...],  # noqa: ARG001 - cached by
    _board: Board,
    _whole: Board,
    _meant: frozenset[str],
) -> str:
    return answers_html(_board, _whole, _meant)


def _notes_html(board: Board, rows: Sequence[Row]) -> str:
    """What a reader has to know of the rows shown: what they lack, and baselines that are not their own."""
    shown = replace(board, rows=tuple(rows))
    known = [
        line
        for section in sections(shown)
        for line in (*noise_texts(board, section), *chosen_texts(board, section))
    ]
    lines = "".join(f"<li>{name_html(note, 600)}</li>" for note in (*notes_on(shown), *known))
    return f'<ul class="lr-notes">{lines}</ul>' if lines else ""


def _downloads(board: Board) -> None:
    """Files of all rows that pass the filters, made when asked for."""
    count = len(board.rows)
    wait = f" Making one takes about {count * SECONDS_PER_ROW:.0f} s." if count > 100 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, write, ending, kind in (
            ("CSV", boards_to_csv, "csv", "text/csv"),
            ("Markdown", boards_to_markdown, "md", "text/markdown"),
            ("LaTeX", boards_to_latex, "tex", "text/x-tex"),
        ):
            st.download_button(
                label,
                data=partial(write, [board]),
                file_name=f"leaderboard-{board.protocol_hash[:8]}.{ending}",
                mime=kind,
                on_click="ignore",
                key=f"download-{ending}",
            )
        st.html(f'<p class="lr-aside">All {count:,} rows that pass the filters.{wait}</p>')


main()
