"""What is tried: a very small recipe that makes every kind of artifact, and what its runs folder holds."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from experiments.faults.process import command

RECIPE = """\
name: tiny
pair:
  expert:
    model: embedded/expert
  amateur:
    derive: {from: expert, layers: 1, distill_updates: 3}
data:
  train: embedded/one_step
  problems: 66
  held_out: 2
divergence: {alpha: 0.2, beta: 0.1}
sampling:
  max_new_tokens: 8
  solutions: {samples_per_problem: 1, max_new_tokens: 32}
training:
  updates: 4
  rollouts_per_update: 8
  learning_rate: 2.0e-3
  lora: {r: 1, alpha: 2, target_modules: [v_proj]}
arms: [base, sft, lightr, ground_truth]
claims:
  - lightr > sft on average
evaluation:
  suite: embedded7
  benchmarks: [one_step]
  limit: 3
runtime: {threads: 1, updates_between_saves: 2}
"""
STUDY = """\
title: Tiny
description: The recipe beside this file.
table: ablations
editions:
  paper:
    recipes: [tiny.yaml]
  embedded:
    recipes: [tiny.yaml]
    arms: [base, sft, lightr]
    claims:
      - lightr > base on average by 1
"""
NAME = "tiny.yaml"
STUDY_NAME = "tiny_study.yaml"
# A result that can be exported, registered and shown.
ARM = "tiny/lightr"
# What differs between equal runs: when and where something was done, and how long it took.
OF_THE_MOMENT = frozenset(
    {"recorded_at", "made_at", "measured_at", "seconds", "environment", "sha256", "command"}
)


@dataclass(frozen=True)
class Contents:
    """What a runs folder says, apart from times: artifacts by address, and the records of the ledger."""

    artifacts: dict[str, str]
    records: tuple[str, ...]
    torn: tuple[str, ...] = ()

    def difference(self, other: Contents) -> str:
        """What is not as in `other`; empty where all is."""
        found = [f"torn: {place}" for place in self.torn]
        for address in sorted(self.artifacts.keys() | other.artifacts.keys()):
            if self.artifacts.get(address) != other.artifacts.get(address):
                stage = address.partition("/")[0]
                found.append(f"{stage}: {_told(self.artifacts.get(address), other.artifacts.get(address))}")
        if self.records != other.records:
            same = sorted(self.records) == sorted(other.records)
            found.append("records in another order" if same else "other records in the ledger")
        return "; ".join(dict.fromkeys(found))


def _told(here: str | None, there: str | None) -> str:
    if here is None:
        return "an artifact is missing"
    return "an artifact too many" if there is None else "another content"


def write_subject(folder: Path) -> Path:
    """The recipe and its study in `folder`; returns the recipe's path."""
    (folder / NAME).write_text(RECIPE)
    (folder / STUDY_NAME).write_text(STUDY)
    return folder / NAME


def contents_of(runs: Path) -> Contents:
    """What `runs` holds; read without lrbench, so that it cannot be wrong in the same way."""
    torn: list[str] = []
    artifacts = {}
    for manifest in sorted((runs / "store").glob("*/*/manifest.json")):
        stage = manifest.parent.parent.name
        if stage == "damaged" or manifest.parent.suffix:
            continue
        artifacts[f"{stage}/{manifest.parent.name}"] = json.loads(manifest.read_text())["content_hash"]
    records = []
    for name in ("recipes", "arms", "scores"):
        path = runs / "ledger" / f"{name}.jsonl"
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.exists() else []):
            try:
                records.append(json.dumps(_timeless(json.loads(line)["record"]), sort_keys=True))
            except (ValueError, KeyError):
                torn.append(f"{path.name}:{number + 1}")
            if not line.endswith(b"\n"):
                torn.append(f"{path.name}: no line feed at its end")
    return Contents(artifacts, tuple(records), tuple(torn))


def committed_files(runs: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of writing of every committed file, by its stage, key and name, finished or not.

    A later run keeps what was committed: the file stays the same, whatever folder it is moved to.
    """
    found = {}
    for path in (runs / "store").glob("*/*/**/*"):
        if path.parts[-3] == "damaged" or not path.is_file():
            continue
        stage, place, *inside = path.relative_to(runs / "store").parts
        if stage == "locks" or (place.endswith(".draft") and inside[0] != "files"):
            continue
        if place.endswith(".draft") and "/".join(inside[1:]) not in _journalled(
            runs / "store" / stage / place
        ):
            continue
        name = "/".join(inside[1:] if place.endswith(".draft") else inside)
        status = path.stat()
        found[f"{stage}/{place.removesuffix('.draft')}/{name}"] = (status.st_ino, status.st_mtime_ns)
    return found


def files_under(folder: Path) -> dict[str, bytes]:
    """The content of every file below `folder`, by its path there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def undisturbed(folder: Path) -> Contents:
    """The recipe and its runs folder in `folder`, run with nothing in its way; returns what that holds."""
    write_subject(folder)
    copy_runs(_undisturbed_runs(), folder / "runs")
    return contents_of(folder / "runs")


@cache
def _undisturbed_runs() -> Path:
    """A runs folder that all kinds of a campaign start from."""
    folder = Path(tempfile.mkdtemp(prefix="lrbench-faults-undisturbed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_subject(folder)
    ended = command(["run", NAME], folder)
    if ended.code:
        raise RuntimeError(f"the recipe of the campaign does not run: {ended.said}")
    return folder / "runs"


def copy_runs(runs: Path, to: Path) -> Path:
    """A copy of a runs folder with the files' times, since a cache goes by them."""
    return Path(shutil.copytree(runs, to, symlinks=True))


def _journalled(draft: Path) -> set[str]:
    names: set[str] = set()
    for line in (draft / "journal.jsonl").read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event["event"] == "commit":
            names.add(event["name"])
        elif event["event"] == "discard":
            names.discard(event["name"])
    return names


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(item) for name, item in value.items() if name not in OF_THE_MOMENT}
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return value
