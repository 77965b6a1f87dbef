"""Looking over a machine and a runs folder: can lrbench work here, and is all it made whole?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import StoreError
from lrbench.results.ledger import Ledger
from lrbench.store.store import Store

LOW_DISK_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `text` says what was found and, when not `well`, what to do."""

    well: bool
    text: str


def examine(runs: Path) -> list[Finding]:
    """Everything `lrbench doctor` says about this machine and the folder `runs`."""
    return [*_machine(), *_folder(runs)]


def _machine() -> Iterator[Finding]:
    from lrbench.pipeline.environment import environment

    found = environment()
    missing = [name for name, version in found.items() if version == "not installed"]
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    yield Finding(not missing, versions if not missing else f"{', '.join(missing)}: run `make environment`")
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: models run on the CPU"
    yield Finding(True, f"{device}; {os.cpu_count()} cores, {torch.get_num_threads()} threads for torch")


def _folder(runs: Path) -> Iterator[Finding]:
    existing = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    enough = free >= LOW_DISK_BYTES
    yield Finding(enough, f"{free / 2**30:.0f} GiB free for {runs}" + ("" if enough else ": make room"))
    if not os.access(existing, os.W_OK):
        yield Finding(False, f"{existing} cannot be written: choose another folder with --runs")
    if not runs.is_dir():
        yield Finding(True, f"{runs} does not exist yet: nothing was run")
        return
    store = Store(runs / "store")
    addresses = _addresses(store.root)
    damage = list(_damage(store, addresses))
    yield Finding(True, f"{len(addresses) - len(damage)} artifacts, every byte verified")
    yield from damage
    for draft in store.drafts():
        yield Finding(True, f"unfinished: {draft.stage} {draft.key[:8]}, {draft.committed_files} files kept")
    contents = Ledger(runs / "ledger").read()
    yield Finding(True, f"ledger: {len(contents.arms)} arms, {len(contents.scores)} scores")
    yield from (Finding(False, f"ledger: {line}") for line in contents.broken)


def _damage(store: Store, addresses: list[tuple[str, str]]) -> Iterator[Finding]:
    for stage, key in addresses:
        try:
            store.look(stage, key)
        except StoreError as error:
            yield Finding(False, str(error))


def _addresses(store: Path) -> list[tuple[str, str]]:
    return sorted(
        (manifest.parent.parent.name, manifest.parent.name)
        for manifest in store.glob("*/*/manifest.json")
        if manifest.parent.parent.name != "damaged" and not manifest.parent.name.endswith(".draft")
    )
