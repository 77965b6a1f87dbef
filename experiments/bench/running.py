"""Commands in processes of their own; a module without torch, for measurements that do not need it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LRBENCH = [sys.executable, "-c", "from lrbench.cli import main; main()"]


def run(*arguments: str) -> None:
    """Run a command of lrbench, to its end."""
    subprocess.run([*LRBENCH, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
