"""One context for all pages: a suite under one protocol, one recipe or all, one expert or all.

It is chosen once. Every page names it, every link carries it, and a page that is gone to without a link keeps
it. What is measured later under another protocol is announced and never switched to.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from lrbench.results.board import Board
from lrbench.results.rows import Row
from lrbench.results.text import plain
from lrbench.results.web.text import name_html
from lrbench.results.wording import LONGEST_NAME, expert_label
from lrbench_dashboard import state
from lrbench_dashboard.loading import Results

SUITE, PROTOCOL, RECIPE, EXPERT = "suite", "protocol", "recipe", "expert"
# No recipe and no expert has this name.
ALL = "*"
TOKEN_LENGTH = 12
# What the style sheet calls boxes that a phone folds: those of the context, and a page's own.
BOXES, OWN_BOXES = "context", "choices"
# Widths in pixels of select boxes: two narrow ones stand side by side on a phone.
NARROW, WIDE = 180, 380
# What the name of a protocol says of its recipes, and what is said of a recipe's protocols.
RECIPES_NAMED, NAME_IN_LABEL, PROTOCOLS_NAMED = 3, 24, 3


@dataclass(frozen=True)
class Context:
    """What all pages are about: a board, and of its rows those of one recipe and expert, or of all.

    `expert` is that one's weights.
    """

    board: Board
    recipe: str | None
    expert: str | None

    def keeps(self, row: Row) -> bool:
        """Whether the row is of the recipe and the expert chosen."""
        return (self.recipe is None or row.recipe == self.recipe) and (
            self.expert is None or row.expert_weights == self.expert
        )

    @property
    def rows(self) -> list[Row]:
        """Those rows of the board."""
        return [row for row in self.board.rows if self.keeps(row)]


def choose_context(results: Results, of: str | None = None) -> Context:
    """Name the context in four boxes, in which the reader may choose another one.

    Without a context yet it is that of the result with the id `of`, else the suite and protocol measured last
    with all recipes and experts: a board that answers what its recipes ask, where there is one. The page ends
    where nothing is measured.
    """
    if not results.boards:
        st.html('<p class="lr-note" role="status">Models were made, but none is evaluated yet.</p>')
        st.stop()
    carried = _of_result(results, of) or state.carried()
    folded = st.empty()
    with st.container(horizontal=True, key=BOXES):
        suites = {board.suite: plain(board.suite, LONGEST_NAME) for board in results.boards}
        last = shown_first(results.boards)
        default = carried.get(SUITE, last.suite)
        suite = state.choice(
            "Suite", suites, key=SUITE, default=default if default in suites else last.suite, width=NARROW
        )
        own = [board for board in results.boards if board.suite == suite]
        boards = {token_of(board): board for board in own}
        labels = {token: protocol_label(board) for token, board in boards.items()}
        default = carried.get(PROTOCOL, "")
        if default not in boards:
            default = token_of(max(own, key=latest_moment))
        board = boards[state.choice("Protocol", labels, key=PROTOCOL, default=default, width=WIDE)]
        recipes = {ALL: "all recipes"} | {
            name: plain(name, LONGEST_NAME) for name in sorted({row.recipe for row in board.rows})
        }
        recipe = state.choice(
            "Recipe",
            recipes,
            key=RECIPE,
            default=carried.get(RECIPE, ALL),
            elsewhere=lambda name: _elsewhere_html(results, board, name),
            width=NARROW,
        )
        tokens = expert_tokens(board)
        experts = {ALL: "all experts"} | {
            token: expert_label(board.by_expert[weights][0], board) for token, weights in tokens.items()
        }
        expert = state.choice("Expert", experts, key=EXPERT, default=carried.get(EXPERT, ALL), width=NARROW)
    state.carry({SUITE: suite, PROTOCOL: token_of(board), RECIPE: recipe, EXPERT: expert})
    folded.html(_folded_html(suite, board, recipes[recipe], experts[expert]))
    _announce_newer(board, own)
    found = Context(board, None if recipe == ALL else recipe, tokens.get(expert))
    if not found.rows:
        st.html(
            '<p class="lr-note" role="status">This recipe has no result with this expert here: choose '
            "another.</p>"
        )
    return found


def _folded_html(suite: str, board: Board, recipe: str, expert: str) -> str:
    """What is chosen in one line, which on a phone stands for the boxes until it is unfolded.

    Where there is room for the boxes it is not shown; both are the style sheet's doing.
    """
    said = ", ".join(map(name_html, (suite, board.protocol_hash[:8], recipe, expert)))
    return f'<details class="lr-choose"><summary>{said} <b>choose</b></summary></details>'


def context_html() -> str:
    """The context in a line that leads back to the board, for a page that is about something else."""
    carried = state.carried()
    if not carried:
        return ""
    names = {RECIPE: "all recipes", EXPERT: "all experts"}
    said = [names[key] if carried[key] == ALL else name_html(carried[key]) for key in carried]
    back = html.escape(state.link(state.FIRST_PAGE))
    return (
        f'<p class="lr-aside">Results chosen: {", ".join(said)}. '
        f'<a href="{back}" target="_self">Back to them</a></p>'
    )


def token_of(board: Board) -> str:
    """What stands for a board's protocol in an address."""
    return board.protocol_hash[:TOKEN_LENGTH]


