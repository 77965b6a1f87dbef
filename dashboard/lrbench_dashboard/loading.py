"""What pages read: the ledger, once for all sessions until its files change, and the store behind it."""

from __future__ import annotations

import gc
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import streamlit as st

from lrbench.results.board import Board, build_boards
from lrbench.results.declarations import standing
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import ARMS, RECIPES, SCORES, Ledger, LedgerContents
from lrbench.results.records import ArmRecord, RecipeRecord
from lrbench.results.web.text import text_html
from lrbench_dashboard import theme

RUNS_VARIABLE = "LRBENCH_DASHBOARD_RUNS"
LEDGER = "ledger"

Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Results:
    """All of a runs folder's results: every session reads the same object, so nothing may change it.

    `stamp` tells this state of the ledger from others, for what is cached on top of it.
    """

    runs: Path
    stamp: Stamp
    contents: LedgerContents
    boards: tuple[Board, ...]

    @cached_property
    def arms(self) -> dict[str, ArmRecord]:
        """How each arm was made, by arm_id; an arm may have scores and no record of its making."""
        return {record.arm_id: record for record in self.contents.arms}

    @cached_property
    def scored(self) -> frozenset[str]:
        """The arms whose tokens can be looked at, by arm_id."""
        return frozenset(arm_id for arm_id, arm in self.arms.items() if "scores" in arm.stages)

    @cached_property
    def arm_names(self) -> tuple[str, ...]:
        """What arms are called, in the order of the ledger."""
        made = [record.arm for record in self.contents.arms]
        return tuple(dict.fromkeys([*made, *(score.arm for score in self.contents.scores)]))

    @cached_property
    def declared(self) -> dict[str, RecipeRecord]:
        """What every recipe's name stands for."""
        return standing(self.contents.recipes)

    @cached_property
    def meant(self) -> frozenset[str]:
        """The arms that the recipes' names stand for, and not only variations of them with overrides."""
        recipes = self.declared.values()
        return frozenset(arm_id for record in recipes for arm_id in record.arm_ids)


def runs_folder() -> Path:
    """The folder of results that the dashboard was started with."""
    return Path(os.environ.get(RUNS_VARIABLE, "runs"))


def load_results() -> Results:
    """The results to show. Where there are none, says what to run and ends the page.

    Lines of the ledger that do not read are told above the page; the rest is served.

    Raises:
        LedgerError: a file of the ledger is there but the system refuses to read it.
    """
    runs = runs_folder()
    results = read_results(str(runs), ledger_stamp(runs))
    _tell_broken(results)
    theme.know(results.arm_names)
    if not results.contents.arms and not results.contents.scores:
        _tell_empty(runs)
        st.stop()
    return results


def ledger_stamp(runs: Path) -> Stamp:
    """Sizes and times of the ledger's files: while they stay, so do its contents."""
    return tuple(_stamp(runs / LEDGER / name) for name in (RECIPES, ARMS, SCORES))


@st.cache_resource(max_entries=2, show_spinner="Reading the ledger")
def read_results(runs: str, stamp: Stamp) -> Results:
    """The results in `runs`, read again when `stamp` is another."""
    with _without_collecting():
        contents = Ledger(Path(runs) / LEDGER).read()
        boards = build_boards(contents.arms, contents.scores, contents.recipes)
    # A suite without any item has nothing to show and nothing to choose.
    return Results(Path(runs), stamp, contents, tuple(board for board in boards if board.rows))


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Within the block nothing looks for garbage, and never among what was made in it.

    Records hold no cycles, and there are very many of them: to look through ten thousand scores takes longer
    than to order the board. What is no longer referred to is freed all the same.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@st.cache_resource(max_entries=4, show_spinner=False)
def inspector(runs: str) -> Inspector:
    """The store behind the results, one for all sessions: it remembers which files it has verified."""
    return Inspector(Path(runs))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)


def _tell_broken(results: Results) -> None:
    broken = results.contents.broken
    if not broken:
        return
    count = "One line" if len(broken) == 1 else f"{len(broken):,} lines"
    lines = "\n".join(str(line) for line in broken[:100])
    st.html(
        f'<details class="lr-note lr-problem"><summary>{count} of the ledger cannot be read; the results in '
        f'the others are shown.</summary><pre class="lr-text">{text_html(lines)}</pre></details>'
    )


def _tell_empty(runs: Path) -> None:
    st.html(
        '<section class="lr-empty"><h2>No results yet</h2>'
        f"<p>Nothing is recorded in <code>{text_html(str(runs))}</code>. This makes the first results, in "
        "about a minute, with models that ship inside the package:</p>"
        f"<pre>lrbench run quickstart --runs {text_html(shlex.quote(str(runs)))}</pre>"
        "<p><code>lrbench plan RECIPE</code> says what a recipe would do before it does it. "
        "This page shows results as soon as they are recorded: reload it then.</p></section>"
    )
