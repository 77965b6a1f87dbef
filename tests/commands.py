"""The command line as a user calls it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
# The quickstart as the fixture `quickstart_runs` runs it: all of its stages, each on less.
SMALL = [
    "data.problems=48",
    "training.updates=16",
    "training.rollouts_per_update=8",
    "evaluation.limit=8",
    "runtime.threads=1",
]
LRBENCH = [sys.executable, "-c", "from lrbench.cli import main; main()"]


def lrbench(*arguments: object, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*LRBENCH, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"} | variables,
        timeout=300,
    )
