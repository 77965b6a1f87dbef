"""Any two results: what separates them, benchmark by benchmark and item by item."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.boards import result_labels, setting_parts
from lrbench_dashboard.comparing import Duel, benchmarks_html, flips_html, sentence_html
from lrbench_dashboard.context import choose_context
from lrbench_dashboard.item_view import show_item
from lrbench_dashboard.loading import Results, inspector, load_results
from lrbench_dashboard.radar import radar_options
from lrbench_dashboard.theme import is_dark

from lrbench.errors import StoreError
from lrbench.results.board import Board
from lrbench.results.records import ScoreRecord
from lrbench.results.rows import Row
from lrbench.results.text import plain
from lrbench.results.web.items import BOTH, LOST, NEITHER, WON, Item, Pair, causes, chosen, paired
from lrbench.results.web.text import name_html

# A radar of fewer axes is a line.
LEAST_AXES = 3
VIEWS = {"differences": "text, differences marked", "maths": "formulas typeset"}


def main() -> None:
    """Draw the page."""
    results = load_results()
    st.html("<h1>Compare two</h1>")
    sentence = st.empty()
    board = choose_context(results).board
    duel = _choose(board, results.meant)
    if duel is None:
        st.html('<p class="lr-note" role="status">Two results are needed; this protocol has one.</p>')
        return
    names = _short_names(duel)
    sentence.html(sentence_html(duel, names))
    _overview(duel, names)
    if duel.flips:
        _items(results, duel, names)
    else:
        st.html('<p class="lr-note" role="status">These two answered no item in common.</p>')


def _overview(duel: Duel, names: tuple[str, str]) -> None:
    table = benchmarks_html(duel, names)
    if len(duel.first.cells.keys() & duel.second.cells.keys()) < LEAST_AXES:
        st.html(table)
        return
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        st.echarts_chart(
            radar_options(duel.board, duel.first, duel.second, names, is_dark()),
            height=380,
            renderer="svg",
            theme=None,
            alt=f"Radar of {names[0]} and {names[1]} over the benchmarks; the numbers are in the table.",
        )
    with right:
        st.html(table)


def _choose(board: Board, meant: Collection[str]) -> Duel | None:
    """The two results picked; by default the latest subject that is `meant`, and its foremost baseline."""
    labels = result_labels(board)
    if len(labels) < 2:
        return None
    first_default, second_default = _defaults(board, meant)
    rows = {row.arm_id: row for row in board.rows}
    left, right = st.columns(2)
    with left:
        first = state.choice("First", labels, key="first", default=first_default)
    with right:
        others = {token: label for token, label in labels.items() if token != first}
        default = second_default if second_default in others else next(iter(others))
        second = state.choice("Second", others, key="second", default=default)
    return Duel(board, rows[first], rows[second])


def _defaults(board: Board, meant: Collection[str]) -> tuple[str, str]:
    compared = [row for row in board.rows if row.against]
    if not compared:
        return board.rows[0].arm_id, board.rows[1].arm_id
    first = max(
        compared,
        key=lambda row: (
            board.is_subject(row),
            board.is_meant(row),
            row.arm_id in meant,
            len(row.against),
            row.recorded_at,
        ),
    )
    return first.arm_id, first.against[board.foremost(first)[0]].baseline


def _short_names(duel: Duel) -> tuple[str, str]:
    """Both arms, with what tells them apart where the arm does not."""
    rows = (duel.first, duel.second)
    names = [plain(row.arm, 32) for row in rows]
    for more in (
        [", ".join(setting_parts(row)) for row in rows],
        [f"recipe {plain(row.recipe, 32)}" for row in rows],
        [plain(row.expert, 40) for row in rows],
        [plain(row.variant, 60) or f"#{plain(row.arm_id[:8])}" for row in rows],
    ):
        if names[0] == names[1] and more[0] != more[1]:
            names = [f"{name}, {part}" if part else name for name, part in zip(names, more, strict=True)]
    return names[0], names[1]


def _items(results: Results, duel: Duel, names: tuple[str, str]) -> None:
    st.html("<h2>Item by item</h2>")
    labels = {name: plain(name, 60) for name in duel.flips}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        benchmark = state.choice("Benchmark", labels, key="benchmark", width=220)
        flips = duel.flips[benchmark]
        counts = {WON: flips.won, LOST: flips.lost, BOTH: flips.both, NEITHER: flips.neither}
        first_full = next(token for token in (LOST, WON, NEITHER, BOTH) if counts[token])
        cells = {token: f"{token} {count:,}" for token, count in counts.items()}
        outcome = state.tab("Items", cells, key="items", default=first_full)
        phrase = state.phrase("Holding the text", key="text", width=220)
        view = state.tab("Show", VIEWS, key="view", default="differences")
    pairs = _pairs(results, duel, benchmark)
    if pairs is None:
        return
    found = chosen(pairs, outcome, phrase)
    table, why = st.columns([3, 2])
    with table:
        st.html(flips_html(flips, names))
    with why:
        st.html(_causes_html(found, names, outcome))
    if not found:
        st.html('<p class="lr-note" role="status">No such item.</p>')
        return
    place = state.page_number(len(found), key="item")
    show_item(found[place - 1], names, typeset=view == "maths")


def _pairs(results: Results, duel: Duel, benchmark: str) -> list[Pair] | None:
    try:
        first, second = (_read(results, row, benchmark) for row in (duel.first, duel.second))
    except StoreError as error:
        st.html(f'<p class="lr-note lr-problem" role="alert">{name_html(str(error), 1000)}</p>')
        return None
    return paired(first, second)


def _read(results: Results, row: Row, benchmark: str) -> list[Item]:
    score = row.cells[benchmark].score
    return _items_of(str(results.runs), score.evaluation_key, score)


@st.cache_resource(max_entries=8, show_spinner="Reading the items")
def _items_of(runs: str, key: str, _score: ScoreRecord) -> list[Item]:  # noqa: ARG001 - what is cached by
    return inspector(runs).items(_score)


def _causes_html(found: list[Pair], names: tuple[str, str], outcome: str) -> str:
    """What the wrong answers among these items are owed to."""
    sides = [(name, causes(pair[side] for pair in found)) for side, name in enumerate(names)]
    lines = ""
    for name, counts in sides:
        if counts:
            said = ", ".join(f"{count:,} {cause}" for cause, count in counts.most_common())
            lines += f"<li>{name_html(name)}: {said}</li>"
    if not lines:
        return f'<p class="lr-aside">{len(found):,} items {outcome}; no answer among them is wrong.</p>'
    return (
        f'<div class="lr-aside">{len(found):,} items {outcome}. Wrong answers by cause:<ul>{lines}</ul>'
        "truncation: cut at the token limit; extraction: no answer could be read; reasoning: another answer "
        "was read.</div>"
    )


main()
