"""A gate on result files: is any system worse than one of them by more than is allowed?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lrbench.errors import DataError, UserError
from lrbench.recipe.claims import AVERAGE, no_worse
from lrbench.recipe.messages import did_you_mean
from lrbench.results.board import build_boards
from lrbench.results.claims import judge_claims
from lrbench.results.claims.gates import Asked, Gate
from lrbench.results.foreign.outcomes import Measured, Origin, shown
from lrbench.results.foreign.pairing import pair, whole_draws
from lrbench.results.foreign.reading import System, read_systems, source_of
from lrbench.results.foreign.recording import named, records_of
from lrbench.results.records import ArmRecord, ScoreRecord


def gate_files(files: Sequence[str], asked: Asked, metric: str | None = None) -> Gate:
    """Whether every system of the files but the base is no worse than it by the points asked.

    The base is one of the systems, by its name, or a file of its own. All are judged on the items that all
    of them answered. Raises `UserError` for a base that is neither, `DataError` for unreadable files.
    """
    systems, base = _systems(files, asked.base, metric)
    others = [system for system in systems if system.name != base.name]
    if not others:
        raise UserError(f"{shown(base.name)} alone is no comparison; name the files to set against it")
    shared, remarks = _shared(base, others)
    for where in asked.where:
        if where != AVERAGE and where not in shared[0].benchmarks:
            known = [AVERAGE, *shared[0].benchmarks]
            raise UserError(
                f"--on {shown(where)}: the files share no such benchmark{did_you_mean(where, known)}"
            )
    claims = [
        no_worse(other.name, base.name, where, asked.points) for other in others for where in asked.where
    ]
    records = list(records_of(shared, "gate", datetime.now(UTC).isoformat(timespec="seconds")))
    arms = [record for record in records if isinstance(record, ArmRecord)]
    (board,) = build_boards(arms, (record for record in records if isinstance(record, ScoreRecord)))
    return Gate(tuple(("", judgement) for judgement in judge_claims(claims, board.rows)), tuple(remarks))


def _systems(files: Sequence[str], base: str, metric: str | None) -> tuple[list[System], System]:
    sources = [source_of(text) for text in files]
    of_base = source_of(base)
    beside = os.path.lexists(of_base.path)
    read = read_systems([*sources, *([of_base] if beside else [])], metric)
    found = named(read)
    if beside:
        own = {system.name for system in named(read_systems([of_base], metric))}
        if len(own) != 1:
            raise UserError(f"--no-worse-than {base}: holds {len(own)} systems, needed is one")
        return found, next(system for system in found if system.name in own)
    for system in found:
        if base in (system.name, system.called):
            return found, system
    names = [system.called for system in found]
    raise UserError(
        f"--no-worse-than {shown(base)}: no file, and no system of the files; these are "
        f"{', '.join(map(shown, names))}{did_you_mean(base, names)}"
    )


def _shared(base: System, others: Sequence[System]) -> tuple[list[System], list[str]]:
    """All systems on what every one of them answered, and what was left out."""
    kept: dict[str, set[str]] = {}
    remarks: dict[str, None] = {}
    for benchmark, ours in base.benchmarks.items():
        lacking = [other.name for other in others if benchmark not in other.benchmarks]
        if lacking:
            names = ", ".join(map(shown, lacking))
            remarks[f"not judged: {shown(benchmark)}, which {names} was not measured on"] = None
            continue
        items = set(whole_draws(ours))
        for other in others:
            pairing = pair(ours, other.benchmarks[benchmark])
            items &= set(pairing.paired)
            remarks |= dict.fromkeys(
                f"not judged, {shown(benchmark)}: {reason}"
                for reason in pairing.reasons(base.name, other.name)
            )
        if items:
            kept[benchmark] = items
    remarks |= dict.fromkeys(
        f"not judged: {shown(benchmark)}, which {shown(base.name)} was not measured on"
        for other in others
        for benchmark in other.benchmarks
        if benchmark not in base.benchmarks
    )
    if not kept:
        raise DataError(f"the files share no item that all systems answered: {'; '.join(remarks)}")
    remarks |= dict.fromkeys(_read_remarks([base, *others]))
    return [_restricted(system, kept) for system in (base, *others)], list(remarks)


def _restricted(system: System, kept: dict[str, set[str]]) -> System:
    """The system on these items, without what its files say of how it was measured: that was compared."""
    return replace(
        system,
        benchmarks={
            benchmark: _of_items(system.benchmarks[benchmark], items) for benchmark, items in kept.items()
        },
    )


def _of_items(measured: Measured, items: set[str]) -> Measured:
    outcomes = tuple(replace(outcome, text=None) for outcome in measured.outcomes if outcome.item in items)
    origin = Origin("files", measured.origin.path, measured.origin.sha256)
    return replace(measured, outcomes=outcomes, origin=origin)


def _read_remarks(systems: Sequence[System]) -> Iterator[str]:
    for system in systems:
        yield from system.remarks
