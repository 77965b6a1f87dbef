"""Experts x arms x benchmarks: did it help, by how much, at what cost, and what is noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.answers import answers_html
from lrbench_dashboard.arm_lines import AGAINST, INTERVAL, OWN, RANK, REPORTED
from lrbench_dashboard.boards import show_differing
from lrbench_dashboard.context import NARROW, Context, choose_context
from lrbench_dashboard.leaderboard_rows import (
    ARMS_PER_PAGE,
    DECLARED,
    Filters,
    difference_label,
    filtered,
    foremost,
    in_order,
    marks,
    pages_of,
    sort_columns,
)
from lrbench_dashboard.leaderboard_table import View, table_html
from lrbench_dashboard.loading import Results, load_results

from lrbench.results.board import Board
from lrbench.results.board_arms import BoardArm, arms_of, once_each
from lrbench.results.counted import counts_to_csv
from lrbench.results.ranks import Ranks, rank_ranges
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from lrbench.results.rows import AVERAGE, Row
from lrbench.results.web.text import names_shown, prose_html
from lrbench.results.wording import (
    COSTS,
    FORGETTING,
    noise_texts,
    notes_on,
    reported_beside,
    sections,
)

SECONDS_PER_ROW = 0.06


def main() -> None:
    """Draw the page: the answer first, then the table, then what is shown of it and its files."""
    results = load_results()
    st.html("<h1>Leaderboard</h1>")
    context = choose_context(results)
    if not context.rows:
        return
    whole = context.board
    answers = st.empty()
    view, filters = _choose_view(context)
    board = _filtered((results.stamp, whole.suite, whole.protocol_hash), whole, filters)
    if not board.rows:
        st.html('<p class="lr-note" role="status">No result passes these filters.</p>')
        return
    pages = _pages(view, board)
    table, notes, pager = st.empty(), st.empty(), st.container()
    with pager:
        place = state.page_number(len(pages), key="page") - 1
    view = replace(pages[place], scored=results.scored)
    # What needs no random draws is seen at once; the rest follows.
    table.html(table_html(view))
    rows = [row for arm in view.shown for row in arm.rows]
    view = replace(
        view,
        complete=True,
        marks=marks(board, rows),
        ranks=_ranks_of(results.stamp, whole, view.shown),
    )
    table.html(table_html(view))
    which = (results.stamp, whole.suite, whole.protocol_hash, context.recipe, context.expert)
    answers.html(_answers(which, whole, results, context.rows))
    if lacking := _notes_html(board, rows):
        notes.html(lacking)
    _downloads(board)
    show_differing(results, whole)


def _choose_view(context: Context) -> tuple[View, Filters]:
    """What the reader wants to see, and of which arms."""
    whole = context.board
    # An order is seen at its column's name; what leaves something out has to be seen here.
    given = state.is_given("arm", "from", "until", "columns")
    with st.expander("Order, columns and filters", expanded=given):
        with st.container(horizontal=True):
            column = state.choice("Order by", sort_columns(whole), key="sort", default=DECLARED, width=NARROW)
            orders = {"down": "highest first", "up": "lowest first"}
            ascending = state.choice("Order", orders, key="order", default="down", width=NARROW) == "up"
            under = {OWN: "difference from its declared baseline"}
            under |= {name: difference_label(name) for name in foremost(whole)} | {INTERVAL: "interval"}
            if reported_beside(whole):
                under |= {REPORTED: "measured minus reported"}
            below = state.choice("Under each benchmark", under, key="under", width=NARROW + 80)
            names = names_shown(row.arm for row in context.rows)
            arms = state.choices("Arms", names, key="arm", width=NARROW + 80)
            first_day = state.day("Recorded from", key="from", width=NARROW)
            last_day = state.day("Recorded until", key="until", width=NARROW)
        columns = state.choices("Columns, in this order (none chosen: all)", _columns(context), key="columns")
    filters = Filters(
        () if context.expert is None else (context.expert,),
        () if context.recipe is None else (context.recipe,),
        tuple(arms),
        first_day,
        last_day,
    )
    shown = tuple(columns or _columns(context))
    order = (column, ascending)
    return View(whole, (), (), shown, below, complete=False, order=order), filters


def _columns(context: Context) -> dict[str, str]:
    """The columns that there are, in their own order."""
    second = [FORGETTING] if any(row.recipe in context.board.forgetting for row in context.rows) else []
    names = {AVERAGE: "average", RANK: "rank", AGAINST: "verdict"}
    return names | names_in_order([*context.board.benchmarks, *second, *COSTS])


def names_in_order(names: Iterable[str]) -> dict[str, str]:
    """Every name with how it stands in a list of choices."""
    return {name: next(iter(names_shown([name]).values())) for name in names}


def _pages(view: View, board: Board) -> list[View]:
    """What is shown of the arms of `board`, page by page: by experiment, or in the order asked for."""
    column, ascending = view.order
    if column == DECLARED:
        return [replace(view, sections=page) for page in pages_of(board)]
    arms = in_order(once_each(arms_of(board)), column, ascending)
    starts = range(0, len(arms), ARMS_PER_PAGE)
    return [replace(view, arms=arms[start : start + ARMS_PER_PAGE]) for start in starts]


def _ranks_of(stamp: object, board: Board, shown: Sequence[BoardArm]) -> Mapping[str, Ranks]:
    """The ranks of the arms shown, each among all arms of its experiment."""
    found: dict[str, Ranks] = {}
    for expert, recipe in dict.fromkeys((arm.first.expert_weights, arm.first.recipe) for arm in shown):
        found |= _ranks((stamp, board.suite, board.protocol_hash, expert, recipe), board, expert, recipe)
    return found


@st.cache_resource(max_entries=8, show_spinner=False)
def _filtered(which: tuple[object, ...], _whole: Board, filters: Filters) -> Board:  # noqa: ARG001 - cached by
    """The board of the rows wanted, which remembers what was found on it."""
    return filtered(_whole, filters)


@st.cache_data(max_entries=256, show_spinner=False)
def _ranks(
    which: tuple[object, ...],  # noqa: ARG001 - cached by
    _board: Board,
    expert: str,
    recipe: str,
) -> dict[str, Ranks]:
    own = [
        group
        for group in _board.groups
        if (group.rows[0].expert_weights, group.rows[0].recipe) == (expert, recipe)
    ]
    return rank_ranges(_board, own)


@st.cache_data(max_entries=64, show_spinner=False)
def _answers(
    which: tuple[object, ...],  # noqa: ARG001 - cached by
    _board: Board,
    _results: Results,
    _rows: Sequence[Row],
) -> str:
    return answers_html(_board, _results.declared, _rows)


def _notes_html(board: Board, rows: Sequence[Row]) -> str:
    """What a reader has to know of the rows shown: what they lack, and baselines that are not their own."""
    shown = replace(board, rows=tuple(rows))
    known = [line for section in sections(shown) for line in noise_texts(board, section)]
    lines = "".join(f"<li>{prose_html(note)}</li>" for note in (*notes_on(shown), *known))
    return f'<ul class="lr-notes">{lines}</ul>' if lines else ""


def _downloads(board: Board) -> None:
    """Files of all rows that pass the filters, made when asked for; what was counted is there at once."""
    count = len(board.rows)
    wait = f" Each of the others takes about {count * SECONDS_PER_ROW:.0f} s." if count > 100 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, write, ending, kind in (
            ("CSV", counts_to_csv, "csv", "text/csv"),
            ("CSV with all tests", boards_to_csv, "tests.csv", "text/csv"),
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
        st.html(
            f'<p class="lr-aside">All {count:,} rows that pass the filters. CSV has what was counted, '
            f"with the benchmarks' intervals.{wait}</p>"
        )


main()
