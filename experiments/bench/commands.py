"""Whole commands, from start to exit, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.bench.measuring import Comparison, Figure, Line, seconds
from experiments.bench.running import LRBENCH, ROOT, run
from experiments.bench.subjects import QUICKSTART

# A process begins with the largest size of the one that started it, so a small one stands between.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)
"""
# As little as a point can be, at nine points.
SWEEP = f"""
extends: {QUICKSTART}
name: bench_sweep
data: {{problems: 32, held_out: 0}}
training: {{updates: 1}}
sweep:
  grid:
    divergence.alpha: [0.1, 0.2, 0.4]
    divergence.beta: [0.2, 0.4, 0.8]
arms: [lightr]
evaluation: {{limit: 2}}
"""


def commands() -> Iterator[Line]:
    """One line for each command, as it is measured."""
    yield Figure("lrbench --help, s", [seconds(lambda: run("--help")) for _ in range(5)], "under 0.5")
    checks = [seconds(lambda: run("check", *[str(QUICKSTART)] * 50)) for _ in range(5)]
    yield Figure("lrbench check of 50 recipes, s", checks, "under 2")
    with tempfile.TemporaryDirectory() as runs:
        peaks: list[float] = []
        first = seconds(lambda: peaks.append(_largest("run", str(QUICKSTART), "--runs", runs)))
        yield Figure("quickstart, s", [first], "under 180")
        yield Figure("quickstart, largest resident size of a process, GiB", peaks, "under 3")
        again = [seconds(lambda: run("run", str(QUICKSTART), "--runs", runs)) for _ in range(3)]
        yield Figure("quickstart, run again, s", again, "under 5")
    with tempfile.TemporaryDirectory() as runs:
        alone = seconds(lambda: run("run", str(QUICKSTART), "runtime.workers=1", "--runs", runs))
        yield Comparison("quickstart: two workers, against one", [first], [alone], "at least 1")
    with tempfile.TemporaryDirectory() as runs:
        recipe = Path(runs) / "sweep.yaml"
        recipe.write_text(SWEEP, encoding="utf-8")
        run("run", str(recipe), "--runs", runs)
        again = [seconds(lambda: run("run", str(recipe), "--runs", runs)) for _ in range(3)]
        yield Figure("sweep of 9 points, run again when finished, s", again)


def _largest(*arguments: str) -> float:
    """Run a command; the largest resident size of any of its processes, in GiB (Linux counts in KiB)."""
    between = [sys.executable, "-S", "-c", MEASURED, *LRBENCH, *arguments]
    return float(subprocess.run(between, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
