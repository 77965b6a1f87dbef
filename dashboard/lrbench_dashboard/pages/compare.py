"""Any two results: what separates them, benchmark by benchmark and item by item."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.boards import group_labels
from lrbench_dashboard.comparing import Duel, benchmarks_html, flips_html, sentence_html
from lrbench_dashboard.context import ALL, Context, choose_context
from lrbench_dashboard.item_view import show_item
from lrbench_dashboard.loading import Results, inspector, load_results
from lrbench_dashboard.radar import radar_options
from lrbench_dashboard.theme import is_dark

from lrbench.errors import StoreError
from lrbench.recipe.expanding import point_text
from lrbench.results.records import ScoreRecord
from lrbench.results.rows import Row
from lrbench.results.statistics import Flips
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
    context = choose_context(results)
    duel = _choose(context, results.meant)
    if duel is None:
        st.html('<p class="lr-note" role="status">Two results are needed; this protocol has one.</p>')
        return
    names = _short_names(duel)
    sentence.html(sentence_html(duel, names))
    _overview(duel, names)
    duel = _runs(duel, names)
    if duel.flips:
        _items(results, duel, names)
    else:
        st.html('<p class="lr-note" role="status">These two answered no item in common.</p>')


def _overview(duel: Duel, names: tuple[str, str]) -> None:
    table = benchmarks_html(duel, names)
    if len(duel.benchmarks) < LEAST_AXES:
        st.html(table)
        return
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        st.echarts_chart(
            radar_options(duel.board, duel.groups, names, is_dark()),
            height=380,
            renderer="svg",
            theme=None,
            alt=f"Radar of {names[0]} and {names[1]} over the benchmarks; the numbers are in the table.",
        )
    with right:
        st.html(table)


def _choose(context: Context, meant: Collection[str]) -> Duel | None:
    """The two arms picked; by default the latest subject that is `meant`, and its foremost baseline.

    An arm goes by its last run in an address; any other run of it means the same arm.
    """
    board, asked = context.board, st.query_params.get("first")
    groups = {group.rows[-1].arm_id: group for group in board.groups}
    if len(groups) < 2:
        return None
    aliases = {row.arm_id: token for token, group in groups.items() for row in group.rows}
    labels = group_labels(board)
    own = [token for token, group in groups.items() if context.keeps(group.rows[-1])]
    # Those of the context stand first; a baseline may be of another recipe.
    labels = {token: labels[token] for token in dict.fromkeys([*own, *groups])}
    first_default, second_default = _defaults(context, meant)
    left, right = st.columns(2)
    with left:
        default = aliases[first_default]
        first = state.choice("First", labels, key="first", default=default, aliases=aliases)
    with right:
        others = {token: label for token, label in labels.items() if token != first}
        default = aliases[second_default]
        default = default if default in others else next(iter(others))
        second = state.choice("Second", others, key="second", default=default, aliases=aliases)
    chosen = groups[first], groups[second]
    run = next((row for row in chosen[0].rows if row.arm_id == asked), chosen[0].rows[-1])
    return Duel(board, run, chosen[1].rows[-1], chosen)


def _runs(duel: Duel, names: tuple[str, str]) -> Duel:
    """The duel with the two runs whose items are looked at, of arms that have several."""
    if max(len(group.rows) for group in duel.groups) < 2:
        return duel
    first, second = duel.groups
    pairs = {}
    for row in first.rows:
        # With its own seed where the other arm has that, with its last run where not.
        beside = [other for other in second.rows if other.seed == row.seed] or [second.rows[-1]]
        pairs[f"{row.seed}"] = (row, beside[-1])
    if len(first.rows) == 1:
        pairs = {f"{other.seed}": (first.rows[0], other) for other in second.rows}
    labels = {
        token: f"{_seed_of(one, names[0])}, {_seed_of(other, names[1])}"
        for token, (one, other) in pairs.items()
    }
    # A link to a run shows the items of that one.
    asked = next((token for token, pair in pairs.items() if duel.first in pair), list(labels)[-1])
    chosen = state.choice("Items of the runs", labels, key="run", default=asked, width=380)
    return replace(duel, first=pairs[chosen][0], second=pairs[chosen][1])


def _seed_of(row: Row, name: str) -> str:
    return name if row.seed is None else f"{name} seed {row.seed}"


def _defaults(context: Context, meant: Collection[str]) -> tuple[str, str]:
    board = context.board
    compared = [row for row in context.rows if row.against]
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
        [plain(point_text(row.point), 60) for row in rows],
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
    if len(labels) > 1:
        labels |= {ALL: "all benchmarks"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        flipped = next((name for name, flips in duel.flips.items() if flips.won or flips.lost), None)
        benchmark = state.choice("Benchmark", labels, key="benchmark", default=flipped, width=220)
        flips = _sum(duel.flips.values()) if benchmark == ALL else duel.flips[benchmark]
        counts = {WON: flips.won, LOST: flips.lost, BOTH: flips.both, NEITHER: flips.neither}
        first_full = next(token for token in (LOST, WON, NEITHER, BOTH) if counts[token])
        cells = {token: f"{token} {count:,}" for token, count in counts.items()}
        outcome = state.tab("Items", cells, key="items", default=first_full)
        phrase = state.phrase("Holding the text", key="text", width=220)
        view = state.tab("Show", VIEWS, key="view", default="differences")
    pairs = _pairs(results, duel, list(duel.flips) if benchmark == ALL else [benchmark])
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


def _sum(flips: Iterable[Flips]) -> Flips:
    """The four counts of several benchmarks together."""
    counts = [(each.won, each.lost, each.both, each.neither) for each in flips]
    won, lost, both, neither = map(sum, zip(*counts, strict=True))
    return Flips(won=won, lost=lost, both=both, neither=neither)


def _pairs(results: Results, duel: Duel, benchmarks: Sequence[str]) -> list[Pair] | None:
    found: list[Pair] = []
    for benchmark in benchmarks:
        try:
            first, second = (_read(results, row, benchmark) for row in (duel.first, duel.second))
        except StoreError as error:
            st.html(f'<p class="lr-note lr-problem" role="alert">{name_html(str(error), 1000)}</p>')
            return None
        found += paired(first, second, benchmark if len(benchmarks) > 1 else "")
    return found


def _read(results: Results, row: Row, benchmark: str) -> list[Item]:
    score = row.cells[benchmark].score
    return _items_of(str(results.runs), score.evaluation_key, score)


@st.cache_resource(max_entries=32, show_spinner="Reading the items")
def _items_of(runs: str, key: str, _score: ScoreRecord) -> list[Item]:  # noqa: ARG001 - what is cached by
    return inspector(runs).items(_score)


def _causes_html(found: list[Pair], names: tuple[str, str], outcome: str) -> str:
    """What the wrong answers among these items are owed to."""
    answers = [pair.first for pair in found], [pair.second for pair in found]
    sides = [(name, causes(own)) for name, own in zip(names, answers, strict=True)]
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
