"""What is behind a result: its stages as the store has them, and every hash that says what was read.

Looking reads manifests alone, so that it costs the same for a megabyte and a terabyte; verifying reads
every byte and is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lrbench.errors import StoreError
from lrbench.results.inspection import EVALUATION, Inspector
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.store.artifact import PROVENANCE, DamageError, read_manifest
from lrbench.store.canonical import leaves
from lrbench.store.files import read_regular, storage_errors

_HASH = re.compile(r"(?:[a-z]+[:@])?[0-9a-f]{40,64}|[^@\s]+@[0-9a-f]{40}")


class State(StrEnum):
    """How an artifact was found. `THERE`: complete by names and sizes, its content not read."""

    THERE = "there"
    WHOLE = "whole"
    DAMAGED = "damaged"
    MISSING = "missing"


@dataclass(frozen=True)
class StageFound:
    """One stage behind a result. What the store does not say is None or empty; sizes are in bytes.

    `label` tells evaluations of several benchmarks apart; `reason` says what is wrong with a damaged one.
    """

    name: str
    key: str
    label: str
    state: State
    reason: str = ""
    version: int | None = None
    content_hash: str = ""
    size: int | None = None
    seconds: float | None = None
    created_at: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    statistics: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Mapping[str, Any], ...] = ()


def stages_behind(arm: ArmRecord | None, scores: Iterable[ScoreRecord]) -> dict[tuple[str, str], str]:
    """(stage, key) -> label of everything a result was made by, in order, each once."""
    found = {} if arm is None else {address: name for name, address in arm.addresses.items()}
    for score in scores:
        if score.imported:
            continue
        found.setdefault((EVALUATION, score.evaluation_key), f"{EVALUATION} {score.benchmark}")
    return found


def look(inspector: Inspector, name: str, key: str, label: str) -> StageFound:
    """The stage as its manifest describes it; reads no content and raises nothing."""
    directory = inspector.store.root / name / key
    try:
        if not inspector.store.exists(name, key) and not directory.exists():
            return StageFound(name, key, label, State.MISSING)
        with storage_errors(directory):
            manifest = read_manifest(directory, name, key)
            made = json.loads(read_regular(directory / PROVENANCE))
        return StageFound(
            name=name,
            key=key,
            label=label,
            state=State.THERE,
            version=manifest["version"],
            content_hash=manifest["content_hash"],
            size=sum(record["size"] for record in manifest["files"]),
            seconds=made["seconds"],
            created_at=made["created_at"],
            identity=manifest["identity"],
            inputs=manifest["inputs"],
            statistics=manifest["statistics"],
            files=tuple(manifest["files"]),
        )
    except (DamageError, StoreError, LookupError, TypeError, ValueError) as error:
        return StageFound(name, key, label, State.DAMAGED, reason=str(error))


def verified(inspector: Inspector, stage: StageFound) -> StageFound:
    """The stage after every byte of it was read; what is missing or damaged already stays so."""
    if stage.state is not State.THERE:
        return stage
    try:
        inspector.artifact(stage.name, stage.key)
    except StoreError as error:
        return replace(stage, state=State.DAMAGED, reason=str(error))
    return replace(stage, state=State.WHOLE)


def hashes_read(stages: Iterable[StageFound], scores: Iterable[ScoreRecord]) -> dict[str, list[str]]:
    """Hash -> where it stands, of all data and weights that the stages and protocols name."""
    found: dict[str, list[str]] = {}
    named = [(stage.label, stage.identity) for stage in stages if stage.name != EVALUATION]
    named += [(f"protocol of {score.benchmark}", score.protocol) for score in scores]
    for label, mapping in named:
        for path, value in leaves(mapping):
            if isinstance(value, str) and _HASH.fullmatch(value):
                found.setdefault(value, []).append(f"{label}: {path}")
    return found