def expert_tokens(board: Board) -> dict[str, str]:
    """What stands for every expert in an address, with its weights: its name where no other has that."""
    names = list(board.experts.values())
    return {name if names.count(name) == 1 else weights: weights for weights, name in board.experts.items()}


def latest_moment(board: Board) -> str:
    """When anything on the board was measured last."""
    return max(row.recorded_at for row in board.rows)


def shown_first(boards: Iterable[Board]) -> Board:
    """The board measured last of those that answer; while points are chosen, that is the suite's own."""
    return max(
        boards,
        key=lambda board: (
            any(not board.answers_nothing(row.recipe) for row in board.rows),
            latest_moment(board),
        ),
    )


def protocol_label(board: Board) -> str:
    """`a7c449bb, 19 results, 2026-11-29: quickstart, chosen`, the recipes measured last first."""
    count = "1 result" if len(board.rows) == 1 else f"{len(board.rows):,} results"
    latest = sorted(board.rows, key=lambda row: row.recorded_at, reverse=True)
    recipes = list(dict.fromkeys(row.recipe for row in latest))
    named = ", ".join(plain(name, NAME_IN_LABEL) for name in recipes[:RECIPES_NAMED])
    more = f" and {len(recipes) - RECIPES_NAMED} more" if len(recipes) > RECIPES_NAMED else ""
    return f"{board.protocol_hash[:8]}, {count}, {latest[0].recorded_at[:10]}: {named}{more}"


def _elsewhere_html(results: Results, board: Board, recipe: str) -> str:
    """Under which protocols a recipe that `board` lacks was measured, with links there; empty under none."""
    found = [other for other in results.boards if any(row.recipe == recipe for row in other.rows)]
    found.sort(key=latest_moment, reverse=True)
    # Of this suite first: that is what the reader looks at.
    found.sort(key=lambda other: other.suite != board.suite)
    links = []
    for other in found[:PROTOCOLS_NAMED]:
        asked = {SUITE: other.suite, PROTOCOL: token_of(other), RECIPE: recipe, EXPERT: ALL}
        suite = "" if other.suite == board.suite else f"{name_html(other.suite)}, "
        where = html.escape(state.here(**asked))
        links.append(f'<a href="{where}" target="_self">{suite}{name_html(protocol_label(other), 160)}</a>')
    if not links:
        return ""
    return (
        f"The recipe {name_html(recipe)} has no result under {board.protocol_hash[:8]}, of which all recipes "
        f"are shown. It was measured under {'; '.join(links)}."
    )


def _announce_newer(board: Board, boards: list[Board]) -> None:
    """That the suite was measured later under another protocol, and how to see that."""
    newer = [other for other in boards if latest_moment(other) > latest_moment(board)]
    if not newer:
        return
    last = max(newer, key=latest_moment)
    where = html.escape(state.link(state.FIRST_PAGE, **{PROTOCOL: token_of(last), RECIPE: ALL, EXPERT: ALL}))
    st.html(
        '<p class="lr-note" role="status">This suite was measured later under another protocol: '
        f"{name_html(protocol_label(last))}. What is shown stays under {board.protocol_hash[:8]}. "
        f'<a href="{where}" target="_self">Show the newer one</a></p>'
    )


def _of_result(results: Results, arm_id: str | None) -> dict[str, str]:
    """The context of a result that an address names without any; empty where it has one or none is named."""
    if arm_id is None or state.is_given(SUITE, PROTOCOL, RECIPE, EXPERT):
        return {}
    for board in sorted(results.boards, key=latest_moment, reverse=True):
        for row in board.rows:
            if row.arm_id == arm_id:
                experts = {weights: token for token, weights in expert_tokens(board).items()}
                return {
                    SUITE: board.suite,
                    PROTOCOL: token_of(board),
                    RECIPE: row.recipe,
                    EXPERT: experts[row.expert_weights],
                }
    return {}
