"""The command that serves the dashboard, which is a package of its own that nothing here imports."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Annotated

import typer

from lrbench.errors import UserError
from lrbench.options import RUNS, Runs


def dashboard(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where, on this machine.")] = 8501,
    runs: Runs = RUNS,
) -> None:
    """Open the leaderboard's pages on the runs folder, for this machine alone; they write nothing."""
    if importlib.util.find_spec("streamlit") is None:
        raise UserError("the dashboard needs Streamlit: pip install 'lrbench[dashboard]'")
    # This process becomes the server, so that signals reach it as they come. What lies where the user
    # stands (-P) is not to be imported in the place of a library.
    server = [sys.executable, "-P", "-m", "lrbench_dashboard"]
    sys.stdout.flush()
    os.execv(sys.executable, [*server, "--runs", str(runs), "--port", str(port)])
