"""An arm's page: what it won and lost against its baseline, its curves, and what it was made by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml
from markupsafe import Markup

from lrbench.errors import StoreError
from lrbench.results.board import Board
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import LedgerContents
from lrbench.results.provenance import look, stages_behind
from lrbench.results.records import ArmRecord
from lrbench.results.rendering.layout import run_scores
from lrbench.results.rows import Row
from lrbench.results.site.arm_index import anchor_of
from lrbench.results.site.charts import charts_of
from lrbench.results.site.pages import HtmlTable, Page, arm_file
from lrbench.results.variations import called
from lrbench.results.web.items import LOST, WON, Pair, paired
from lrbench.results.web.text_diff import diff_html

# Of each benchmark, won and lost: a study of twenty arms has to fit into some megabytes.
MOST_FLIPS = 6


@dataclass(frozen=True)
class Flip:
    """An item that one of two arms alone got right, with both completions as HTML that marks what differs."""

    outcome: str
    pair: Pair
    first: Markup
    second: Markup


@dataclass(frozen=True)
class Flips:
    """Of one benchmark: how many items were won and lost, and some of them; or why they cannot be read."""

    benchmark: str
    won: int = 0
    lost: int = 0
    shown: tuple[Flip, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Measured:
    """The arm on one board: its line, and what it won and lost against the `baseline` that matters most."""

    suite: str
    table: HtmlTable
    baseline: str
    flips: list[Flips]


def arm_pages(
    boards: Sequence[Board], contents: LedgerContents, inspector: Inspector, rollouts: Mapping[str, str]
) -> list[Page]:
    """A page for every arm on any board; `rollouts` lead from an arm's id to what it learnt from."""
    arms = {arm.arm_id: arm for arm in contents.arms}
    found: dict[str, list[tuple[Board, Row]]] = {}
    for board in boards:
        for row in board.rows:
            found.setdefault(row.arm_id, []).append((board, row))
    return [
        _page(arms.get(arm_id), places, contents, inspector, rollouts.get(arm_id))
        for arm_id, places in found.items()
    ]


def _page(
    arm: ArmRecord | None,
    places: list[tuple[Board, Row]],
    contents: LedgerContents,
    inspector: Inspector,
    rollouts: str | None,
) -> Page:
    board, row = places[0]
    seed = "" if row.seed is None else f" seed {row.seed}"
    name = f"{called(row.arm, row.point, row.variant)}{seed}"
    scores = [score for score in contents.scores if score.arm_id == row.arm_id]
    stages = [
        look(inspector, stage, key, label) for (stage, key), label in stages_behind(arm, scores).items()
    ]
    told = {
        "row": row,
        "name": name,
        "arm": arm,
        "measured": [_measured(board, row, inspector) for board, row in places],
        "charts": [] if arm is None else charts_of(arm.curves, arm),
        "stages": stages,
        "settings": "" if arm is None else yaml.safe_dump(arm.settings, sort_keys=False, allow_unicode=True),
        "learnt_from": rollouts,
        "anchor": anchor_of(board, row),
    }
    return Page(arm_file(row.arm_id), f"{name}, {row.recipe}", "arm.html.jinja", told, row.arm_id)


def _measured(board: Board, row: Row, inspector: Inspector) -> Measured:
    table = HtmlTable.of(run_scores(board, [row], board.columns).accuracies("Accuracy and cost"))
    # Of an arm that the recipe is not about none matters more than another.
    baseline = next(iter([*board.foremost(row), *row.against]), None)
    if baseline is None:
        return Measured(board.suite, table, "", [])
    other = next(other for other in board.rows if other.arm_id == row.against[baseline].baseline)
    flips = [_flips(row, other, benchmark, inspector) for benchmark in row.cells if benchmark in other.cells]
    named = called(other.arm, other.point, other.variant)
    seed = "" if other.seed is None else f", seed {other.seed}"
    return Measured(board.suite, table, f"{named}{seed}", flips)


def _flips(row: Row, other: Row, benchmark: str, inspector: Inspector) -> Flips:
    try:
        pairs = paired(
            inspector.items(row.cells[benchmark].score), inspector.items(other.cells[benchmark].score)
        )
    except StoreError as error:
        return Flips(benchmark, reason=str(error))
    by_outcome = {name: [pair for pair in pairs if pair.outcome == name] for name in (WON, LOST)}
    shown = tuple(
        Flip(name, pair, *map(Markup, diff_html(pair.first["completion"], pair.second["completion"])))
        for name, found in by_outcome.items()
        for pair in _spread(found)
    )
    return Flips(benchmark, len(by_outcome[WON]), len(by_outcome[LOST]), shown)


def _spread(pairs: list[Pair]) -> Iterator[Pair]:
    """As many as are shown, evenly from all of them."""
    count = min(len(pairs), MOST_FLIPS)
    return (pairs[place * len(pairs) // count] for place in range(count))
