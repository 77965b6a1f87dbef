"""Cost and quality: what accuracy was bought with, and how training went."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.boards import (
    choose_rows,
    group_labels,
    group_link_html,
    row_name_html,
    show_differing,
)
from lrbench_dashboard.charts import Palette, palette_of
from lrbench_dashboard.context import NARROW, OWN_BOXES, WIDE, Context, choose_context
from lrbench_dashboard.cost_chart import answering_text, cost_text, dearer_text, show_costs
from lrbench_dashboard.curves import lines_of, show_curve, without_numbers
from lrbench_dashboard.loading import Results, load_results
from lrbench_dashboard.look import begin_page, table_html
from lrbench_dashboard.point_numbers import Numbers, numbers_html, numbers_of

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.board_arms import estimate_of, run_costs
from lrbench.results.curves import CURVES
from lrbench.results.frontier import ANSWERING, COSTS, Point, cost_of, frontier, gain, points_of
from lrbench.results.rows import Group, Row
from lrbench.results.text import plain
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
    with st.container(horizontal=True, key=OWN_BOXES):
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
    shown = {row.arm_id for row in rows}
    groups = [group for group in board.groups if group.rows[-1].arm_id in shown]
    numbers = numbers_of(groups)
    points = show_points(groups, kind, column, palette, numbers, pointed)
    st.html("<h2>The frontier</h2>")
    table = st.empty()
    table.html(frontier_html(board, points, kind, column, tested=False))
    st.html("<h2>Training</h2>")
    show_training(rows, results, palette, numbers, pointed)
    show_differing(results, board)
    # Tests of averages take a while: all else is seen before.
    table.html(frontier_html(board, points, kind, column, tested=True))


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
    at = f" at {name_html(point_text(row.point), 60)}" if row.point else ""
    name = f"<b>{name_html(row.arm)}</b>{at} of {name_html(row.recipe)}"
    if costs is None:
        return f'<p class="lr-note">{name}: the ledger has no record of what it cost.</p>'
    runs = "A run of" if len(group.rows) > 1 else "Making"
    drawn = f" (drawn {costs.drawn_problems:,.0f} times)" if costs.drawn_problems else ""
    mean = f", the mean of {len(group.rows)} runs" if len(group.rows) > 1 else ""
    return (
        f'<p class="lr-note">{runs} {name} took {costs.tuned_tokens:,.0f} tuned tokens, '
        f"{costs.sampled_problems:,.0f} sampled problems{drawn} and {duration_text(costs.seconds)}{mean}.</p>"
    )


def show_points(
    groups: Sequence[Group],
    kind: str,
    column: str,
    palette: Palette,
    numbers: Numbers,
    pointed: Group | None = None,
) -> list[Point]:
    """The chart with its legend, and what is not in it; returns the points drawn."""
    points = points_of(groups, kind, column)
    st.html(palette.legend_html())
    chart = st.empty()
    few = len(points) <= MOST_INTERVALS
    for with_intervals in (False, True) if few else (False,):
        with chart.container():
            show_costs(points, kind, column, palette, numbers, with_intervals, pointed)
    if said := numbers_html(groups, numbers):
        st.html(said)
    if kind != ANSWERING and (said := _dearer_html(points)):
        st.html(said)
    for sentence in _missing(groups, points, kind, column):
        st.html(f'<p class="lv-caption">{sentence}</p>')
    interval = (
        "bars their 95% intervals"
        if few
        else f"intervals are drawn for up to {MOST_INTERVALS} arms: filter to see them"
    )
    st.html(
        f'<p class="lv-caption">Marks are means over seeds, {interval}, small marks the single runs. The '
        "dashed line is the frontier: no arm that is cheaper scores higher. What cost nothing to make stands "
        "apart on the left. A name that others left no room for has its mark beside it once more; \u00d72 is "
        "two passes for each token of an answer.</p>"
    )
    return points


def frontier_html(board: Board, points: Sequence[Point], kind: str, column: str, tested: bool) -> str:
    """The arms that nothing beats at the same or a lower cost, each set against the one before."""
    lines = []
    before: Group | None = None
    best = frontier(points)
    tested = tested and len(best) <= MOST_TESTS
    for point in best:
        estimate = estimate_of(point.group, column) if tested else None
        lines.append(
            [
                group_link_html(point.group),
                cost_text(point.cost, kind),
                name_html(answering_text(point.rows[-1])) or NOTHING,
                f"{100 * point.accuracy:.1f}" if estimate is None else accuracy_text(estimate),
                _gain_text(board, point.group, before, column) if tested and before else NOTHING,
            ]
        )
        before = point.group
    head = [
        "arm",
        COSTS[kind],
        "to answer",
        f"{name_html(column)}, percent",
        "more than the one above, points",
    ]
    caption = (
        '<p class="lv-caption">Means over seeds. Tests on the same items, over all seeds of both where '
        "either has several (else McNemar's mid-p; the average by sign-flip permutation), each alone: p is "
        "not corrected for their number.</p>"
    )
    return table_html(head, lines, "The frontier") + caption


def show_training(
    rows: Sequence[Row], results: Results, palette: Palette, numbers: Numbers, pointed: Group | None
) -> None:
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
            show_curve(lines, name, palette, numbers, pointed)
    st.html(
        '<p class="lv-caption">Seeds of one arm are thin lines, their mean is the thick one. Losses of arms '
        "with different targets or objectives do not measure the same thing.</p>"
    )
    if broken := without_numbers(trained, results.arms):
        more = f"<br>and {len(broken) - MOST_NOTES} more" if len(broken) > MOST_NOTES else ""
        sentences = "<br>".join(name_html(sentence, 300) for sentence in broken[:MOST_NOTES])
        st.html(f'<p class="lr-note lr-problem">{sentences}{more}</p>')


def _dearer_html(points: Sequence[Point]) -> str:
    """The arms whose answers take more than their own model once a token, which no cost of making counts."""
    dearer = {point.rows[-1].arm: point.rows[-1] for point in points if dearer_text(point.rows[-1])}
    if not dearer:
        return ""
    shown = "; ".join(f"{name_html(arm)}: {name_html(answering_text(row))}" for arm, row in dearer.items())
    where = name_html(state.here(cost=ANSWERING), 2000)
    return (
        '<p class="lr-note">Making is not all: some answer at another price than one pass of one model for '
        f"each token, whenever they are asked. {shown}. "
        f'<a href="{where}" target="_self">Against passes per answer</a></p>'
    )


def _missing(groups: Sequence[Group], points: Sequence[Point], kind: str, column: str) -> Iterable[str]:
    drawn = {row.arm_id for point in points for row in point.rows}
    rows = [row for group in groups for row in group.rows if row.arm_id not in drawn]
    for row in rows[:MOST_NOTES]:
        why = (
            "no record of what it cost"
            if cost_of(row, kind) is None
            else f"no result on {'every benchmark' if column == 'average' else column}"
        )
        yield f"Not drawn: {row_name_html(row)}, {name_html(why, 100)}."


def _gain_text(board: Board, group: Group, before: Group, column: str) -> str:
    return html.escape(comparison_text(gain(board, group, before, column))) or "other items"


main()
