"""Why work is done again that an earlier version of lrbench had finished.

A stage whose identity is read in another way, or whose output would be another one, has a new key, and
the old artifact is not used. That costs hours where models are large, so it is said with its reason, before
and while it is done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from lrbench.errors import StoreError
from lrbench.pipeline.stages.base import Stage
from lrbench.store.artifact import Origin
from lrbench.store.canonical import leaves
from lrbench.store.store import Store

# The newest artifacts of a stage that are looked at; a plan must not read a large store whole.
MOST_LOOKED_AT = 2000


@dataclass(frozen=True)
class Redone:
    """Stages that are to be run though an earlier version finished them, for one reason."""

    stages: tuple[Stage, ...]
    reason: str

    def __str__(self) -> str:
        named = self.stages[0].label
        others = len(self.stages) - 1
        what = f"{named} and {others} more of its kind" if others else named
        return f"made again: {what}, since {self.reason}"


def redone(stages: Sequence[Stage], store: Store) -> list[Redone]:
    """What of the waiting `stages` an earlier version had finished, by reason; without what only reads these.

    Raises `StoreError` when the system refuses to read the store.
    """
    waiting = {stage.key for stage in stages if not store.exists(stage.name, stage.key)}
    first = [
        stage
        for stage in stages
        if stage.key in waiting and not any(needed.key in waiting for needed in stage.inputs.values())
    ]
    keys: dict[str, list[str]] = defaultdict(list)
    for name, key in store.addresses() if first else ():
        keys[name].append(key)
    earlier = {name: list(_origins(store, name, keys[name])) for name in {stage.name for stage in first}}
    found: dict[tuple[str, str], list[Stage]] = defaultdict(list)
    for stage in first:
        reasons = (_reason(stage, origin) for origin in earlier[stage.name])
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is not None:
            found[stage.name, reason].append(stage)
    return [Redone(tuple(alike), reason) for (_, reason), alike in found.items()]


def _origins(store: Store, name: str, keys: list[str]) -> Iterator[Origin]:
    newest = sorted(keys, key=lambda key: (store.root / name / key).stat().st_mtime, reverse=True)
    for key in islice(newest, MOST_LOOKED_AT):
        with suppress(StoreError):
            yield store.glance(name, key)


def _reason(stage: Stage, origin: Origin) -> str | None:
    """Why `stage` is not the artifact of `origin`; None where it is other work."""
    if origin.inputs != {name: needed.key for name, needed in stage.inputs.items()}:
        return None
    reasons = [
        text
        for version in range(origin.version + 1, stage.version + 1)
        if (text := stage.changes.get(version)) is not None
    ]
    if origin.version != stage.version and not reasons:
        reasons = [f"{stage.name} is at version {stage.version}, and was at {origin.version}"]
    ours, theirs = dict(leaves(stage.identity)), dict(leaves(origin.identity))
    for field in ours.keys() | theirs.keys():
        if field not in ours or field not in theirs:
            now = stage.new_fields.get(field.rpartition(".")[2]) if field in ours else None
            if now is not None:
                reasons.append(now)
            elif origin.version == stage.version:
                # Of one version, what only one of two identities has was written in a recipe.
                return None
        elif ours[field] != theirs[field]:
            own = stage.own_fields.get(field.rpartition(".")[2])
            if own is None:
                return None
            reasons.append(own)
    if origin.key in stage.earlier_keys:
        reasons.append("what was written is kept")
    return "; ".join(dict.fromkeys(sorted(reasons))) or None
