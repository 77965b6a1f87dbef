"""What several pages share: choosing rows, what sets protocols apart, and how a result is called."""

from __future__ import annotations

import html

import streamlit as st

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.protocols import Difference, differing_suites
from lrbench.results.rows import Group, Row
from lrbench.results.text import plain
from lrbench.results.web.text import name_html, names_shown
from lrbench.results.wording import LONGEST_NAME, expert_label
from lrbench_dashboard import state
from lrbench_dashboard.context import Context, protocol_label, token_of
from lrbench_dashboard.loading import Results

NOT_BESIDE = "none"


def choose_rows(context: Context) -> list[Row]:
    """The rows of the context and of one expert, of the arms chosen; that there is none is said."""
    rows = context.rows
    experts = {row.expert_weights: 0 for row in rows}
    for row in rows:
        experts[row.expert_weights] += 1
    if len(experts) > 1:
        # Models of several experts in one picture say nothing of each other.
        first = max(experts, key=lambda weights: experts[weights])
        others = len(rows) - experts[first]
        rows = [row for row in rows if row.expert_weights == first]
        st.html(
            f'<p class="lr-note" role="status">{name_html(expert_label(rows[0], context.board))} is shown; '
            f"choose an expert above to see {others:,} results of others.</p>"
        )
    with st.expander("Filter by arm", expanded=state.is_given("arm")):
        arms = state.choices("Arms", names_shown(row.arm for row in rows), key="arm")
    passing = [row for row in rows if not arms or row.arm in arms]
    if not passing:
        st.html('<p class="lr-note" role="status">No result passes these filters.</p>')
    return passing


def board_of_suite(results: Results, board: Board) -> list[Board]:
    """The other boards of this board's suite: measured in another way."""
    return [other for other in results.boards if other.suite == board.suite and other is not board]


def show_differing(results: Results, board: Board) -> None:
    """Where the suite was measured under several protocols: what sets another one apart from this."""
    others = {token_of(other): other for other in board_of_suite(results, board)}
    if not others:
        return
    labels = {
        NOT_BESIDE: "choose a protocol",
        **{token: protocol_label(other) for token, other in others.items()},
    }
    chosen = state.choice(
        f"This suite was also measured under {len(others)} other protocol{'s' * (len(others) > 1)}: "
        "show what differs from",
        labels,
        key="differs",
        default=NOT_BESIDE,
    )
    if chosen != NOT_BESIDE:
        other = others[chosen]
        st.html(differing_html(differing_suites(board.protocols, other.protocols), board, other))


def differing_html(differences: list[Difference], board: Board, other: Board) -> str:
    """The differing fields of two boards' protocols as a table."""
    lines = "".join(
        f'<tr><th scope="row">{name_html(found.field)}</th><td>{name_html(found.first, 200)}</td>'
        f"<td>{name_html(found.second, 200)}</td><td>{_where(found, board)}</td></tr>"
        for found in differences
    )
    return (
        '<div class="lr-scroll"><table class="lr-plain"><caption>Results under these protocols are not '
        'comparable. What differs:</caption><thead><tr><th scope="col">field</th>'
        f'<th scope="col">{board.protocol_hash[:8]} (shown)</th>'
        f'<th scope="col">{other.protocol_hash[:8]}</th>'
        f'<th scope="col">benchmarks</th></tr></thead><tbody>{lines}</tbody></table></div>'
    )


def group_labels(board: Board) -> dict[str, str]:
    """The id of an arm's last run -> what the arm is called on a board: arm, recipe, seeds, expert."""
    experts = {row.expert_weights: expert_label(row, board) for row in _one_per_expert(board)}
    return {
        group.rows[-1].arm_id: ", ".join([*group_parts(group), experts[group.rows[-1].expert_weights]])
        for group in board.groups
    }


def group_parts(group: Group) -> list[str]:
    """Arm, recipe, point, how many seeds and variant of an arm, as plain text."""
    row = group.rows[-1]
    if len(group.rows) == 1:
        return row_parts(row)
    seed = f"seed {row.seed}"
    return [f"{len(group.rows)} seeds" if part == seed else part for part in row_parts(row)]


def group_link_html(group: Group) -> str:
    """What an arm is called, leading to where its last run comes from."""
    return _link_html(group.rows[-1], ", ".join(group_parts(group)))


def row_parts(row: Row) -> list[str]:
    """Arm, recipe, seed and variant of a row, as plain text."""
    parts = [plain(row.arm, LONGEST_NAME), plain(row.recipe, LONGEST_NAME), *setting_parts(row)]
    return [*parts, plain(row.variant, LONGEST_NAME)] if row.variant else parts


def row_name_html(row: Row) -> str:
    """What a row is called, as HTML."""
    return name_html(", ".join(row_parts(row)), 160)


def row_link_html(row: Row) -> str:
    """What a row is called, leading to where it comes from."""
    return _link_html(row, ", ".join(row_parts(row)))


def _link_html(row: Row, name: str) -> str:
    where = html.escape(state.link("provenance", arm=row.arm_id))
    return f'<a href="{where}" target="_self">{name_html(name, 160)}</a>'


def setting_parts(row: Row) -> list[str]:
    """The point of a sweep and the seed of a row, as far as it has them, as plain text."""
    seed = [] if row.seed is None else [f"seed {row.seed}"]
    return [plain(point_text(row.point), LONGEST_NAME), *seed] if row.point else seed


def _one_per_expert(board: Board) -> list[Row]:
    return [rows[0] for rows in board.by_expert.values()]


def _where(found: Difference, board: Board) -> str:
    everywhere = set(found.benchmarks) in (set(), set(board.benchmarks))
    return "all" if everywhere else ", ".join(name_html(name) for name in found.benchmarks)
