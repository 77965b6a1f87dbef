"""Everything that is known of one result: its scores, what it cost, how it was declared and made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board, build_boards
from lrbench.results.board_arms import declared_baseline
from lrbench.results.declarations import meaning_of, whole_command
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import LedgerContents
from lrbench.results.protocols import Difference, differing_suites
from lrbench.results.provenance import StageFound, look, stages_behind
from lrbench.results.records import ArmRecord
from lrbench.results.rows import Row
from lrbench.results.text import plain
from lrbench.results.wording import accuracy_text, comparison_text
from lrbench.store.canonical import leaves

NOTHING, DEFAULTS = "–", "defaults"
# Of how an evaluation went, which says nothing of what was made.
PASSING = frozenset({"padding", "padding_of_cache"})
MOST_READ = 12
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
    """One result. `command` is what made it, empty where that is not known.

    `protocols` say what sets the protocol of a further board apart from that of the first of its suite, by
    both hashes; `chosen` says which point of a sweep was chosen, empty where none is to be. `measured` is
    what its stages have counted and measured of what it learnt from.
    """

    scored: tuple[Scored, ...]
    protocols: Mapping[tuple[str, str], tuple[Difference, ...]]
    chosen: str
    costs: Mapping[str, Any]
    measured: Mapping[str, Any]
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
    own = [(board, row) for board in boards for row in board.rows if row.arm_id == arm.arm_id]
    return Details(
        scored=tuple(_scored(board, row) for board, row in own),
        protocols=dict(_apart([board for board, _ in own])),
        chosen=choice_text(arm, contents),
        costs=costs_of(arm),
        measured=measured_of(arm),
        declared=declared_of(arm),
        made=made_of(arm),
        stages=tuple(look(inspector, stage, key, label) for (stage, key), label in stages),
        command="" if meant is None or not meant.command else whole_command(meant.command, runs),
    )


def choice_text(arm: ArmRecord, contents: LedgerContents) -> str:
    """Which point of the arm's sweep its recipe has chosen, and whether this is it; empty without one."""
    meant = meaning_of(contents.recipes).get(arm.arm_id)
    chosen = None if meant is None or meant.selection is None else meant.selection.of(arm.arm)
    if meant is None or meant.selection is None or chosen is None:
        return ""
    point, on = point_text(chosen.point), f"chosen on {meant.selection.label} ({chosen.reason})"
    if not arm.point:
        return f"It is at {point}, {on}."
    if arm.point == chosen.point:
        return f"It is at the point {on}."
    return f"It is not at the point {on}: that is {point}."


def _apart(boards: Sequence[Board]) -> Iterator[tuple[tuple[str, str], tuple[Difference, ...]]]:
    """Both hashes and what differs, of every board but the first of its suite."""
    first: dict[str, Board] = {}
    for board in boards:
        earlier = first.setdefault(board.suite, board)
        if earlier is not board:
            found = differing_suites(earlier.protocols, board.protocols)
            yield (earlier.protocol_hash[:8], board.protocol_hash[:8]), tuple(found)


def declared_of(arm: ArmRecord) -> dict[str, Any]:
    """Whose and which arm it is, and every setting that decided it, by its dotted name."""
    fields = {"recipe": arm.recipe, "arm": arm.arm, "seed": arm.seed, "expert": Path(arm.expert).name}
    if arm.amateur is not None:
        fields["amateur"] = Path(arm.amateur).name
    return {
        **fields,
        **dict(_settings(arm.settings)),
        **{f"point.{name}": at for name, at in arm.point.items()},
    }


def _settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted name; a component that is all defaults has none, and is named."""
    for name, value in settings.items():
        nested = value if isinstance(value, Mapping) else {}
        yield from ((f"{name}.{inner}", DEFAULTS) for inner, own in nested.items() if own == {})
    yield from leaves(settings)


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
    if arm.costs.drawn_problems:
        found["drawn_problems"] = arm.costs.drawn_problems
    return found | {"seconds": round(sum(arm.costs.seconds.values()), 1)}


def measured_of(arm: ArmRecord) -> dict[str, Any]:
    """What the stages say of rollouts, steps, pairs, groups and training, by dotted names.

    Shares and means have four digits. Costs are not said again, nor what is too long to be read: histograms,
    hashes.
    """
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in leaves(arm.statistics)
        if name not in COSTS and not (isinstance(value, str | list) and len(value) > MOST_READ)
    }


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
