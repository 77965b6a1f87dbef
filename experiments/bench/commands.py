"""Whole commands, from start to exit, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator

from experiments.bench.measuring import Figure, seconds
from experiments.bench.subjects import QUICKSTART

ROOT = QUICKSTART.parent.parent
LRBENCH = [sys.executable, "-c", "from lrbench.cli import main; main()"]
# A process begins with the largest size of the one that started it, so a small one stands between.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)
"""


def commands() -> Iterator[Figure]:
    """One line for each command, as it is measured."""
    yield Figure("lrbench --help, s", [seconds(lambda: _run("--help")) for _ in range(5)], "under 0.5")
    checks = [seconds(lambda: _run("check", *[str(QUICKSTART)] * 50)) for _ in range(5)]
    yield Figure("lrbench check of 50 recipes, s", checks, "under 2")
    with tempfile.TemporaryDirectory() as runs:
        peaks: list[float] = []
        first = seconds(lambda: peaks.append(_largest("run", str(QUICKSTART), "--runs", runs)))
        yield Figure("quickstart, s", [first], "under 180")
        yield Figure("quickstart, largest resident size of a process, GiB", peaks, "under 3")
        again = [seconds(lambda: _run("run", str(QUICKSTART), "--runs", runs)) for _ in range(3)]
        yield Figure("quickstart, run again, s", again, "under 5")


def _run(*arguments: str) -> None:
    subprocess.run([*LRBENCH, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def _largest(*arguments: str) -> float:
    """Run a command; the largest resident size of any of its processes, in GiB (Linux counts in KiB)."""
    between = [sys.executable, "-S", "-c", MEASURED, *LRBENCH, *arguments]
    return float(subprocess.run(between, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
