"""What was predicted and what came, one JSON line a run; later predictions are corrected by it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter, ValidationError

from lrbench.store.files import read_regular

FILE = "estimates.jsonl"
# Raised whenever the uncorrected model changes: what was said of an earlier one is no correction of this.
MODEL = 2
# A run teaches about models of up to so many times, or as few as that part of, its own's parameters.
ALIKE = 4.0


@dataclass(frozen=True)
class Work:
    """All stages of one kind in one run: seconds taken, and those of the uncorrected model for these tokens.

    `rows` completions had `tokens` in all, where the kind writes any.
    """

    seconds: float
    modelled_seconds: float
    rows: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class RunEstimate:
    """One run: what its plan said, what came, and the work by kind.

    Seconds are those of the whole run; `busy` is the share of them in which a CPU worked for it, 1 on a GPU.
    Where others use the machine too it is small, and what the work itself takes is that share.
    `modelled_bytes` is the uncorrected model's peak; `bytes` is None where the process had held more before
    the run began. `model` says which uncorrected model it was.
    """

    recipe: str
    recorded_at: str
    device: str
    expert: str
    parameters: int
    predicted_seconds: float
    seconds: float
    busy: float
    predicted_bytes: float
    bytes: int | None
    modelled_bytes: float
    work: dict[str, Work] = field(default_factory=dict)
    model: int = 1


@dataclass(frozen=True)
class Correction:
    """What to multiply the model's answer with, and how many earlier runs say so."""

    factor: float
    runs: int


@dataclass(frozen=True)
class History:
    """Earlier runs on one device with an expert about as large."""

    runs: tuple[RunEstimate, ...] = ()

    def speed(self, kind: str) -> Correction:
        """Of the seconds of stages of one kind: the median ratio of earlier runs."""
        found = [(run.work[kind], run.busy) for run in self.runs if kind in run.work]
        return _correction(
            work.seconds * busy / work.modelled_seconds for work, busy in found if work.modelled_seconds
        )

    def memory(self) -> Correction:
        """Of the peak memory of a run."""
        return _correction(
            run.bytes / run.modelled_bytes
            for run in self.runs
            if run.bytes is not None and run.modelled_bytes
        )

    def written(self, kind: str, expert: str) -> float | None:
        """Tokens of a completion, the median of runs with this expert; None where there are none."""
        found = [run.work[kind] for run in self.runs if run.expert == expert and kind in run.work]
        means = [work.tokens / work.rows for work in found if work.rows]
        return median(means) if means else None


def read_history(runs: Path, device: str, parameters: int) -> History:
    """The earlier runs on `device` with an expert about as large; torn and outdated lines are left out."""
    return History(
        tuple(
            run
            for run in _lines(runs / FILE)
            if (run.device, run.model) == (device, MODEL)
            and 1 / ALIKE <= run.parameters / parameters <= ALIKE
        )
    )


def record(runs: Path, run: RunEstimate) -> None:
    """Append one line. Raises `OSError` when it cannot be written."""
    line = json.dumps(asdict(run), sort_keys=True, allow_nan=False) + "\n"
    descriptor = os.open(runs / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
    try:
        # One write, so that lines of two processes do not mix.
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


_RUN = TypeAdapter(RunEstimate)


def _lines(path: Path) -> Iterator[RunEstimate]:
    try:
        lines = read_regular(path).decode(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield _RUN.validate_json(line, strict=True)
        except ValidationError:
            continue


def _correction(ratios: Iterator[float]) -> Correction:
    found = list(ratios)
    return Correction(median(found), len(found)) if found else Correction(1.0, 0)
