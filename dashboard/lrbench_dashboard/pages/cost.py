"""Cost and quality: what accuracy was bought with, and how training went."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.boards import (
    choose_rows,
    group_labels,
    row_link_html,
    row_name_html,
    show_differing,
)
from lrbench_dashboard.charts import Palette, palette_of
from lrbench_dashboard.context import NARROW, WIDE, Context, choose_context
from lrbench_dashboard.cost_chart import cost_text, show_costs
from lrbench_dashboard.curves import lines_of, show_curve, without_numbers
from lrbench_dashboard.loading import Results, load_results
from lrbench_dashboard.look import begin_page, table_html

from lrbench.results.board_arms import run_costs
from lrbench.results.frontier import COSTS, Point, cost_of, frontier, gain, points_of
from lrbench.results.rows import Group, Row
from lrbench.results.text import plain
from lrbench.results.web.curves import CURVES
from lrbench.results.web.text import name_html
from lrbench.results.wording import accuracy_text, comparison_text, duration_text

# Intervals of averages are drawn by resampling, some 15 ms each.
MOST_INTERVALS = 100
NOTHING = "–"
NONE_OUT = "none"
MOST_CURVES = 40
MOST_NOTES = 10
# A test of averages takes some 60 ms.
MOST_TESTS = 16


def main() -> None:
    """Choose a board and what to plot, then two views of the same rows."""
    begin_page(
        "Cost and quality",
        "What each arm scores, against what it took to make it or takes to answer. Only results of one "
        "protocol are ever drawn together.",
    )
    results = load_results()
    context = choose_context(results)
    board = context.board
    with st.container(horizontal=True):
        columns = {column: plain(column, 60) for column in board.columns}
        column = state.choice("Accuracy", columns, key="column", width=NARROW)
        kind = state.choice("Cost", COSTS, key="cost", width=NARROW)
        pointed = _point_out(context)
    rows = choose_rows(context) if context.rows else []
    if not rows:
        return
    palette = palette_of(rows)
    if pointed is not None:
        st.html(_costs_html(pointed))
    points = show_points(rows, kind, column, palette, pointed)
    st.html("<h2>The frontier</h2>")
    table = st.empty()
    table.html(frontier_html(points, kind, column, tested=False))
    st.html("<h2>Training</h2>")
    show_training(rows, results, palette)
    show_differing(results, board)
    # Tests of averages take a while: all else is seen before.
    table.html(frontier_html(points, kind, column, tested=True))


def _point_out(context: Context) -> Group | None:
    """The arm that the reader, or the link that led here, wants to see among all others."""
    groups = {group.rows[-1].arm_id: group for group in context.board.groups if context.keeps(group.rows[-1])}
    aliases = {row.arm_id: token for token, group in groups.items() for row in group.rows}
    labels = group_labels(context.board)
    options = {NONE_OUT: "no arm"} | {token: labels[token] for token in groups}
    return groups.get(state.choice("Point out", options, key="of", aliases=aliases, width=WIDE))


def _costs_html(group: Group) -> str:
    """What one run of an arm cost, in words."""
    row, costs = group.rows[-1], run_costs(group)
    name = f"<b>{name_html(row.arm)}</b> of {name_html(row.recipe)}"
    if costs is None:
        return f'<p class="lr-note">{name}: the ledger has no record of what it cost.</p>'
    runs = "A run of" if len(group.rows) > 1 else "Making"
    mean = f", the mean of {len(group.rows)} runs" if len(group.rows) > 1 else ""
    return (
        f'<p class="lr-note">{runs} {name} took {costs.tuned_tokens:,.0f} tuned tokens, '
        f"{costs.sampled_problems:,.0f} sampled problems and {duration_text(costs.seconds)}{mean}.</p>"
    )


def show_points(
    rows: Sequence[Row], kind: str, column: str, palette: Palette, pointed: Group | None = None
) -> list[Point]:
    """The chart with its legend, and what is not in it; returns the points drawn."""
    points = points_of(rows, kind, column)
    st.html(palette.legend_html())
    chart = st.empty()
    few = len(points) <= MOST_INTERVALS
    for with_intervals in (False, True) if few else (False,):
        with chart.container():
            show_costs(points, kind, column, palette, with_intervals, pointed)
    for sentence in _missing(rows, points, kind, column):
        st.html(f'<p class="lv-caption">{sentence}</p>')
    interval = (
        "Bars are 95% intervals. "
        if few
        else (f"Intervals are drawn for up to {MOST_INTERVALS} results: filter to see them. ")
    )
    st.html(
        f'<p class="lv-caption">{interval}Thin lines tie the seeds of one arm together. The dashed line is '
        "the frontier: nothing cheaper scores higher. What cost nothing stands apart on the left.</p>"
    )
    return points


def frontier_html(points: Sequence[Point], kind: str, column: str, tested: bool) -> str:
    """The results that nothing beats at the same or a lower cost, each set against the one before."""
    lines = []
    before: Row | None = None
    best = frontier(points)
    tested = tested and len(best) <= MOST_TESTS
    for point in best:
        estimate = point.row.on(column) if tested else None
        lines.append(
            [
                row_link_html(point.row),
                cost_text(point.cost, kind),
                f"{100 * point.accuracy:.1f}" if estimate is None else accuracy_text(estimate),
                _gain_text(point.row, before, column) if tested and before else NOTHING,
            ]
        )
        before = point.row
    head = ["result", COSTS[kind], f"{name_html(column)}, percent", "more than the one above, points"]
    caption = (
        '<p class="lv-caption">'
        "Tests on the same items (McNemar's mid-p; the average by sign-flip permutation), each alone: "
        "p is not corrected for their number.</p>"
    )
    return table_html(head, lines, "The frontier") + caption


def show_training(rows: Sequence[Row], results: Results, palette: Palette) -> None:
    """Every curve that the rows' records hold, two beside each other."""
    trained = [row for row in rows if row.arm_id in results.arms and results.arms[row.arm_id].curves]
    if not trained:
        st.html(
            '<p class="lr-note">None of these results was trained, or the ledger has no curves of it.</p>'
        )
        return
    if len(trained) > MOST_CURVES:
        st.html(
            f'<p class="lr-note">The first {MOST_CURVES} of {len(trained):,} trained results are drawn: '
            "filter to see others.</p>"
        )
        trained = trained[:MOST_CURVES]
    found = {name: lines for name in CURVES if (lines := lines_of(trained, results.arms, name))}
    st.html(palette_of(trained).legend_html())
    places = st.columns(2, gap="medium")
    for number, (name, lines) in enumerate(found.items()):
        with places[number % 2]:
            show_curve(lines, name, palette)
    st.html(
        '<p class="lv-caption">Seeds of one arm are thin lines, their mean is the thick one. Losses of arms '
        "with different targets do not measure the same thing.</p>"
    )
    if broken := without_numbers(trained, results.arms):
        more = f"<br>and {len(broken) - MOST_NOTES} more" if len(broken) > MOST_NOTES else ""
        sentences = "<br>".join(name_html(sentence, 300) for sentence in broken[:MOST_NOTES])
        st.html(f'<p class="lr-note lr-problem">{sentences}{more}</p>')


def _missing(rows: Sequence[Row], points: Sequence[Point], kind: str, column: str) -> Iterable[str]:
    drawn = {point.row.arm_id for point in points}
    for row in [row for row in rows if row.arm_id not in drawn][:MOST_NOTES]:
        why = (
            "no record of what it cost"
            if cost_of(row, kind) is None
            else f"no result on {'every benchmark' if column == 'average' else column}"
        )
        yield f"Not drawn: {row_name_html(row)}, {name_html(why, 100)}."


def _gain_text(row: Row, before: Row, column: str) -> str:
    return html.escape(comparison_text(gain(row, before, column))) or "other items"


main()
