"""A sweep: every point in a table, what choosing the best is worth, and accuracy by the swept field."""

from __future__ import annotations

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.charts import palette_of
from lrbench_dashboard.context import NARROW, OWN_BOXES, WIDE, Context, choose_context
from lrbench_dashboard.links import sweep_token
from lrbench_dashboard.loading import Results, load_results
from lrbench_dashboard.look import begin_page
from lrbench_dashboard.sweep_chart import sweep_spec
from lrbench_dashboard.sweep_table import best_html, claims_html, none_html, summary_html

from lrbench.results.asking import asked_first
from lrbench.results.board import Board
from lrbench.results.choosing import Sweep, sweeps_of
from lrbench.results.claims import judge_recipe
from lrbench.results.text import plain
from lrbench.results.web.sweep_baselines import baselines_html, fields_of
from lrbench.results.web.sweep_picture import longest_field, picture_of
from lrbench.results.wording import expert_label


def main() -> None:
    """Choose a sweep, then its table, its picture and the claims at its points."""
    begin_page(
        "Sweeps",
        "One arm at every point of a sweep. The point that looks best was also lucky: by how much stands "
        "beside it.",
    )
    results = load_results()
    context = choose_context(results)
    board = context.board
    sweeps = _sweeps(context, results)
    if not sweeps:
        st.html(none_html(context.rows, results.boards))
        return
    with st.container(horizontal=True, key=OWN_BOXES):
        labels = {token: _label(sweep, board) for token, sweep in sweeps.items()}
        sweep = sweeps[state.choice("Sweep", labels, key="of", width=WIDE)]
        columns = {column: plain(column, 60) for column in board.columns}
        column = state.choice("Accuracy", columns, key="column", width=NARROW)
        fields = {name: plain(short, 40) for name, short in fields_of(sweep).items()}
        across = state.choice("Across", fields, key="across", default=longest_field(sweep), width=NARROW)
    st.html(best_html(sweep))
    st.html(summary_html(board, sweep, column, results.scored))
    picture = picture_of(sweep, across, column)
    spec = sweep_spec(picture, sweep.first.arm, column, palette_of([sweep.first]))
    alt = f"{column} by {fields[across]} of {plain(sweep.first.arm, 40)}; the numbers are in the table"
    st.vega_lite_chart(spec, width="stretch", theme="streamlit", alt=alt)
    st.html(
        '<p class="lv-caption">Marks are means over seeds (of one run, that run), bands their 95% intervals, '
        f"thin ticks the single runs. {baselines_html(picture.baselines)}</p>"
    )
    record = results.declared.get(sweep.first.recipe)
    if record is not None:
        own = [row for row in board.by_expert[sweep.first.expert_weights] if row.recipe == sweep.first.recipe]
        if judged := judge_recipe(record, board, own):
            st.html(claims_html(judged))


def _sweeps(context: Context, results: Results) -> dict[str, Sweep]:
    """The sweeps of the context by what stands for them in an address, that which is asked of first."""
    found = {sweep_token(sweep.first): sweep for sweep in sweeps_of(context.board, context.rows)}
    ordered = map(sweep_token, asked_first(context.board, context.rows, results.declared))
    return {token: found[token] for token in dict.fromkeys(ordered) if token in found}


def _label(sweep: Sweep, board: Board) -> str:
    row, points = sweep.first, f"{len(sweep.groups)} points"
    return ", ".join([plain(row.arm, 40), plain(row.recipe, 40), points, expert_label(row, board)])


main()
