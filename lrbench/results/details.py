"""Everything that is known of one result: its scores, what it cost, how it was declared and made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.results.board import Board, build_boards
from lrbench.results.board_arms import declared_baseline
from lrbench.results.declarations import meaning_of
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import LedgerContents
from lrbench.results.provenance import StageFound, look, stages_behind
from lrbench.results.records import ArmRecord
from lrbench.results.rows import Row
from lrbench.results.text import plain
from lrbench.results.wording import accuracy_text, comparison_text
from lrbench.store.canonical import leaves

NOTHING = "–"
# Of how an evaluation went, which says nothing of what was made.
PASSING = frozenset({"padding", "padding_of_cache"})
COSTS = ("updates", "tuned_tokens", "trained_steps", "learnt_problems", "sampled_problems", "sampled_tokens")


@dataclass(frozen=True)
class Scored:
    """A result on one board: for every column its accuracy, and its verdict against the `baseline`."""

    suite: str
    protocol: str
    baseline: str | None
    lines: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Details:
    """One result. `command` is what made it, empty where that is not known."""

    scored: tuple[Scored, ...]
    costs: Mapping[str, Any]
    declared: Mapping[str, Any]
    made: Mapping[str, Any]
    stages: tuple[StageFound, ...]
    command: str


def details_of(arm: ArmRecord, contents: LedgerContents, runs: Path) -> Details:
    """What the ledger and the store in `runs` say of a result; reads no content of the store."""
    inspector = Inspector(runs)
    scores = [score for score in contents.scores if score.arm_id == arm.arm_id]
    stages = stages_behind(arm, scores).items()
    meant = meaning_of(contents.recipes).get(arm.arm_id)
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    return Details(
        scored=tuple(
            _scored(board, row) for board in boards for row in board.rows if row.arm_id == arm.arm_id
        ),
        costs=costs_of(arm),
        declared=declared_of(arm),
        made=made_of(arm),
        stages=tuple(look(inspector, stage, key, label) for (stage, key), label in stages),
        command="" if meant is None else meant.command,
    )


def declared_of(arm: ArmRecord) -> dict[str, Any]:
    """Whose and which arm it is, and every setting that decided it, by its dotted name."""
    fields = {"recipe": arm.recipe, "arm": arm.arm, "seed": arm.seed, "expert": Path(arm.expert).name}
    return {
        **fields,
        **dict(leaves(arm.settings)),
        **{f"point.{name}": at for name, at in arm.point.items()},
    }


def made_of(arm: ArmRecord) -> dict[str, Any]:
    """When, by which stages, and on what."""
    kept = {name: value for name, value in arm.environment.items() if name not in PASSING}
    return {
        "recorded": arm.recorded_at[:16].replace("T", " "),
        **{f"stage {name}": key[:8] for name, key in arm.stages.items()},
        **kept,
    }


def costs_of(arm: ArmRecord) -> dict[str, Any]:
    """What it took, by name."""
    found: dict[str, Any] = {name: getattr(arm.costs, name) for name in COSTS}
    return found | {"seconds": round(sum(arm.costs.seconds.values()), 1)}


def value_text(value: Any) -> str:
    """A value for people, on one line."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else plain(str(value), 60)


def _scored(board: Board, row: Row) -> Scored:
    group = next(group for group in board.groups if row in group.rows)
    baseline = declared_baseline(board, group)
    return Scored(board.suite, board.protocol_hash[:8], baseline, tuple(_lines(board, row, baseline)))


def _lines(board: Board, row: Row, baseline: str | None) -> Iterator[tuple[str, str, str]]:
    delta = None if baseline is None else row.against.get(baseline)
    for column in board.columns:
        estimate = row.on(column)
        found = None if delta is None else delta.on(column)
        yield (
            plain(column),
            NOTHING if estimate is None else accuracy_text(estimate),
            "" if found is None else comparison_text(found),
        )
