"""Whole commands, from start to exit, in processes of their own."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from experiments.bench.measuring import seconds, spread
from experiments.bench.subjects import QUICKSTART

LRBENCH = [sys.executable, "-c", "from lrbench.cli import main; main()"]


def commands() -> Iterator[str]:
    """One line for each command, as it is measured."""
    helps = [seconds(lambda: _run("--help")) for _ in range(5)]
    yield f"lrbench --help: {spread(helps)} s (wanted: under 0.5)"
    checks = [seconds(lambda: _run("check", *[str(QUICKSTART)] * 50)) for _ in range(5)]
    yield f"lrbench check of 50 recipes: {spread(checks)} s (wanted: under 2)"
    with tempfile.TemporaryDirectory() as runs:
        first = seconds(lambda: _run("run", str(QUICKSTART), "--runs", runs))
        yield f"quickstart: {first:.1f} s (wanted: under 180), peak {_peak():.2f} GiB (under 3)"
        again = [seconds(lambda: _run("run", str(QUICKSTART), "--runs", runs)) for _ in range(3)]
        yield f"quickstart, run again: {spread(again)} s (wanted: under 5)"


def _run(*arguments: str) -> None:
    subprocess.run(
        [*LRBENCH, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=QUICKSTART.parent.parent
    )


def _peak() -> float:
    """Largest resident size of any finished child, in GiB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
