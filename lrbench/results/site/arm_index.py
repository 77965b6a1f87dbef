"""The arms of a section of a board, each with its points, its runs and what it learnt from, all as links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.rows import Row, grouped
from lrbench.results.site.pages import ID_LENGTH
from lrbench.results.text import plain
from lrbench.store.keys import stable_hash

LONGEST = 60


@dataclass(frozen=True)
class Link:
    """What stands there, and the page."""

    text: str
    file: str


@dataclass(frozen=True)
class PointIndexed:
    """An arm where it stands: `where` is its point and what sets it apart. `tokens` is empty without any."""

    where: str
    runs: tuple[Link, ...]
    tokens: str


@dataclass(frozen=True)
class ArmIndexed:
    """An arm in the order of its board, at the place `anchor` of the first page."""

    name: str
    anchor: str
    points: tuple[PointIndexed, ...]


def anchor_of(board: Board, row: Row) -> str:
    """The place of the row's arm on the first page, among those of its board, expert and recipe."""
    return f"arm-{stable_hash([board.protocol_hash, row.expert_weights, row.recipe, row.arm])[:ID_LENGTH]}"


def arm_index(
    board: Board, rows: Sequence[Row], links: Mapping[str, str], tokens: Mapping[str, str]
) -> list[ArmIndexed]:
    """Of the rows of one expert and recipe; `links` and `tokens` lead from an arm's id to its pages."""
    found: dict[str, list[PointIndexed]] = {}
    for group in grouped(rows):
        row = group.rows[0]
        where = " ".join(filter(None, (point_text(row.point), row.variant)))
        page = next((tokens[each.arm_id] for each in group.rows if each.arm_id in tokens), "")
        runs = tuple(Link(_run(each), links[each.arm_id]) for each in group.rows if each.arm_id in links)
        found.setdefault(row.arm, []).append(PointIndexed(plain(where, LONGEST), runs, page))
    anchors = {row.arm: anchor_of(board, row) for row in rows}
    return [ArmIndexed(plain(name, LONGEST), anchors[name], tuple(points)) for name, points in found.items()]


def _run(row: Row) -> str:
    return "its page" if row.seed is None else f"seed {row.seed}"
