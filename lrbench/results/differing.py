"""What differs between two results: how they were declared and made, what they cost, and what they scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.results.board import Board, build_boards
from lrbench.results.contrasts import compare_arms
from lrbench.results.details import NOTHING, choice_text, costs_of, declared_of, made_of, value_text
from lrbench.results.ledger import LedgerContents
from lrbench.results.protocols import differing_suites
from lrbench.results.records import ArmRecord
from lrbench.results.rows import Row
from lrbench.results.text import plain
from lrbench.results.wording import accuracy_text, comparison_text


@dataclass(frozen=True)
class Line:
    """One thing that differs, and what it is in both; empty where one has none."""

    what: str
    first: str
    second: str
    verdict: str = ""


@dataclass(frozen=True)
class Difference:
    """What differs, in sections: as declared, as made, in costs; and scores, which are given where equal too.

    `incomparable` says why there are no scores side by side, where there are none; where that is how they
    were measured, `protocols` say in which fields. `chosen` says of both which point of a sweep was chosen.
    """

    declared: tuple[Line, ...]
    made: tuple[Line, ...]
    costs: tuple[Line, ...]
    scores: tuple[Line, ...]
    incomparable: str = ""
    protocols: tuple[Line, ...] = ()
    chosen: tuple[str, str] = ("", "")


def difference(first: ArmRecord, second: ArmRecord, contents: LedgerContents) -> Difference:
    """Hold two results of a ledger against each other; `verdict` is of the second against the first."""
    board, incomparable, protocols = _common_board(first, second, contents)
    scores = () if board is None else tuple(_scores(board, first, second))
    return Difference(
        declared=tuple(_differing(declared_of(first), declared_of(second))),
        made=tuple(_differing(made_of(first), made_of(second))),
        costs=tuple(_differing(costs_of(first), costs_of(second))),
        scores=scores,
        incomparable=incomparable,
        protocols=protocols,
        chosen=(choice_text(first, contents), choice_text(second, contents)),
    )


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Line]:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield Line(name, value_text(first.get(name)), value_text(second.get(name)))


def _common_board(
    first: ArmRecord, second: ArmRecord, contents: LedgerContents
) -> tuple[Board | None, str, tuple[Line, ...]]:
    """The board both are on, of several the one with most columns; or why there is none, and what differs."""
    names = {first.arm_id, second.arm_id}
    scores = [score for score in contents.scores if score.arm_id in names]
    unmeasured = [arm.arm for arm in (first, second) if all(score.arm_id != arm.arm_id for score in scores)]
    if unmeasured:
        return None, f"not measured: {', '.join(map(plain, unmeasured))}", ()
    boards = build_boards([first, second], scores, contents.recipes)
    common = [board for board in boards if {row.arm_id for row in board.rows} >= names]
    if not common:
        return None, "they were measured under different protocols", tuple(_apart(first, second, boards))
    return max(common, key=lambda board: len(board.columns)), "", ()


def _apart(first: ArmRecord, second: ArmRecord, boards: Sequence[Board]) -> Iterator[Line]:
    """In which fields the protocols of both differ, of the same suite where they have one in common."""
    ours, theirs = (
        [board for board in boards if any(row.arm_id == arm.arm_id for row in board.rows)]
        for arm in (first, second)
    )
    pairs = [(board, other) for board in ours for other in theirs]
    one, other = next((pair for pair in pairs if pair[0].suite == pair[1].suite), pairs[0])
    yield Line("protocol", one.protocol_hash[:8], other.protocol_hash[:8])
    for found in differing_suites(one.protocols, other.protocols):
        where = "" if found.benchmarks == tuple(one.protocols) else ", ".join(found.benchmarks)
        what = f"{found.field} ({where})" if where else found.field
        yield Line(plain(what), plain(found.first, 60), plain(found.second, 60))


def _scores(board: Board, first: ArmRecord, second: ArmRecord) -> Iterator[Line]:
    rows: dict[str, Row] = {row.arm_id: row for row in board.rows}
    before, after = rows[first.arm_id], rows[second.arm_id]
    for column in board.columns:
        earlier, later = before.on(column), after.on(column)
        tested = None
        if earlier is not None and later is not None:
            tested = compare_arms([after], [before], board.benchmarks_of(column), pool=None)
        yield Line(
            plain(column),
            NOTHING if earlier is None else accuracy_text(earlier),
            NOTHING if later is None else accuracy_text(later),
            comparison_text(tested) or "other items",
        )
