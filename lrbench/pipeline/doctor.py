"""Looking over a machine and a runs folder: can lrbench work here, and is all it made whole?

Looking changes nothing. Told to repair, it moves what is damaged aside and removes what killed commands
left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import StoreError
from lrbench.results.agreement import disagreements
from lrbench.results.completeness import Address, gaps
from lrbench.results.ledger import Ledger
from lrbench.store.artifact import Artifact, Origin
from lrbench.store.outside import leftovers, remove_leftover
from lrbench.store.store import Store

LOW_DISK_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `text` says what was found and, when not `well`, what to do."""

    well: bool
    text: str


def examine(runs: Path, quick: bool = False, repair: bool = False) -> Iterator[Finding]:
    """Everything `lrbench doctor` says about this machine and the folder `runs`, as it is found.

    `quick` compares names and sizes and reads no content, and asks neither torch about the machine nor the
    kernel for a sandbox. `repair` moves what is damaged, disagrees or does not belong aside, and removes
    leftovers.
    """
    yield from _machine(quick)
    if not quick:
        yield from _sandbox()
    yield from _plugins()
    yield from _disk(runs)
    if not runs.is_dir():
        yield Finding(True, f"{runs} does not exist yet: nothing was run")
        return
    store, ledger = Store(runs / "store"), Ledger(runs / "ledger")
    artifacts: dict[Address, Origin] = {}
    verified: dict[Address, Artifact] = {}
    damaged: dict[Address, str] = {}
    for stage, key in store.addresses():
        try:
            if not quick and (whole := store.look(stage, key)) is not None:
                verified[stage, key] = whole
            artifacts[stage, key] = store.glance(stage, key)
        except StoreError as error:
            damaged[stage, key] = str(error)
    checked = "names and sizes right, contents not read" if quick else "every byte verified"
    yield Finding(True, f"{len(artifacts)} artifacts, {checked}")
    yield from _damage(store, damaged, repair)
    yield from _strays(store, repair)
    for draft in store.drafts():
        yield Finding(True, f"unfinished: {draft.stage} {draft.key[:8]}, {draft.committed_files} files kept")
    yield from _ledger(ledger, artifacts, verified, set(damaged), repair)
    yield from _leftovers(runs, repair)


def _machine(quick: bool) -> Iterator[Finding]:
    from lrbench.pipeline.environment import environment

    found = environment()
    missing = [name for name, version in found.items() if version == "not installed"]
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    remedy = "install lrbench anew, in a checkout with `make environment`"
    yield Finding(not missing, versions if not missing else f"{', '.join(missing)} not installed: {remedy}")
    if quick:
        return
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: models run on the CPU"
    yield Finding(True, f"{device}; {os.cpu_count()} cores, {torch.get_num_threads()} threads for torch")


def _sandbox() -> Iterator[Finding]:
    from lrbench.evaluation.programs.running import missing_sandbox

    lacking = missing_sandbox()
    if lacking is None:
        yield Finding(True, "programs that models write can be run here, in a sandbox")
    else:
        yield Finding(True, f"no sandbox here, so tasks that run programs of a model are refused: {lacking}")


def _plugins() -> Iterator[Finding]:
    """What installed packages add, a line for each package, and for each thing that cannot be used."""
    from lrbench.methods.plugins import kind_of
    from lrbench.suites.offers import all_offers

    usable: dict[str, list[str]] = {}
    for offer in all_offers():
        if offer.component is None or offer.problem is not None:
            yield Finding(False, offer.complaint)
        else:
            package = f"{offer.distribution} {offer.version}"
            usable.setdefault(package, []).append(f"{kind_of(offer.component)} {offer.word}")
    for package, components in usable.items():
        yield Finding(True, f"the package {package} adds the {', the '.join(components)}")


def _disk(runs: Path) -> Iterator[Finding]:
    existing = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    enough = free >= LOW_DISK_BYTES
    yield Finding(enough, f"{free / 2**30:.0f} GiB free for {runs}" + ("" if enough else ": make room"))
    if not os.access(existing, os.W_OK):
        yield Finding(False, f"{existing} cannot be written: choose another folder with --runs")


def _damage(store: Store, damaged: dict[Address, str], repair: bool) -> Iterator[Finding]:
    for (stage, key), text in damaged.items():
        if not repair:
            yield Finding(False, f"{text} `lrbench doctor --repair` moves it aside")
        elif store.find(stage, key) is None:
            yield Finding(True, f"{text} Moved aside now")
        else:
            yield Finding(True, f"{stage}/{key} was damaged, and has been made again by another process")


def _strays(store: Store, repair: bool) -> Iterator[Finding]:
    for path in store.strays():
        if repair:
            yield Finding(True, f"{path} did not belong to the store; moved to {store.put_aside(path)}")
        else:
            yield Finding(
                False,
                f"{path} does not belong to the store and is never read; move it elsewhere, or let "
                "`lrbench doctor --repair` put it with what is damaged",
            )


def _ledger(
    ledger: Ledger,
    artifacts: dict[Address, Origin],
    verified: dict[Address, Artifact],
    damaged: set[Address],
    repair: bool,
) -> Iterator[Finding]:
    contents = ledger.read()
    found = list(disagreements(contents, verified))
    if repair and (moved := ledger.put_damage_aside([wrong.record for wrong in found])):
        yield Finding(True, f"ledger: {moved} damaged or wrong lines moved to {ledger.damage_file}")
    for wrong in found:
        what = "moved aside now" if repair else "`lrbench doctor --repair` moves its line aside"
        yield Finding(repair, f"ledger: {wrong.text}; {what}, and the next run of its recipe records it anew")
    contents = ledger.read() if repair else contents
    yield Finding(True, f"ledger: {len(contents.arms)} arms, {len(contents.scores)} scores")
    yield from (Finding(False, f"ledger: {line}") for line in contents.broken)
    yield from (Finding(not gap.lost, gap.text) for gap in gaps(contents, artifacts, damaged))


def _leftovers(runs: Path, repair: bool) -> Iterator[Finding]:
    for note, path in leftovers(runs).items():
        if repair:
            remove_leftover(note, path)
            yield Finding(True, f"{path}, which a killed export or bundle had left, is removed")
        else:
            yield Finding(
                False,
                f"{path} was left half-written by a killed export or bundle; remove it, or let "
                "`lrbench doctor --repair` do so",
            )
