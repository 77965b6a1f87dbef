"""`make faults`: the whole fault campaign; `python -m experiments.faults kills=50 data` some of it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.faults.artifacts import Artifacts
from experiments.faults.campaign import Kind, attempt_one, campaign
from experiments.faults.clusters import Clusters
from experiments.faults.hostile import HostileModels, HostileServers
from experiments.faults.hostile_files import HostileBundles, HostileData
from experiments.faults.kills import Kills
from experiments.faults.names import Names
from experiments.faults.places import Places
from experiments.faults.process import import_heavy
from experiments.faults.recipes import Recipes
from experiments.faults.together import Together
from experiments.faults.trainings import Trainings
from experiments.faults.workers import Workers

ROOT = Path(__file__).parents[2]
KINDS: tuple[Kind, ...] = (
    Recipes(),
    Artifacts(),
    Places(),
    Names(),
    HostileServers(),
    HostileModels(),
    HostileData(),
    HostileBundles(),
    Together(),
    Workers(),
    Clusters(),
    Kills(),
    Trainings(),
)


def main() -> None:
    """Try the kinds asked for; exits with 1 when anything is not as it has to be."""
    asked = _parse()
    kinds = [kind for kind in KINDS if not asked.kinds or kind.name in asked.kinds]
    tries = {kind.name: asked.kinds.get(kind.name) or asked.tries for kind in KINDS}
    if asked.rows is not None:
        print(rows(json.loads(asked.rows.read_text())))
        return
    import_heavy()
    if asked.only is not None:
        outcome = attempt_one(kinds[0], tries[kinds[0].name], asked.seed, asked.only)
        print(f"{outcome.group}: {outcome.finding or 'as expected'}\n{outcome.detail}")
        sys.exit(bool(outcome.finding))
    if asked.to is not None:
        asked.to.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, Any] = {}
    if asked.to is not None and asked.resume and asked.to.exists():
        done = json.loads(asked.to.read_text())
    for kind in kinds:
        if asked.resume and kind.name in done:
            continue
        done[kind.name] = campaign(kind, tries[kind.name], asked.seed, asked.workers).as_json()
        done[kind.name] |= {"commit": _commit(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
        show(kind.name, done[kind.name])
        if asked.to is not None:
            asked.to.write_text(json.dumps(done, indent=1) + "\n")
    sys.exit(any(done[kind.name]["findings"] for kind in kinds))


def show(name: str, found: dict[str, Any]) -> None:
    """Print the counts of one kind and what it found."""
    moment = time.strftime("%H:%M:%S")
    findings = len(found["findings"])
    counts = f"{found['tries']:>6,} tries  {found['as_expected']:>6,} as expected  {findings:>3} findings"
    print(f"{moment}  {name:<16}{counts}  {found['seconds']:>7.0f} s", flush=True)
    for finding in found["findings"]:
        print(f"    {finding['times']} x {finding['finding'][:600]}\n        {finding['again']}", flush=True)


def rows(done: dict[str, Any]) -> str:
    """The table of docs/reliability.md."""
    lines = [
        "| kind | tries | as expected | distinct findings | minutes |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind in KINDS:
        if kind.name in done:
            found = done[kind.name]
            lines.append(
                f"| {kind.name} | {found['tries']:,} | {found['as_expected']:,} | {len(found['findings'])} | "
                f"{found['seconds'] / 60:.1f} |"
            )
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.faults", description=__doc__)
    names = ", ".join(kind.name for kind in KINDS)
    parser.add_argument("kinds", nargs="*", metavar="KIND[=TRIES]", help=f"of {names}; all of them")
    parser.add_argument("--tries", type=int, help="so many cases of each kind, not those of a full campaign")
    parser.add_argument("--seed", type=int, default=0, help="other cases of the same kinds")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="tries at once")
    parser.add_argument("--to", type=Path, metavar="FILE.json", help="where counts and findings are written")
    parser.add_argument("--resume", action="store_true", help="leave out the kinds that --to holds already")
    parser.add_argument(
        "--only", type=int, metavar="NUMBER", help="one case of one kind, and what it printed"
    )
    parser.add_argument("--rows", type=Path, metavar="FILE.json", help="print the table of such a file")
    asked = parser.parse_args(arguments)
    asked.kinds = dict(word.partition("=")[::2] for word in asked.kinds)
    unknown = sorted(asked.kinds.keys() - {kind.name for kind in KINDS})
    if unknown:
        parser.error(f"unknown kind {unknown[0]}; there are {names}")
    asked.kinds = {name: int(tries) if tries else None for name, tries in asked.kinds.items()}
    return asked


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip()


if __name__ == "__main__":
    main()
